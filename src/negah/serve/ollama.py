"""The interface of Ollama, as its clients use it (github.com/ollama/ollama, docs/api.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from negah.serve.bodies import JsonBody, read_json
from negah.serve.models import Models, Served
from negah.serve.problems import RefusedError
from negah.serve.uploads import from_base64
from negah.serve.wording import pieces_of, text_of


class GenerateRequest(JsonBody):
    """``POST /api/generate``."""

    model: str = Field(description="One of /api/tags.", examples=["negah"])
    prompt: str = Field(default="", description="Not understood; JSON in it asks for JSON.")
    images: list[str] | None = Field(default=None, description="Photos or clips in base64.")
    stream: bool = Field(default=True, description="As JSON lines.")
    format: str | dict[str, Any] | None = Field(default=None, description='"json", or a schema.')
    options: dict[str, Any] | None = Field(default=None, description="num_predict is heeded.")


class ChatMessage(JsonBody):
    """A message of a chat."""

    role: str
    content: str = ""
    images: list[str] | None = None


class ChatRequest(JsonBody):
    """``POST /api/chat``."""

    model: str = Field(description="One of /api/tags.", examples=["negah"])
    messages: list[ChatMessage] = Field(default=[])
    stream: bool = True
    format: str | dict[str, Any] | None = None
    options: dict[str, Any] | None = None


class ShowRequest(JsonBody):
    """``POST /api/show``."""

    model: str | None = None
    name: str | None = None


async def generate(request: Request, models: Models) -> Response:
    """Answer ``POST /api/generate``."""
    given = read_json(GenerateRequest, await request.body())
    served = models.find(given.model)
    if not given.images:
        return _without_images(served, given.prompt, {"response": ""})
    answer = await _answer(models, served, given.images, given, given.prompt)
    return answer.response(lambda text: {"response": text}, stream=given.stream)


async def chat(request: Request, models: Models) -> Response:
    """Answer ``POST /api/chat`` for the photos of the last message with photos."""
    given = read_json(ChatRequest, await request.body())
    served = models.find(given.model)
    prompt = "\n".join(message.content for message in given.messages)
    shown = [message.images for message in given.messages if message.images]
    if not shown:
        empty = {"message": {"role": "assistant", "content": ""}}
        return _without_images(served, "\n".join(m.content for m in given.messages), empty)
    answer = await _answer(models, served, shown[-1], given, prompt)
    return answer.response(
        lambda text: {"message": {"role": "assistant", "content": text}}, stream=given.stream
    )


def _without_images(served: Served, prompt: str, empty: Mapping[str, Any]) -> Response:
    """Answer requests without input, by which clients load a model."""
    if prompt:
        raise RefusedError(
            400, f"{served.name} captions photos and clips, and answers no text alone: add images"
        )
    return JSONResponse(
        {"model": served.name, "created_at": _now(), **empty, "done": True, "done_reason": "load"}
    )


async def _answer(
    models: Models,
    served: Served,
    images: list[str],
    given: GenerateRequest | ChatRequest,
    prompt: str,
) -> _Reply:
    began = time.perf_counter_ns()
    models.check_number(len(images))
    uploads = [from_base64(image, f"images[{number}]") for number, image in enumerate(images)]
    options = given.options or {}
    decoding = models.shortened(served, uploads, options.get("num_predict"))
    captions = [await models.caption(served, upload, decoding) for upload in uploads]
    text = text_of(captions, given.format, prompt)
    headers = given.ignored("prompt", options={*options} - {"num_predict"})
    words = sum(len(caption.words) for caption in captions)
    return _Reply(served.name, text, words, time.perf_counter_ns() - began, headers)


class _Reply:
    """A text with the other fields of an Ollama response."""

    def __init__(
        self, model: str, text: str, words: int, nanoseconds: int, headers: Mapping[str, str]
    ) -> None:
        self._model = model
        self._text = text
        self._headers = dict(headers)
        self._end = {
            "done": True,
            "done_reason": "stop",
            "total_duration": nanoseconds,
            "load_duration": 0,
            "prompt_eval_count": 0,
            "prompt_eval_duration": 0,
            "eval_count": words,
            "eval_duration": nanoseconds,
        }

    def response(self, shape: Any, *, stream: bool) -> Response:
        """One object, or when streaming a line for each word and a final one.

        Args:
            shape: a text -> the fields that contain it.
            stream: whether to stream lines.
        """
        if not stream:
            return JSONResponse(
                {**self._head(), **shape(self._text), **self._end}, headers=self._headers
            )
        return StreamingResponse(
            self._lines(shape), headers=self._headers, media_type="application/x-ndjson"
        )

    def _head(self) -> dict[str, Any]:
        return {"model": self._model, "created_at": _now()}

    def _lines(self, shape: Any) -> Iterator[str]:
        for piece in pieces_of(self._text):
            yield json.dumps({**self._head(), **shape(piece), "done": False}) + "\n"
        yield json.dumps({**self._head(), **shape(""), **self._end}) + "\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def tags(models: Models) -> dict[str, Any]:
    """Answer ``GET /api/tags``."""
    return {
        "models": [
            {
                "name": f"{served.name}:latest",
                "model": f"{served.name}:latest",
                "modified_at": datetime.fromtimestamp(served.since, UTC).isoformat(),
                "size": _size(served),
                "digest": served.backend.identity.sha256,
                "details": _details(served),
            }
            for served in models
        ]
    }


def show(models: Models, body: bytes) -> dict[str, Any]:
    """Answer ``POST /api/show``."""
    given = read_json(ShowRequest, body)
    served = models.find(given.model or given.name)
    identity = served.backend.identity
    return {
        "license": identity.licence,
        "modelfile": f"FROM {identity.name}",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": _details(served),
        "model_info": {"general.architecture": "negah", "general.name": identity.name},
        "capabilities": ["completion", "vision"],
        "modified_at": datetime.fromtimestamp(served.since, UTC).isoformat(),
    }


def _details(served: Served) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": served.backend.identity.kind,
        "family": "negah",
        "families": ["negah"],
        "parameter_size": "",
        "quantization_level": "",
    }


def _size(served: Served) -> int:
    """The size of the files of a model in bytes."""
    return sum(file.stat().st_size for file in served.queue.captioner.files if file.is_file())
