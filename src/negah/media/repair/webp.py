"""The pictures of a WebP (RFC 9649)."""

from __future__ import annotations

import struct
from typing import Any

from negah.media.repair.base import LONGEST, SPARE, Repaired

_PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"ANIM")
# What a header says is there besides pixels: a profile, EXIF, XMP.
_BESIDES = 0x2C


def repair_webp(content: bytes) -> Repaired | None:
    """The first picture of a WebP; None if nearly all of it is missing."""
    parts: list[bytes] = []
    info: dict[str, Any] = {}
    missing = 0
    at = 12
    while at + 8 <= len(content) and not missing:
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        data = content[at + 8 : at + 8 + length]
        if name == b"VP8X" and len(data) >= 10:
            parts.append(_riff(name, bytes([data[0] & ~_BESIDES]) + data[1:10], 10))
        elif name in _PIXELS:
            missing = length - len(data)
            if missing:
                # One that is longer than it was cannot end before its decoder does.
                length += SPARE + (length + SPARE) % 2
                missing = length - len(data)
            parts.append(_riff(name, data, length))
        elif name in (b"EXIF", b"XMP ") and len(data) == length:
            info["exif" if name == b"EXIF" else "xmp"] = data
        at += 8 + length + length % 2
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            # The first picture is enough; what follows may tell how it is to be turned.
            at = _first_of(content, (b"EXIF", b"XMP "), at)
    if missing > LONGEST * len(content) + SPARE:
        return None
    size = 4 + sum(map(len, parts)) + missing
    before = b"RIFF" + struct.pack("<I", size) + b"WEBP" + b"".join(parts)
    return Repaired(before, missing, info=info)


def _first_of(content: bytes, names: tuple[bytes, ...], at: int) -> int:
    places = [place for name in names if (place := content.find(name, at)) >= 0]
    return min(places, default=len(content))


def _riff(name: bytes, data: bytes, length: int) -> bytes:
    """A chunk, which is padded to an even length unless its end is missing."""
    padding = b"\0" * (length % 2 if length == len(data) else 0)
    return name + struct.pack("<I", length) + data + padding
