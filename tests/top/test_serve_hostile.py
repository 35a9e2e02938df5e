"""Requests that mean harm or are broken: each gets a 4xx that says why, and harms no other."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from PIL import Image

from held_backend import Held
from negah.runtime import Captioner
from serving import BOUNDARY, Client, clip_file, form_of, photo_file, service

PHOTO = photo_file(1)
FORM = f"multipart/form-data; boundary={BOUNDARY}"
LIMITS = {
    "body_bytes": 300_000,
    "requests": 8,
    "pictures": 4,
    "pixels": 1_000_000,
    "clip_seconds": 5,
    "head_seconds": 300,
    "body_seconds": 300,
    "beam": 8,
    "words": 30,
    "frames": 8,
}


def png(width: int, height: int) -> bytes:
    """A PNG whose header says so, and little behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        size = struct.pack(">I", len(content))
        return size + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(64)))
        + chunk(b"IEND", b"")
    )


def gif(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("P", (4, 4)).save(file, "gif")
    content = bytearray(file.getvalue())
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64(content)}"


def chat(url: Any, **more: Any) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"model": "tiny", "messages": [{"role": "user", "content": [part]}], **more}


def zero_frames() -> bytes:
    """An MP4 that is cut where its frames begin; its index stands behind them."""
    whole = clip_file()
    return whole[: whole.index(b"mdat") + 4]


def long_clip() -> bytes:
    from tiny_clips import make_clip, walking_bar

    return make_clip(walking_bar(4), rate=1, ticks=[0, 10, 20, 3000])


def wide_clip() -> bytes:
    import numpy as np

    from tiny_clips import make_clip

    return make_clip([np.zeros((1024, 1024, 3), np.uint8)] * 2)


NESTED = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n'
    "Content-Type: multipart/mixed; boundary=inner\r\n\r\n"
    '--inner\r\nContent-Disposition: attachment; filename="a.jpg"\r\n\r\nx\r\n--inner--\r\n'
    f"\r\n--{BOUNDARY}--\r\n"
).encode()
MANY_PARTS = b"".join(
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f{n}"\r\n\r\n1\r\n'.encode()
    for n in range(200)
)
LONG_HEADERS = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{"a" * 20_000}"\r\n\r\n'.encode()
)
TWO_FILES = form_of(PHOTO).removesuffix(f"--{BOUNDARY}--\r\n".encode()) + form_of(PHOTO)

