"""Middleware in front of every route: access control, and limits on size and time.

A request with a body is admitted before its body is read, and its body is read completely here,
within the limits, before any route receives it; so routes need not handle slow, endless or huge
bodies. Bodies are held in memory only.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from negah.serve.metrics import ServiceMetrics
from negah.serve.options import LOOPBACK, ServeOptions
from negah.serve.problems import RefusedError, answer, failure, too_busy

logger = logging.getLogger(__name__)

AsgiMessage: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[AsgiMessage]]
Send: TypeAlias = Callable[[AsgiMessage], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What the page says in other languages than English: made of the models, not read.
MESSAGES = "messages.js"

#: The files of the page, by their paths.
_PARTS = (
    *("page.css", "page.js", "pictures.js", "words.js", "downloads.js", "server.js"),
    *("language.js", MESSAGES),
)
PAGE = {"/": "index.html", **{f"/{name}": name for name in _PARTS}}

#: What asks how the service is, and the page itself, need no token.
OPEN_PATHS = frozenset({*PAGE, "/livez", "/readyz"})

#: Of every answer. The page loads nothing from anywhere else, and no page may frame it.
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        b"media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
)

#: How long the rest of a refused body is read and thrown away, in seconds, so that a client
#: which is still sending it hears why.
_DRAIN_SECONDS = 1.0


class Gate:
    """ASGI middleware around all routes.

    Args:
        app: the routes.
        options: of the service.
        metrics: counters for answers.
        paths: paths of the routes, by which answers are counted.
    """

    def __init__(
        self, app: App, options: ServeOptions, metrics: ServiceMetrics, paths: frozenset[str]
    ) -> None:
        self._app = app
        self._options = options
        self._metrics = metrics
        self._paths = paths
        self._places = options.limits.requests
        self._room = options.limits.held_bytes

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request, or the startup and shutdown of the service."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began, status, path = time.monotonic(), 0, scope["path"]

        async def reply(message: AsgiMessage) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
                if path not in OPEN_PATHS:
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        try:
            await self._let_in(scope, receive, reply)
        except RefusedError as refusal:
            if not status:
                await answer(refusal, path)(scope, receive, reply)
        except Exception as error:
            # where and of which kind: its message could quote the upload
            trace = "".join(traceback.format_tb(error.__traceback__))
            logger.error("%s %s: %s\n%s", scope["method"], path, type(error).__name__, trace)
            if not status:
                await answer(failure(), path)(scope, receive, reply)
        finally:
            counted = path if path in self._paths else "other"
            self._metrics.answered(counted, status, time.monotonic() - began)

    async def _let_in(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        try:
            self._check_sender(scope, headers)
            if scope["method"] not in ("POST", "PUT", "PATCH"):
                await self._app(scope, receive, send)
                return
            if self._places <= 0:
                raise too_busy("as many requests as are held at a time are waiting: come again")
            self._check_length(headers)
        except RefusedError:
            if headers.get("expect") != "100-continue":
                await _drain(receive)
            raise
        self._places -= 1
        self._metrics.began()
        held = _Held()
        try:
            body = await self._read(receive, held)
            await _while_connected(self._app(scope, _replayed(body, receive), send), receive)
        finally:
            self._places += 1
            self._room += held.bytes
            self._metrics.ended()

    def _check_sender(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> None:
        """Refuse clients without access.

        Raises:
            RefusedError: the request comes from a page of another server, or has no valid token.
        """
        options = self._options
        host = headers.get("host", "")
        # a name that an attacker's server gave this machine's address (DNS rebinding)
        if options.local and not options.token and _name_of(host) not in LOOPBACK | {options.host}:
            raise RefusedError(
                403, f"this service is not {host!r}: ask for 127.0.0.1 or localhost", "wrong_host"
            )
        origin = headers.get("origin")
        if origin is not None and origin not in options.origins:
            own = urlsplit(origin)
            if own.scheme not in ("http", "https") or own.netloc != host:
                raise RefusedError(
                    403,
                    f"pages of {origin!r} may not ask here: start the service with "
                    "--allow-origin to let them",
                    "wrong_origin",
                )
        # a browser that asks whether it may ask sends no token
        if options.token is None or scope["path"] in OPEN_PATHS or scope["method"] == "OPTIONS":
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), options.token.encode())
        if scheme.lower() != "bearer" or not right:
            raise RefusedError(
                401,
                "a token is needed: send the header Authorization: Bearer TOKEN",
                "unauthorized",
                {"WWW-Authenticate": "Bearer"},
            )

    def _check_length(self, headers: dict[str, str]) -> None:
        stated = headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self._options.limits.body_bytes:
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        most = self._options.limits.body_bytes
        return RefusedError(
            413,
            f"the body is larger than {most:,} bytes, the most that are taken here "
            "(--max-bytes): send a smaller photo or a shorter clip",
            "too_large",
        )

    async def _read(self, receive: Receive, held: _Held) -> bytes:
        """Read the whole body.

        Raises:
            RefusedError: it is too large, too slow or incomplete, or the service is busy.
        """
        limits = self._options.limits
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "the connection ended before the body did")
                    part = message.get("body", b"")
                    if held.bytes + len(part) > limits.body_bytes:
                        raise self._too_large()
                    if len(part) > self._room:
                        raise too_busy("there is no room for more uploads now: come again")
                    self._room -= len(part)
                    held.bytes += len(part)
                    parts.append(part)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise RefusedError(
                408, f"the body did not arrive within {limits.body_seconds:g} seconds", "too_slow"
            ) from None
        except RefusedError:
            await _drain(receive)
            raise


class _Held:
    """Bytes of the body of one request."""

    def __init__(self) -> None:
        self.bytes = 0


def _headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _name_of(host: str) -> str:
    """The host without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def _drain(receive: Receive) -> None:
    """Discard the rest of a body, for a limited time."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            message = await receive()
            while message["type"] == "http.request" and message.get("more_body"):
                message = await receive()
    except TimeoutError:
        pass


async def _while_connected(answering: Awaitable[None], receive: Receive) -> None:
    """Answer, or cancel when the client disconnects."""
    answer = asyncio.ensure_future(answering)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The messages for a route: the complete body, then those of the connection."""
    given = False

    async def replay() -> AsgiMessage:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
