"""The header, the palette and the pixels of a PNG (ISO/IEC 15948)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from negah.media.repair.base import Repaired

# More of a compressed text than this is not looked into for the orientation.
_MOST_TEXT = 1 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED = re.compile(rb"PLTE|tRNS|IDAT|IEND")
# How long tRNS may be, by the colour type: grey, red-green-blue, palette.
_TRANSPARENT = {0: (2,), 2: (6,), 3: range(1, 257)}
_CHECKSUM = 4
_NAME = re.compile(rb"[A-Za-z]{4}")


def repair_png(content: bytes) -> Repaired | None:
    """The PNG without what is no picture; None if its header is damaged."""
    header = content[8:33]
    if header[4:8] != b"IHDR" or not _is_sound(header):
        return None  # nothing is known of a picture without its header
    needed = {b"PLTE": b"", b"tRNS": b"", b"IDAT": b""}
    info: dict[str, Any] = {}
    ended = False
    for name, data, sound in _chunks(content):
        ended = ended or name == b"IEND"
        if name == b"tRNS" and not _fits(header, data):
            continue
        if name == b"IDAT" or (name in needed and not needed[name] and (sound or name == b"PLTE")):
            needed[name] += data
        elif sound and name == b"eXIf":
            info["exif"] = b"Exif\0\0" + data
        elif sound and name in (b"tEXt", b"zTXt", b"iTXt"):
            info.update(_png_text(name, data))
    if ended:
        # The checksum of what is compressed: were it wrong, the last row would be lost to it.
        needed[b"IDAT"] = needed[b"IDAT"][:-_CHECKSUM]
    chunks = [_chunk(name, data) for name, data in needed.items() if data]
    rebuilt = b"".join([_PNG, header, *chunks, _chunk(b"IEND", b"")])
    return Repaired(rebuilt, info=info)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Name, data, and whether the checksum is right, of each chunk behind the header."""
    at = 33
    while at + 8 <= len(content):
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        beyond = content[end + 4 : end + 8]
        known = _NAME.fullmatch(name) and (not beyond or _NAME.fullmatch(beyond))
        if not known or end > len(content):
            # The length or the name is wrong: what follows is found by its name.
            coming = _NEEDED.search(content, at + 8)
            end = coming.start() - 4 if coming is not None else len(content) + 4
        yield name, content[at + 8 : max(at + 8, end - 4)], _is_sound(content[at:end])
        at = max(end, at + 8)
        if name == b"IEND":
            return


def _fits(header: bytes, transparent: bytes) -> bool:
    """Whether a chunk tRNS is as long as the colour type in the header wants it."""
    return len(transparent) in _TRANSPARENT.get(header[17], ())


def _is_sound(chunk: bytes) -> bool:
    return chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_text(name: bytes, data: bytes) -> dict[str, Any]:
    """The text of a chunk, if the orientation may stand in it."""
    key, _, text = data.partition(b"\0")
    if key not in (b"Raw profile type exif", b"XML:com.adobe.xmp"):
        return {}
    compressed = name == b"zTXt"
    if compressed:
        text = text[1:]
    elif name == b"iTXt":
        compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    if compressed:
        try:
            text = zlib.decompressobj().decompress(text, _MOST_TEXT)
        except zlib.error:
            return {}
    return {key.decode("ascii"): text.decode("latin-1")}
