"""The OpenAPI 3.1 description of the service: answers, bodies and examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from negah.serve.bodies import JsonBody
from negah.serve.native import CaptionRequest
from negah.serve.ollama import ChatRequest, GenerateRequest, ShowRequest
from negah.serve.openai import ChatCompletionRequest, ResponsesRequest
from negah.serve.photoprism import VisionRequest

TEXT = """Captions for photos and clips. Nothing of an upload is kept, and nothing is fetched.

The interfaces of Ollama, OpenAI and PhotoPrism are there for programs that speak them. Prompts are
not understood: the answer is the caption, as JSON where JSON is asked for. What is not heeded
stands in the header `X-Negah-Ignored`."""

_BODIES = (
    *(CaptionRequest, GenerateRequest, ChatRequest, ShowRequest),
    *(ChatCompletionRequest, ResponsesRequest, VisionRequest),
)
_REFERENCE = "#/components/schemas/{model}"
_STATUSES = {
    400: "It is no request of this kind.",
    401: "The token is missing or wrong.",
    403: "The page of another server asks, or the name of the host is wrong.",
    404: "There is no such model.",
    408: "The body came too slowly.",
    413: "It is too large.",
    415: "The body, or a data URL, is of another type.",
    422: "A photo cannot be read, or an option is wrong.",
    429: "There is no room now; see Retry-After.",
    503: "There was no time; see Retry-After.",
}

#: A photo of one pixel, in base64.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNoaGgAAAMEAYFL09IQAAAAAElFTkSuQmCC"
)
_DATA_URL = f"data:image/png;base64,{PIXEL}"
_ASKED = [
    {"type": "text", "text": "Describe the photo."},
    {"type": "image_url", "image_url": {"url": _DATA_URL}},
]

#: By the class of a body, examples of it.
EXAMPLES: Mapping[type[JsonBody], Mapping[str, Any]] = {
    CaptionRequest: {
        "photo": {"file": PIXEL},
        "options": {
            "file": _DATA_URL,
            "evidence": True,
            "decoding": {"beam": 5, "n_best": 3},
        },
        "maps": {"file": _DATA_URL, "maps": True},
    },
    GenerateRequest: {
        "photo": {"model": "negah", "prompt": "Caption it.", "images": [PIXEL], "stream": False},
        "json": {"model": "negah", "images": [PIXEL], "format": "json", "stream": False},
    },
    ChatRequest: {
        "photo": {
            "model": "negah",
            "messages": [{"role": "user", "content": "Caption it.", "images": [PIXEL]}],
            "stream": False,
        }
    },
    ShowRequest: {"model": {"model": "negah"}},
    ChatCompletionRequest: {
        "photo": {"model": "negah", "messages": [{"role": "user", "content": _ASKED}]}
    },
    ResponsesRequest: {
        "photo": {
            "model": "negah",
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": _DATA_URL}],
                }
            ],
        }
    },
    VisionRequest: {"photo": {"id": "a1", "model": "negah", "images": [_DATA_URL]}},
}

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def refusals(*, problem: bool = False) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route; ``problem`` for those of the native interface."""
    media_type = "application/problem+json" if problem else "application/json"
    schema = _PROBLEM if problem else {"type": "object"}
    return {
        status: {"description": text, "content": {media_type: {"schema": schema}}}
        for status, text in _STATUSES.items()
    }


def body(kind: type[JsonBody], *, form: bool = False) -> dict[str, Any]:
    """The body of a route that reads its body itself.

    Args:
        kind: of the JSON body.
        form: whether a multipart form with the same fields is also accepted.
    """
    content: dict[str, Any] = {
        "application/json": {
            "schema": {"$ref": _REFERENCE.format(model=kind.__name__)},
            "examples": {name: {"value": value} for name, value in EXAMPLES[kind].items()},
        }
    }
    if form:
        content["multipart/form-data"] = {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "model": {"type": "string"},
                    "language": {"type": "string", "maxLength": 32},
                    "frames": {"type": "integer", "minimum": 1},
                    "evidence": {"type": "boolean"},
                    "maps": {"type": "boolean"},
                    "decoding": {"type": "object"},
                },
                "additionalProperties": False,
            }
        }
    return {"requestBody": {"required": True, "content": content}}


def add_bodies(app: FastAPI) -> None:
    """Add the classes of the bodies to the description of the service."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        found = describe()
        _, schemas = models_json_schema(
            [(kind, "validation") for kind in _BODIES], ref_template=_REFERENCE
        )
        known = found.setdefault("components", {}).setdefault("schemas", {})
        known.update(schemas["$defs"])
        return found

    app.openapi = openapi  # type: ignore[method-assign]
