"""A real service on a free port of this machine, for tests."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from common import PATIENCE
from negah.runtime import Captioner
from negah.serve.app import build_app
from negah.serve.options import ServeOptions
from negah.serve.server import Server

BOUNDARY = "b0undary"


@contextmanager
def service(models: Mapping[str, Captioner], **options: Any) -> Iterator[Client]:
    """Run a service in a thread."""
    chosen = ServeOptions.parse({"port": 0, **options}, where="test")
    server = Server(build_app(models, chosen), chosen)
    thread = threading.Thread(target=server.run)
    thread.start()
    client = Client(server.url, token=chosen.token)
    try:
        yield client
    finally:
        server.stop()
        thread.join()


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """HTTP as bytes go over the line, a connection for each request."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.port = urlsplit(url).port or 0
        self._token = token

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {**token, **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json", **headers})

    def form(self, file: bytes, path: str = "/v1/captions", **fields: str) -> Answer:
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.request("POST", path, form_of(file, **fields), {"Content-Type": kind})

    def raw(self, *parts: bytes) -> bytes:
        """Send bytes as they are, and read until the service closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as line:
            found = b""
            try:
                for part in parts:
                    line.sendall(part)
                while more := line.recv(65536):
                    found += more
            except (BrokenPipeError, ConnectionResetError):
                pass
            return found


def form_of(file: bytes, **fields: str) -> bytes:
    """A multipart form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return b"".join([*parts, head.encode(), file, f"\r\n--{BOUNDARY}--\r\n".encode()])


def photo_file(seed: int = 0, size: tuple[int, int] = (48, 32)) -> bytes:
    """A photo of noise, as a PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def clip_file(frames: int = 12) -> bytes:
    """A clip of half a second, as an MP4."""
    from tiny_clips import make_clip, walking_bar

    return make_clip(walking_bar(frames))