#: What it is; path; body; its type; the status; words of the answer.
ROWS: list[tuple[str, str, Any, str, int | tuple[int, ...], str]] = [
    # bombs and other pictures
    ("a bomb: 65,535 x 65,535", "form", png(65_535, 65_535), "", 422, "limit of 1,000,000"),
    ("100,000 pixels wide", "form", png(100_000, 100_000), "", 422, "limit of 1,000,000"),
    ("a GIF bomb", "form", gif(65_000, 65_000), "", 422, "limit of 1,000,000"),
    ("no pixels", "form", png(0, 10), "", 422, "cannot be read"),
    ("an empty file", "form", b"", "", 422, "empty"),
    ("zeros", "form", bytes(5000), "", 422, "zero bytes"),
    ("noise", "form", bytes(range(256)) * 20, "", 422, "cannot be read"),
    ("a web page", "form", b"<!doctype html><script>alert(1)</script>", "", 422, "web page"),
    ("an SVG", "form", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "", 422, "SVG"),
    ("a ZIP", "form", b"PK\3\4" + bytes(200), "", 422, "ZIP"),
    ("a PDF", "form", b"%PDF-1.7 " + bytes(200), "", 422, "PDF"),
    ("a head and no more", "form", PHOTO[:40], "", 422, "cannot be read"),
    # clips
    ("a clip of zero frames", "form", zero_frames, "", 422, "clip cannot be read"),
    ("a clip of an hour", "form", long_clip, "", 422, "up to 5 seconds"),
    ("a clip of large frames", "form", wide_clip, "", 422, "limit of 1,000,000"),
    ("a playlist of files", "form", b"#EXTM3U\nfile:///etc/passwd\n", "", 422, "cannot be read"),
    ("a list for FFmpeg", "form", b"ffconcat version 1.0\nfile /etc/passwd\n", "", 422, ""),
    # forms
    ("a form that breaks off", "/v1/captions", form_of(PHOTO)[:-30], FORM, 400, "breaks off"),
    ("a form in a form", "/v1/captions", NESTED, FORM, 422, "with a file name"),
    ("a form of many parts", "/v1/captions", MANY_PARTS, FORM, 413, "parts"),
    ("long headers in a part", "/v1/captions", LONG_HEADERS, FORM, 400, "cannot be read"),
    ("no boundary", "/v1/captions", form_of(PHOTO), "multipart/form-data", 400, "boundary"),
    ("a huge boundary", "/v1/captions", PHOTO, FORM + "x" * 5000, 400, "boundary"),
    ("another boundary", "/v1/captions", form_of(PHOTO), FORM + "x", 400, "form"),
    ("two photos", "/v1/captions", TWO_FILES, FORM, 422, "one photo or clip"),
    ("no photo", "/v1/captions", f"--{BOUNDARY}--\r\n".encode(), FORM, 422, "one photo"),
    ("a path as a field", "/v1/captions", form_of(PHOTO, path="/etc/passwd"), FORM, 422, "path"),
    ("a path as the model", "/v1/captions", form_of(PHOTO, model="../../etc"), FORM, 404, "model"),
    ("frames of text", "/v1/captions", form_of(PHOTO, frames="many"), FORM, 422, "frames"),
    # JSON
    ("no JSON", "/v1/captions", b"{", "application/json", 400, "no valid JSON"),
    ("nothing", "/v1/captions", b"", "application/json", 400, "no valid JSON"),
    ("no Unicode", "/api/generate", b'{"model": "\xff\xfe"}', "application/json", 400, "JSON"),
    ("deep arrays", "/api/chat", b"[" * 100_000, "application/json", 400, "nested too deeply"),
    ("deep objects", "/v1/responses", b'{"a":' * 40_000, "application/json", 400, "too deeply"),
    (
        "just too deep",
        "/v1/captions",
        {"file": b64(PHOTO), "decoding": {"beam": nested(900)}},
        "",
        (400, 422),
        "",
    ),
    ("a list", "/v1/captions", [1, 2, 3], "application/json", 422, "dictionary"),
    ("a number for the file", "/v1/captions", {"file": 5}, "application/json", 422, "file"),
    ("no base64", "/v1/captions", {"file": "&&&&"}, "application/json", 400, "no base64"),
    ("an unknown field", "/v1/captions", {"file": b64(PHOTO), "x": 1}, "", 422, "x: Extra"),
    ("XML", "/v1/captions", b"<a/>", "text/xml", 415, "multipart/form-data"),
    ("no type", "/v1/captions", PHOTO, "none", 415, "multipart/form-data"),
    # options
    ("a huge beam", "/v1/captions", {"file": b64(PHOTO), "decoding": {"beam": 1000}}, "", 422, "8"),
    (
        "a huge caption",
        "/v1/captions",
        {"file": b64(PHOTO), "decoding": {"max_length": 999}},
        "",
        422,
        "30 is the most",
    ),
    (
        "an unknown option",
        "/v1/captions",
        {"file": b64(PHOTO), "decoding": {"beams": 2}},
        "",
        422,
        "Did you mean 'beam'?",
    ),
    *(
        (
            f"the option {name}",
            "/v1/captions",
            {"file": b64(PHOTO), "decoding": {name: value}},
            "",
            422,
            words,
        )
        for name, value, words in (
            ("clip", True, "unknown option"),
            ("frames", 5, "unknown option"),
            ("self", None, "unknown option"),
            ("beam", "1000", "8 is the most"),
            ("max_length", 999.0, "30 is the most"),
            ("temperature", 5, "has no effect"),
            ("method", {"a": [1]}, "method"),
        )
    ),
    ("many frames", "/v1/captions", {"file": b64(PHOTO), "frames": 10**9}, "", 422, "from 1 to 8"),
    # addresses
    *(
        (f"the address {url}", "/v1/chat/completions", chat(url), "", 400, "fetches nothing")
        for url in (
            "http://127.0.0.1:22/",
            "http://169.254.169.254/latest/meta-data/",
            "http://192.168.0.1/a.jpg",
            "http://[::1]/a.jpg",
            "https://example.org/a.jpg",
            "file:///etc/passwd",
            "ftp://127.0.0.1/a.jpg",
            "/etc/passwd",
            "../../etc/passwd",
            "//127.0.0.1/a.jpg",
            "\\\\server\\share\\a.jpg",
            "gopher://127.0.0.1:6379/_INFO",
        )
    ),
    (
        "an address in Ollama's images",
        "/api/generate",
        {"model": "tiny", "images": ["http://127.0.0.1/a.jpg"]},
        "",
        400,
        "fetches nothing",
    ),
    # data URLs and parts
    ("text", "/v1/chat/completions", chat("data:text/html;base64,PGI+"), "", 415, "text/html"),
    ("an SVG's type", "/v1/chat/completions", chat("data:;base64,PGI+"), "", 415, "text/plain"),
    ("not in base64", "/v1/chat/completions", chat("data:image/png,abc"), "", 400, "base64"),
    ("a broken one", "/v1/chat/completions", chat("data:image/png;base64,&"), "", 400, "base64"),
    ("a number", "/v1/chat/completions", chat(5), "", 400, "data URL"),
    ("many", "/v1/chat/completions", chat(data_url(PHOTO), n=1000), "", 422, "n: "),
    (
        "many photos",
        "/api/generate",
        {"model": "tiny", "images": [b64(PHOTO)] * 5},
        "",
        422,
        "at most 4",
    ),
    (
        "a part of another kind",
        "/v1/chat/completions",
        {"model": "tiny", "messages": [{"role": "user", "content": [{"type": "file"}]}]},
        "",
        400,
        "parts are text and image_url",
    ),
    ("no messages", "/v1/chat/completions", {"model": "tiny", "messages": []}, "", 422, "messages"),
]


