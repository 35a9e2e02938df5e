"""Options of the service, and limits on requests."""

from __future__ import annotations

import ipaddress
from typing import Self

from pydantic import Field, model_validator

from negah.options import Options

#: Where it listens unless told otherwise.
DEFAULT_PORT = 8484

#: The two names and the two addresses under which a machine knows itself.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class RequestLimits(Options):
    """Limits on requests; requests beyond them are refused before any work."""

    body_bytes: int = Field(
        default=64 * 2**20, ge=1024, description="Maximum size of a request body in bytes."
    )
    held_bytes: int = Field(
        default=512 * 2**20,
        ge=1024,
        description="Maximum total size of pending bodies in bytes.",
    )
    requests: int = Field(
        default=128, ge=1, le=10_000, description="Maximum number of pending requests."
    )
    pictures: int = Field(
        default=16, ge=1, le=256, description="Maximum number of photos and clips in a request."
    )
    pixels: int = Field(
        default=64_000_000, ge=1, description="Maximum number of decoded pixels of a picture."
    )
    clip_seconds: float = Field(
        default=600.0, gt=0, description="Maximum length of a clip in seconds."
    )
    frames: int = Field(
        default=64, ge=1, le=1000, description="Maximum number of frames of a clip."
    )
    beam: int = Field(
        default=16, ge=1, le=1024, description="Maximum number of hypotheses or samples."
    )
    words: int = Field(
        default=100, ge=1, le=1000, description="Maximum number of words of a caption."
    )
    head_seconds: float = Field(
        default=10.0, gt=0, description="Time limit for the headers of a request."
    )
    body_seconds: float = Field(
        default=60.0, gt=0, description="Time limit for the body of a request."
    )
    seconds: float = Field(
        default=120.0, gt=0, description="Time limit for the answer after the request is complete."
    )


class ServeOptions(Options):
    """Options of :func:`negah.serve.app.build_app`."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=DEFAULT_PORT, ge=0, le=65535, description="Port; 0 for any free port."
    )
    token: str | None = Field(
        default=None, min_length=8, description="Bearer token that clients must send."
    )
    allow_anyone: bool = Field(default=False, description="Accept other machines without a token.")
    origins: tuple[str, ...] = Field(
        default=(),
        description="Allowed origins of pages from other servers, such as https://a.example.",
    )
    limits: RequestLimits = RequestLimits()

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        if self.host in LOOPBACK:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @model_validator(mode="after")
    def _refuse_an_open_door(self) -> Self:
        if not (self.local or self.token or self.allow_anyone):
            raise ValueError(
                f"other machines could reach {self.host} without a token: set one "
                "(--token-file FILE, or the variable NEGAH_TOKEN), say that anyone may ask "
                "(--allow-anyone), or leave out --host, which then is 127.0.0.1"
            )
        return self
