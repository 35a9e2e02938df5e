"""Rebuilding of damaged picture files from the parts that the pixels need.

Pillow's readers refuse some pictures because of metadata: a damaged text, a large colour profile.
Image viewers show them, and Pillow reads a file rebuilt without the metadata; only the orientation
is kept aside. If a file is truncated, its end is filled in several ways: a pixel that differs
between two results was not in the file. See :mod:`negah.media.salvage`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from negah.media.repair.base import LONGEST, Repaired
from negah.media.repair.jpeg import repair_jpeg
from negah.media.repair.png import repair_png
from negah.media.repair.webp import repair_webp

__all__ = ["Repaired", "repaired"]

_EOI = b"\xff\xd9"


def repaired(kind: str, content: bytes) -> Repaired:
    """The file rebuilt from the available parts that the pixels need.

    Args:
        kind: a name of :data:`negah.media.kinds.KINDS`.
        content: the whole file.
    """
    repair = _REPAIRS.get(kind)
    found = None if repair is None else repair(content)
    return found or Repaired(content)


def _boxed(content: bytes) -> Repaired | None:
    """An AVIF or HEIC (ISO/IEC 14496-12) in which readers pass over what is no picture."""
    at = 0
    rebuilt = bytearray(content)
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        if length == 1 and at + 16 <= len(content):
            (length,) = struct.unpack_from(">Q", content, at + 8)
        if length < 8:  # 0: to the end
            at = len(content)
            break
        if name == b"meta":
            box = content[at : at + length]
            box = box.replace(b"Exif\0", b"none\0").replace(b"application/rdf+xml", b"x" * 19)
            rebuilt[at : at + length] = box[: len(content) - at]
        at += length
    missing = max(0, at - len(content))
    if missing > LONGEST * len(content):
        return None
    return Repaired(bytes(rebuilt), missing)


def _gif(content: bytes) -> Repaired:
    """Without what the first picture leaves to the second, which Pillow makes room for."""
    at = content.find(b"\x21\xf9\x04")
    if at < 0:
        return Repaired(content)
    rebuilt = content[: at + 3] + bytes([content[at + 3] & ~0x1C]) + content[at + 4 :]
    return Repaired(rebuilt)


def _jpeg_2000(content: bytes) -> Repaired | None:
    """What is compressed alone, out of the boxes around it; its end is marked as a JPEG's."""
    at = content.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    return Repaired(content[at:].removesuffix(_EOI).rstrip(b"\xff"), after=_EOI)


_REPAIRS: dict[str, Callable[[bytes], Repaired | None]] = {
    "JPEG": repair_jpeg,
    "PNG": repair_png,
    "WebP": repair_webp,
    "GIF": _gif,
    "AVIF": _boxed,
    "HEIC": _boxed,
    "JPEG 2000": _jpeg_2000,
}