@pytest.fixture(scope="module")
def client(tiny_bundle: Path) -> Iterator[Client]:
    captioner = Captioner(tiny_bundle, threads=2, max_pixels=LIMITS["pixels"])
    with service({"tiny": captioner}, limits=LIMITS) as client:
        yield client
        # after all of them it captions as before
        assert client.form(PHOTO).json["caption"] == captioner.caption(PHOTO).text


@pytest.fixture(scope="module")
def impatient(client: Client, tiny_bundle: Path) -> Iterator[Client]:
    """A service for what never ends; on a busy machine it would cut off good requests, too."""
    limits = {**LIMITS, "head_seconds": 0.2, "body_seconds": 0.2}
    with service({"tiny": Captioner(tiny_bundle)}, limits=limits) as opened:
        yield opened


def text_of(answer: Any) -> str:
    """What an answer says is wrong, in whatever form."""
    value = answer.json
    error = value.get("error", value.get("detail"))
    return str(error["message"] if isinstance(error, dict) else error)


@pytest.mark.parametrize(("what", "path", "body", "kind", "status", "words"), ROWS)
def test_it_is_refused_with_the_reason(
    client: Client, what: str, path: str, body: Any, kind: str, status: Any, words: str
) -> None:
    content = body() if callable(body) else body
    if path == "form":
        answer = client.form(content)
    elif isinstance(content, bytes):
        headers = {} if kind == "none" else {"Content-Type": kind}
        answer = client.request("POST", path, content, headers)
    else:
        answer = client.post(path, content)
    allowed = status if isinstance(status, tuple) else (status,)
    assert answer.status in allowed, answer.body
    assert words in text_of(answer)
    assert len(answer.body) < 3000
    assert b"Traceback" not in answer.body


