"""The server on a port: sockets, a timeout for request headers, and a clean shutdown."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from negah.errors import UsageError
from negah.serve.gate import Gate
from negah.serve.options import ServeOptions

#: Bytes of the head of a request, its line and headers.
_MOST_HEAD_BYTES = 32_768
_IDLE_SECONDS = 30
#: How many more connections than places for requests there may be.
_CONNECTIONS_BESIDE = 512
_BACKLOG = 1024


class Server:
    """The service, bound to its address.

    Args:
        app: the application.
        options: of the service.

    Attributes:
        url: of the server.

    Raises:
        UsageError: the address is not available.
    """

    def __init__(self, app: Gate, options: ServeOptions) -> None:
        self._socket = _bound(options)
        host, port = self._socket.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{port}"
        limits = options.limits
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http=_protocol(limits.head_seconds),
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,  # a line would name who asked
                server_header=False,
                proxy_headers=False,
                h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
                limit_concurrency=limits.requests + _CONNECTIONS_BESIDE,
                backlog=_BACKLOG,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=int(limits.body_seconds + limits.seconds) + 5,
            )
        )

    def run(self) -> None:
        """Serve until :meth:`stop` is called and all admitted requests are answered."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Stop accepting connections, answer admitted requests, exit; for signal handlers."""
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    """Uvicorn without signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(options: ServeOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((options.host, options.port))
        listening.listen(_BACKLOG)  # who comes before the models are there waits
    except OSError as error:
        listening.close()
        where = f"{options.host}, port {options.port}"
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"{where}: another program listens there already; give another --port, or "
                "--port 0 for one that is free"
            ) from None
        raise UsageError(f"{where}: cannot be listened to: {error.strerror or error}") from None
    return listening


def _protocol(head_seconds: float) -> type[H11Protocol]:
    """Uvicorn's HTTP protocol with a time limit for request headers."""

    class Timed(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
                self._wait()
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._let_go()

        def connection_lost(self, exc: Exception | None) -> None:
            self._let_go()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._waiting = self.loop.call_later(head_seconds, self._too_slow)

        def _let_go(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _too_slow(self) -> None:
            self._waiting = None
            if not self.transport.is_closing():
                detail = b"the head of the request did not arrive in time\n"
                self.transport.write(
                    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain\r\n"
                    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(detail), detail)
                )
                self.transport.close()

    return Timed
