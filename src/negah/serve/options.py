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


class Limits(Options):
    """Limits on requests; requests beyond them are refused before any work."""

    body_bytes: int = Field(
        default=64 * 2**20, ge=1024, description="Most bytes of the body of one request."
    )
    held_bytes: int = Field(
        default=512 * 2**20,
        ge=1024,
        description="Most bytes of all bodies that are held at a time.",
    )
    requests: int = Field(
        default=128, ge=1, le=10_000, description="Most requests that are held at a time."
    )
    pictures: int = Field(
        default=16, ge=1, le=256, description="Most photos and clips in one request."
    )
    pixels: int = Field(
        default=64_000_000, ge=1, description="Most pixels that a picture is decoded to."
    )
    clip_seconds: float = Field(default=600.0, gt=0, description="The longest clip, in seconds.")
    frames: int = Field(default=64, ge=1, le=1000, description="Most frames of a clip.")
    beam: int = Field(default=16, ge=1, le=1024, description="Most hypotheses, or samples.")
    words: int = Field(default=100, ge=1, le=1000, description="Most words of a caption.")
    head_seconds: float = Field(
        default=10.0, gt=0, description="In which the head of a request is sent."
    )
    body_seconds: float = Field(
        default=60.0, gt=0, description="In which the body of a request is sent."
    )
    seconds: float = Field(
        default=120.0, gt=0, description="In which a request is answered once it is there."
    )


class ServeOptions(Options):
    """Options of :func:`negah.serve.app.build_app`."""

    host: str = Field(default="127.0.0.1", description="The address that is listened to.")
    port: int = Field(
        default=DEFAULT_PORT, ge=0, le=65535, description="Its port; 0 for one that is free."
    )
    token: str | None = Field(
        default=None, min_length=8, description="What clients must send as a bearer token."
    )
    allow_anyone: bool = Field(
        default=False, description="Whether other machines may ask without a token."
    )
    origins: tuple[str, ...] = Field(
        default=(), description="Pages of other servers that may ask, such as https://a.example."
    )
    limits: Limits = Limits()

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
