"""What the pixels of a damaged picture need, of each kind: the rest of its file is left out.

Pillow's readers refuse a picture for the sake of metadata that nobody asked for: a text that is
damaged, a colour profile that is large. Viewers show it. So does a file that has been
rebuilt without them; the one thing that is kept aside is what tells which way up it is shown.

Where a file ends too early its end is made up, in several ways: a pixel that is different in two
pictures was not in the file. See :mod:`negah.media.salvage`.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

# A file that ends is filled up with one of these; a decoder may take exception to some. None has
# a byte 0xFF, which begins a marker in a JPEG.
_FILLINGS = (b"\0", bytes(number * 89 % 251 for number in range(1, 251)), b"\xaa", b"\x55")
# More than a few rows' worth in a JPEG: what is compared is where the two pictures part.
_SPARE = 4096
# Of a file that says that it is much longer than it is too little came to be shown.
_LONGEST = 20
# A copy that failed leaves blocks of zeros at the end.
_ZEROS = bytes(16)
# More of a compressed text than this is not looked into for the orientation.
_MOST_TEXT = 1 << 20


@dataclass(frozen=True, slots=True)
class Repaired:
    """A file as it might have been.

    Attributes:
        contents: the same with the missing end made up in several ways; one content where a
            reader needs no end, or nothing is missing.
        info: where the orientation may stand, under Pillow's names.
        whole: whether all rows are there, even where the two pictures differ: what lacks is
            detail, and the first content is to be taken as it is.
        detailed: whether nothing lacks if the two pictures do not differ.
    """

    contents: tuple[bytes, ...]
    info: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    detailed: bool = True


def repaired(kind: str, content: bytes) -> Repaired:
    """The file with what the pixels need, and as much of that as there is.

    Args:
        kind: a name of :data:`negah.media.kinds.KINDS`.
        content: the whole file.
    """
    repair = _REPAIRS.get(kind)
    found = None if repair is None else repair(content)
    return found or Repaired((content,))


def _filled(before: bytes, missing: int, after: bytes = b"") -> tuple[bytes, ...]:
    """Contents with so many bytes made up between ``before`` and ``after``."""
    if not missing:
        return (before + after,)
    return tuple(before + (one * (missing // len(one) + 1))[:missing] + after for one in _FILLINGS)


# --- JPEG (ITU-T T.81, annex B)

_SOI, _EOI, _SOS, _DHT = b"\xff\xd8", b"\xff\xd9", 0xDA, 0xC4
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_TABLES = frozenset({0xDB, _DHT, 0xCC, 0xDD})
# The end of what a scan has compressed: anything but a stuffed zero, a restart, or another 0xFF.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TABLE_OR_FRAME = re.compile(rb"\xff[\xdb\xc0-\xc2\xc4]")


@dataclass(slots=True)
class _JpegHead:
    """The segments before the first scan that decoding needs, and where the scan begins."""

    kept: list[bytes] = field(default_factory=list)
    scan: int = 0
    area: int = 0
    progressive: bool = False
    info: dict[str, Any] = field(default_factory=dict)

    def add(self, marker: int, segment: bytes) -> None:
        data = segment[4:]
        if marker in _FRAMES and len(data) >= 6:
            height, width = struct.unpack_from(">HH", data, 1)
            self.area, self.progressive = height * width, marker in _PROGRESSIVE
            self.kept.append(segment)
        elif marker in _TABLES or _sets_colours(marker, data):
            self.kept.append(segment)
        elif marker == 0xE1 and data.startswith(b"Exif\0\0"):
            # Several are one block that was too long for a segment.
            self.info["exif"] = self.info["exif"] + data[6:] if "exif" in self.info else data
        elif marker == 0xE1 and data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            self.info["xmp"] = data.split(b"\0", 1)[1]


def _sets_colours(marker: int, data: bytes) -> bool:
    jfif = marker == 0xE0 and data.startswith(b"JFIF\0") and len(data) >= 14
    return jfif or (marker == 0xEE and data.startswith(b"Adobe") and len(data) >= 12)


def _jpeg(content: bytes) -> Repaired | None:
    head = _jpeg_head(content)
    if head is None:
        return None
    scans, end = _scans(content, head.scan)
    body = content[head.scan : end]
    if end == len(content) and body.endswith(_ZEROS):
        body = body.rstrip(b"\0")
    body = body.rstrip(b"\xff")  # half a marker
    before = _SOI + b"".join(head.kept) + body
    # Of a first scan that ended there are all rows; what may lack is detail.
    return Repaired(
        (before + _EOI, *_filled(before, _SPARE, _EOI)[1:]),
        head.info,
        whole=len(scans) > 1,
        detailed=_all_detail(scans),
    )


def _jpeg_head(content: bytes) -> _JpegHead | None:
    head = _JpegHead()
    at = _walk(content, 2, head)
    if head.scan and head.area:
        return head
    # A length that is wrong leads nowhere. The picture's own tables and frame come later; before
    # them may stand those of a preview, which is smaller.
    best: _JpegHead | None = None
    while (found := _TABLE_OR_FRAME.search(content, at)) is not None:
        other = _JpegHead(kept=list(head.kept))
        _walk(content, found.start(), other)
        at = max(found.end(), other.scan)
        if other.scan and other.area > (best.area if best is not None else 0):
            best = other
    if best is not None:
        best.info = {**best.info, **head.info}
    return best


def _walk(content: bytes, at: int, head: _JpegHead) -> int:
    """Follow the segments to the first scan; gives where that begins, or where it went wrong."""
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if end > len(content) or end < at + 4 or marker < 0xC0:
            break
        if marker == _SOS:
            head.scan = at
            break
        if content[end : end + 1] not in (b"\xff", b""):
            break  # the length is wrong
        head.add(marker, content[at:end])
        at = end
    return at


def _scans(content: bytes, at: int) -> tuple[list[bytes], int]:
    """The headers of the scans, and where what they have compressed ends."""
    scans: list[bytes] = []
    while True:
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] == _SOS:
            scans.append(content[at + 4 : at + 2 + length])
        found = _MARKER.search(content, at + 2 + length)
        if found is None:
            return scans, len(content)
        end = found.start()
        # Tables may stand between two scans.
        at = end
        while content[at + 1 : at + 2] and content[at + 1] in _TABLES:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at : at + 2] != bytes((0xFF, _SOS)) or at + 4 > len(content):
            return scans, end


def _all_detail(scans: list[bytes]) -> bool:
    """Whether the scans of a JPEG give every coefficient of every component in full."""
    missing: dict[int, set[int]] = {}
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 4 + 2 * count:
            return False
        first, last, bits = scan[1 + 2 * count : 4 + 2 * count]
        for component in scan[1 : 1 + 2 * count : 2]:
            lacking = missing.setdefault(component, set(range(64)))
            if not bits & 15:
                lacking.difference_update(range(first, last + 1))
    return bool(missing) and not any(missing.values())


# --- PNG (ISO/IEC 15948)

_PNG = b"\x89PNG\r\n\x1a\n"
_NEEDED = re.compile(rb"PLTE|tRNS|IDAT|IEND")
_NAME = re.compile(rb"[A-Za-z]{4}")


def _png(content: bytes) -> Repaired | None:
    header = content[8:33]
    if header[4:8] != b"IHDR" or not _is_sound(header):
        return None  # nothing is known of a picture without its header
    needed = {b"PLTE": b"", b"tRNS": b"", b"IDAT": b""}
    info: dict[str, Any] = {}
    for name, data, sound in _chunks(content):
        if name == b"IDAT" or (name in needed and not needed[name] and (sound or name == b"PLTE")):
            needed[name] += data
        elif sound and name == b"eXIf":
            info["exif"] = b"Exif\0\0" + data
        elif sound and name in (b"tEXt", b"zTXt", b"iTXt"):
            info.update(_png_text(name, data))
    chunks = [_chunk(name, data) for name, data in needed.items() if data]
    rebuilt = b"".join([_PNG, header, *chunks, _chunk(b"IEND", b"")])
    return Repaired((rebuilt,), info)


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


# --- WebP (RFC 9649)

_PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANMF", b"ANIM")
# What a header says is there besides pixels: a profile, EXIF, XMP.
_BESIDES = 0x2C


def _webp(content: bytes) -> Repaired | None:
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
                length += _SPARE + (length + _SPARE) % 2
                missing = length - len(data)
            parts.append(_riff(name, data, length))
        elif name in (b"EXIF", b"XMP ") and len(data) == length:
            info["exif" if name == b"EXIF" else "xmp"] = data
        at += 8 + length + length % 2
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            # The first picture is enough; what follows may tell how it is to be turned.
            at = _first_of(content, (b"EXIF", b"XMP "), at)
    if missing > _LONGEST * len(content) + _SPARE:
        return None
    size = 4 + sum(map(len, parts)) + missing
    before = b"RIFF" + struct.pack("<I", size) + b"WEBP" + b"".join(parts)
    return Repaired(_filled(before, missing), info)


def _first_of(content: bytes, names: tuple[bytes, ...], at: int) -> int:
    places = [place for name in names if (place := content.find(name, at)) >= 0]
    return min(places, default=len(content))


def _riff(name: bytes, data: bytes, length: int) -> bytes:
    """A chunk, which is padded to an even length unless its end is missing."""
    padding = b"\0" * (length % 2 if length == len(data) else 0)
    return name + struct.pack("<I", length) + data + padding


# --- AVIF and HEIC (ISO/IEC 14496-12 and 23008-12)


def _boxed(content: bytes) -> Repaired | None:
    """With the names of what is no picture changed to one that readers pass over."""
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
    if missing > _LONGEST * len(content):
        return None
    return Repaired(_filled(bytes(rebuilt), missing))


# --- GIF and JPEG 2000


def _gif(content: bytes) -> Repaired:
    """Without what the first picture leaves to the second, which Pillow makes room for."""
    at = content.find(b"\x21\xf9\x04")
    if at < 0:
        return Repaired((content,))
    rebuilt = content[: at + 3] + bytes([content[at + 3] & ~0x1C]) + content[at + 4 :]
    return Repaired((rebuilt,))


def _jpeg_2000(content: bytes) -> Repaired | None:
    """What is compressed alone, out of the boxes around it; its end is marked as a JPEG's."""
    at = content.find(b"\xff\x4f\xff\x51")
    if at < 0:
        return None
    return Repaired((content[at:].removesuffix(_EOI).rstrip(b"\xff") + _EOI,))


_REPAIRS: dict[str, Callable[[bytes], Repaired | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "GIF": _gif,
    "AVIF": _boxed,
    "HEIC": _boxed,
    "JPEG 2000": _jpeg_2000,
}