HEAD = b"POST /v1/captions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("what", "parts", "status"),
    [
        ("no HTTP", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"], 400),
        ("a head that never ends", [b"GET / HTTP/1.1\r\nHost: localhost\r\n"], 408),
        ("silence", [], 408),
        ("huge headers", [HEAD + b"X: " + b"a" * 40_000], 400),
        ("thousands of headers", [HEAD + b"X: 1\r\n" * 6_000], 400),
        ("a body that is too large", [HEAD + b"Content-Length: 400000\r\n\r\n", bytes(9)], 413),
        (
            "chunks without end",
            [
                HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                *[b"186a0\r\n%s\r\n" % bytes(10**5)] * 5,
            ],
            413,
        ),
        ("a slow body", [HEAD + b"Content-Length: 500\r\n\r\n", b"abc"], 408),
        ("a slow one in chunks", [HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n"], 408),
        ("two lengths", [HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n"], 400),
        ("a negative length", [HEAD + b"Content-Length: -5\r\n\r\n"], 400),
        ("chunks of no size", [HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], 400),
        ("no such method", [b"BREW /v1/captions HTTP/1.1\r\nHost: localhost\r\n\r\n"], 405),
        ("a path upwards", [b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"], 404),
        ("an encoded one", [b"GET /%2e%2e%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n"], 404),
        ("no host", [b"GET /v1/models HTTP/1.1\r\n\r\n"], 400),
    ],
)
def test_broken_http_is_refused(
    client: Client, impatient: Client, what: str, parts: list[bytes], status: int
) -> None:
    parts = [
        part.replace(b"localhost\r\n\r\n", b"localhost\r\nConnection: close\r\n\r\n")
        for part in parts
    ]
    answer = (impatient if status == 408 else client).raw(*parts)
    # of a head that is too long the rest is not read, and TCP may lose the answer over that
    lost = answer == b"" and "headers" in what
    assert lost or answer.startswith(b"HTTP/1.1 %d " % status), answer[:300]


def test_nothing_of_an_upload_is_written_anywhere(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies of any size stay in memory: opening a file for writing would fail here."""
    import builtins
    import tempfile

    def refuse(*given: Any, **more: Any) -> Any:
        raise AssertionError(f"a file is opened: {given}")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", refuse)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)
    real = builtins.open
    monkeypatch.setattr(
        builtins,
        "open",
        lambda file, mode="r", *a, **k: (
            real(file, mode, *a, **k) if mode[0] == "r" else refuse(file)
        ),
    )
    assert client.form(photo_file(3, (300, 250))).status == 200
    assert client.post("/v1/captions", {"file": b64(PHOTO)}).status == 200


def test_when_it_is_full_it_says_so_and_then_goes_on(tiny_bundle: Path) -> None:
    import threading

    held = Held(Captioner(tiny_bundle).backend)
    captioner = Captioner(held, threads=1)
    with service({"tiny": captioner}, limits={"requests": 2}) as client:
        answers: list[int] = []

        def ask() -> None:
            answers.append(client.form(PHOTO).status)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        while b"negah_requests_in_flight 2\n" not in client.get("/metrics").body:
            pass
        refused = client.form(PHOTO)
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) > 0
        assert client.get("/livez").status == 200
        held.go.set()
        for thread in threads:
            thread.join()
        assert answers == [200, 200]
        assert client.form(PHOTO).status == 200


def test_who_leaves_frees_the_place(tiny_bundle: Path) -> None:
    import socket

    held = Held(Captioner(tiny_bundle).backend)
    with service({"tiny": Captioner(held, threads=1)}, limits={"requests": 1}) as client:
        body = json.dumps({"file": b64(PHOTO)}).encode()
        with socket.create_connection(("127.0.0.1", client.port)) as line:
            line.sendall(
                b"POST /v1/captions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            while b"negah_requests_in_flight 1\n" not in client.get("/metrics").body:
                pass
        while b"negah_requests_in_flight 0\n" not in client.get("/metrics").body:
            pass
        held.go.set()
        assert client.form(PHOTO).status in (200, 429)
