"""Error responses: problem+json (RFC 9457), or the format of each interface."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse


class RefusedError(Exception):
    """A refused request.

    Args:
        status: HTTP status.
        detail: the reason, in a sentence that states what is allowed.
        code: for programs, such as "model_not_found".
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        code: str = "invalid_request",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = dict(headers or {})


def too_busy(detail: str) -> RefusedError:
    """The error for a busy service."""
    return RefusedError(429, detail, "busy", {"Retry-After": "2"})


def failure() -> RefusedError:
    """The error for an internal failure; details are in the log."""
    return RefusedError(500, "the service failed at this request", "failed")


def answer(refusal: RefusedError, path: str) -> JSONResponse:
    """An error response in the format of the interface of this path."""
    if path == "/api/v1/vision/caption":
        body: dict[str, Any] = {"code": refusal.status, "error": refusal.detail}
    elif path.startswith("/api/"):
        body = {"error": refusal.detail}
    elif path in ("/v1/chat/completions", "/v1/responses"):
        kind = "invalid_request_error" if refusal.status < 500 else "server_error"
        body = {
            "error": {
                "message": refusal.detail,
                "type": "rate_limit_error" if refusal.status == 429 else kind,
                "param": None,
                "code": refusal.code,
            }
        }
    else:
        body = {
            "type": "about:blank",
            "title": HTTPStatus(refusal.status).phrase,
            "status": refusal.status,
            "detail": refusal.detail,
            "code": refusal.code,
        }
        return JSONResponse(
            body, refusal.status, refusal.headers, media_type="application/problem+json"
        )
    return JSONResponse(body, refusal.status, refusal.headers)
