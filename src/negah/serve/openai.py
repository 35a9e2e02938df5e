"""The interface of OpenAI, as its clients use it: chat completions, responses, models.

The photos and clips of the last message with any are captioned.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from negah.serve.bodies import JsonBody, read_json
from negah.serve.models import Models, Served
from negah.serve.problems import RefusedError
from negah.serve.uploads import Upload, from_base64
from negah.serve.wording import pieces_of, text_of


class Message(JsonBody):
    """A message; its content is text, or parts of text and pictures."""

    role: str
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(JsonBody):
    """Options of the end of a stream."""

    include_usage: bool = False


class ChatCompletionRequest(JsonBody):
    """``POST /v1/chat/completions``."""

    model: str = Field(description="One of /v1/models.", examples=["negah"])
    messages: list[Message] = Field(min_length=1)
    n: int | None = Field(default=None, ge=1, le=16, description="Captions of the same photo.")
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: dict[str, Any] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None


class ResponsesRequest(JsonBody):
    """``POST /v1/responses``."""

    model: str = Field(description="One of /v1/models.", examples=["negah"])
    input: str | list[Message]
    max_output_tokens: int | None = None
    text: dict[str, Any] | None = Field(default=None, description="With a format.")
    stream: bool | None = False


async def chat_completions(request: Request, models: Models) -> Response:
    """Answer ``POST /v1/chat/completions``."""
    given = read_json(ChatCompletionRequest, await request.body())
    served = models.find(given.model)
    uploads, prompt = _pictures_and_text(given.messages, models)
    most = given.max_completion_tokens or given.max_tokens
    decoding = models.shortened(served, uploads, most)
    if given.n is not None and given.n > 1:
        decoding["n_best"] = given.n
    captions = [await models.caption(served, upload, decoding) for upload in uploads]
    # a picture may have fewer captions than were asked for
    ranks = min(1 + len(caption.alternatives) for caption in captions)
    form = _format(given.response_format)
    texts = [
        text_of([[c, *c.alternatives][rank] for c in captions], form, prompt)
        for rank in range(ranks)
    ]
    head = {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "created": int(time.time()),
        "model": served.name,
    }
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": 0, "completion_tokens": words, "total_tokens": words}
    headers = given.ignored()
    if given.stream:
        wanted = given.stream_options is not None and given.stream_options.include_usage
        chunks = _chunks(head, texts, usage if wanted else None)
        return StreamingResponse(chunks, headers=headers, media_type="text/event-stream")
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
        for index, text in enumerate(texts)
    ]
    body = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
    return JSONResponse(body, headers=headers)


def _chunks(
    head: Mapping[str, Any], texts: list[str], usage: Mapping[str, Any] | None
) -> Iterator[str]:
    """The events of a chat completion."""

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        return _event({**head, "object": "chat.completion.chunk", "choices": choices, **more})

    for index, text in enumerate(texts):
        first: dict[str, Any] = {"role": "assistant"}
        for piece in pieces_of(text):
            delta = {**first, "content": piece}
            yield event([{"index": index, "delta": delta, "finish_reason": None}])
            first = {}
        yield event([{"index": index, "delta": {}, "finish_reason": "stop"}])
    if usage is not None:
        yield event([], usage=usage)
    yield "data: [DONE]\n\n"


async def responses(request: Request, models: Models) -> Response:
    """Answer ``POST /v1/responses``."""
    given = read_json(ResponsesRequest, await request.body())
    served = models.find(given.model)
    messages = given.input
    if isinstance(messages, str):
        messages = [Message(role="user", content=messages)]
    uploads, prompt = _pictures_and_text(messages, models)
    decoding = models.shortened(served, uploads, given.max_output_tokens)
    captions = [await models.caption(served, upload, decoding) for upload in uploads]
    text = text_of(captions, _format((given.text or {}).get("format")), prompt)
    answer = _response(served, text)
    headers = given.ignored()
    if given.stream:
        return StreamingResponse(
            _response_events(answer, text), headers=headers, media_type="text/event-stream"
        )
    return JSONResponse(answer, headers=headers)


def _response(served: Served, text: str) -> dict[str, Any]:
    words = len(text.split())
    return {
        "id": f"resp_{secrets.token_hex(12)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": served.name,
        "output": [
            {
                "id": f"msg_{secrets.token_hex(12)}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
        "parallel_tool_calls": False,
        "temperature": None,
        "tool_choice": "none",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": words,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": words,
        },
    }


def _response_events(answer: dict[str, Any], text: str) -> Iterator[str]:
    """The events of a response, in the order expected by clients."""
    (item,) = answer["output"]
    (part,) = item["content"]
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        (
            "response.output_item.added",
            {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}},
        ),
        ("response.content_part.added", {**place, "part": {**part, "text": ""}}),
        *(
            ("response.output_text.delta", {**place, "delta": piece, "logprobs": []})
            for piece in pieces_of(text)
        ),
        ("response.output_text.done", {**place, "text": text, "logprobs": []}),
        ("response.content_part.done", {**place, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": answer}),
    ]
    for number, (kind, values) in enumerate(events):
        yield _event({"type": kind, "sequence_number": number, **values}, name=kind)


def _event(values: Mapping[str, Any], name: str = "") -> str:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(values)}\n\n"


def _format(form: Mapping[str, Any] | None) -> Any:
    """The schema of a ``response_format``, or its type if it has none."""
    if form is None:
        return None
    inside = form.get("json_schema")
    schema = (inside if isinstance(inside, Mapping) else form).get("schema")
    if isinstance(schema, Mapping):
        return schema
    kind = form.get("type")
    return "" if kind == "text" else kind


def _pictures_and_text(messages: Iterable[Message], models: Models) -> tuple[list[Upload], str]:
    """The pictures of the last message with any, and all text.

    Raises:
        RefusedError: there are none, too many, or invalid ones.
    """
    texts: list[str] = []
    found: list[tuple[str, str]] = []
    for number, message in enumerate(messages):
        parts = message.content or []
        if isinstance(parts, str):
            parts = [{"type": "text", "text": parts}]
        shown = []
        for place, part in enumerate(parts):
            where = f"messages[{number}].content[{place}]"
            kind = part.get("type")
            if kind in ("text", "input_text", "output_text"):
                texts.append(str(part.get("text", "")))
            elif kind in ("image_url", "input_image", "video_url"):
                shown.append((_url(part, where), where))
            else:
                raise RefusedError(
                    400, f"{where}: parts are text and image_url, not {str(kind)[:64]!r}"
                )
        found = shown or found
    if not found:
        raise RefusedError(
            400,
            "there is no photo to caption: add a part image_url with a data URL "
            "(data:image/jpeg;base64,...); text alone is not answered",
        )
    models.check_number(len(found))
    return [from_base64(url, where) for url, where in found], "\n".join(texts)


def _url(part: Mapping[str, Any], where: str) -> str:
    given = part.get("video_url" if part.get("type") == "video_url" else "image_url")
    url = given.get("url") if isinstance(given, Mapping) else given
    if not isinstance(url, str):
        raise RefusedError(400, f'{where}: image_url is a data URL, or {{"url": a data URL}}')
    return url


def model_rows(models: Models) -> list[dict[str, Any]]:
    """The models in the format of OpenAI, with additional fields."""
    rows = []
    for served in models:
        identity, sight = served.backend.identity, served.backend.sight
        rows.append(
            {
                "id": served.name,
                "object": "model",
                "created": served.since,
                "owned_by": "negah",
                "name": identity.name,
                "kind": identity.kind,
                "language": served.language.code,
                "direction": served.language.direction,
                "licence": identity.licence,
                "sha256": identity.sha256,
                "photos": sight.motion is None,
                "clip_frames": sight.clip_frames,
                "grid": sight.grid,
                "decoding": served.queue.captioner.decoding_options({}).model_dump(mode="json"),
            }
        )
    return rows
