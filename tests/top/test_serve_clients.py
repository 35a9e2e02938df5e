"""The interfaces of others, as their clients use them: the official ones where there are some."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from negah.runtime import Captioner
from serving import Client, clip_file, photo_file, service

PHOTOS = [photo_file(1), photo_file(2)]
ENCODED = [base64.b64encode(photo).decode() for photo in PHOTOS]
URLS = [f"data:image/png;base64,{one}" for one in ENCODED]
TOKEN = "a secret of ours"


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    return Captioner(tiny_bundle, threads=2)


@pytest.fixture(scope="module")
def captions(captioner: Captioner) -> list[str]:
    return [captioner.caption(photo).text for photo in PHOTOS]


@pytest.fixture(scope="module")
def client(captioner: Captioner) -> Iterator[Client]:
    with service({"tiny": captioner}, token=TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def openai(client: Client) -> Iterator[Any]:
    module = pytest.importorskip("openai")
    with module.OpenAI(base_url=f"{client.url}/v1", api_key=TOKEN, max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def ollama(client: Client) -> Iterator[Any]:
    module = pytest.importorskip("ollama")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with module.Client(host=client.url, headers=headers) as opened:
        yield opened


def message(*urls: str, text: str = "Describe it.") -> list[dict[str, Any]]:
    shown = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": text}, *shown]}]


def test_openai_chat(openai: Any, captions: list[str]) -> None:
    done = openai.chat.completions.create(model="tiny", messages=message(*URLS))
    assert done.choices[0].message.content == "\n".join(captions)
    assert done.choices[0].finish_reason == "stop"
    words = sum(len(caption.split()) for caption in captions)
    assert done.usage.completion_tokens == done.usage.total_tokens == words


def test_openai_chat_as_a_stream(openai: Any, captions: list[str]) -> None:
    chunks = list(
        openai.chat.completions.create(
            model="tiny",
            messages=message(URLS[0]),
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == captions[0]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == len(text.split())


def test_openai_chat_gives_several_and_short_ones(openai: Any, captioner: Captioner) -> None:
    done = openai.chat.completions.create(
        model="tiny", messages=message(URLS[0]), n=2, max_tokens=4
    )
    best = captioner.caption(PHOTOS[0], n_best=2, max_length=4)
    assert [choice.message.content for choice in done.choices] == [
        best.text,
        best.alternatives[0].text,
    ]


def test_openai_responses(openai: Any, captions: list[str]) -> None:
    content = [
        {"type": "input_text", "text": "Describe it."},
        {"type": "input_image", "image_url": URLS[0], "detail": "auto"},
    ]
    given = {"model": "tiny", "input": [{"role": "user", "content": content}]}
    done = openai.responses.create(**given)
    assert done.output_text == captions[0]
    assert done.output[0].content[0].type == "output_text"
    with openai.responses.stream(**given) as events:
        kinds = [event.type for event in events]
        assert events.get_final_response().output_text == captions[0]
    assert kinds[-1] == "response.completed"


def test_openai_models_and_errors(openai: Any) -> None:
    import openai as module

    assert [model.id for model in openai.models.list()] == ["tiny"]
    assert openai.models.retrieve("tiny").owned_by == "negah"
    with pytest.raises(module.NotFoundError, match="unknown model") as missing:
        openai.chat.completions.create(model="gpt", messages=message(URLS[0]))
    assert missing.value.code == "model_not_found"
    with pytest.raises(module.BadRequestError, match="fetches nothing"):
        openai.chat.completions.create(model="tiny", messages=message("http://127.0.0.1/a.jpg"))
    with pytest.raises(module.BadRequestError, match="no photo"):
        openai.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "Hello"}]
        )
    with (
        module.OpenAI(base_url=str(openai.base_url), api_key="wrong", max_retries=0) as other,
        pytest.raises(module.AuthenticationError),
    ):
        other.models.list()


def test_openai_bare_addresses_and_clips(client: Client, captioner: Captioner) -> None:
    clip = f"data:video/mp4;base64,{base64.b64encode(clip_file()).decode()}"
    for part in (
        {"type": "image_url", "image_url": clip},
        {"type": "video_url", "video_url": {"url": clip}},
    ):
        given = {"model": "tiny", "messages": [{"role": "user", "content": [part]}]}
        answer = client.post("/v1/chat/completions", given)
        text = answer.json["choices"][0]["message"]["content"]
        assert text == captioner.caption_clip(clip_file()).text


def test_openai_json(openai: Any, captions: list[str]) -> None:
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "alt_text": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "people": {"type": "integer"},
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "photo", "schema": schema}}
    done = openai.chat.completions.create(
        model="tiny", messages=message(URLS[0]), response_format=wanted
    )
    found = json.loads(done.choices[0].message.content)
    assert set(found) == set(schema["properties"])
    assert found["alt_text"] == captions[0]
    assert found["people"] == 0
    assert all(tag in captions[0] for tag in found["tags"])


def test_ollama_generate(ollama: Any, captions: list[str]) -> None:
    done = ollama.generate(model="tiny:latest", prompt="Describe it.", images=PHOTOS[:1])
    assert done.response == captions[0]
    assert done.done
    assert done.done_reason == "stop"
    assert done.total_duration > 0
    pieces = list(ollama.generate(model="tiny", images=PHOTOS[:1], stream=True))
    assert "".join(piece.response for piece in pieces) == captions[0]
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_ollama_chat(ollama: Any, captions: list[str]) -> None:
    messages = [
        {"role": "user", "content": "This?", "images": PHOTOS[:1]},
        {"role": "assistant", "content": captions[0]},
        {"role": "user", "content": "And this?", "images": PHOTOS[1:]},
    ]
    assert ollama.chat(model="tiny", messages=messages).message.content == captions[1]
    pieces = ollama.chat(model="tiny", messages=messages, stream=True)
    assert "".join(piece.message.content for piece in pieces) == captions[1]


def test_ollama_json(ollama: Any, captions: list[str]) -> None:
    prompt = "Answer in JSON with the keys title, caption and keywords."
    for more in ({"prompt": prompt}, {"prompt": prompt, "format": "json"}):
        found = json.loads(ollama.generate(model="tiny", images=PHOTOS[:1], **more).response)
        assert list(found) == ["title", "caption", "keywords"]
        assert found["caption"] == captions[0]
        assert found["title"][0].isupper()


def test_ollama_tells_of_its_models(ollama: Any) -> None:
    import ollama as module

    (listed,) = ollama.list().models
    assert listed.model == "tiny:latest"
    assert listed.size > 0
    shown = ollama.show("tiny")
    assert "vision" in shown.capabilities
    assert shown.license == "CC0-1.0"
    assert ollama.generate(model="tiny").done_reason == "load"
    with pytest.raises(module.ResponseError, match="unknown model") as missing:
        ollama.generate(model="llava", prompt="x", images=PHOTOS[:1])
    assert missing.value.status_code == 404


def test_ollama_as_curl_sends_it(client: Client, captions: list[str]) -> None:
    """The example of Ollama's own documentation, with a photo of ours."""
    given = {"model": "tiny", "prompt": "What is in this picture?", "images": ENCODED[:1]}
    lines = [json.loads(line) for line in client.post("/api/generate", given).body.splitlines()]
    assert "".join(line["response"] for line in lines) == captions[0]
    whole = client.post("/api/generate", {**given, "stream": False, "options": {"top_k": 5}})
    assert whole.json["response"] == captions[0]
    assert whole.headers["x-negah-ignored"] == "prompt, top_k"
    assert client.get("/api/version").json["version"]


def test_photoprism(client: Client, captions: list[str]) -> None:
    given = {"id": "3487da77", "model": "tiny", "images": URLS[:1]}
    answer = client.post("/api/v1/vision/caption", given).json
    assert answer["id"] == "3487da77"
    assert answer["code"] == 200
    assert answer["model"]["name"] == "tiny"
    assert answer["result"]["caption"] == {"text": captions[0], "source": "image"}
    for images in ([], URLS, ["https://photos.example/1.jpg"], ["/originals/1.jpg"]):
        refused = client.post("/api/v1/vision/caption", {**given, "images": images})
        assert refused.status == refused.json["code"] == 400
        assert refused.json["error"]
