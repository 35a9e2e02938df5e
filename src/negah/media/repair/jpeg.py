"""The tables, the frame and the scans of a JPEG (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Any

from negah.media.repair.base import SPARE, Repaired

# A copy that failed leaves blocks of zeros at the end.
_ZEROS = bytes(16)

_SOI, _EOI, _SOS, _DHT = b"\xff\xd8", b"\xff\xd9", 0xDA, 0xC4
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_TABLES = frozenset({0xDB, _DHT, 0xCC, 0xDD})
# The end of what a scan has compressed: anything but a stuffed zero, a restart, or another 0xFF.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_TABLE_OR_FRAME = re.compile(rb"\xff[\xdb\xc0-\xc2\xc4\xee]")


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


def repair_jpeg(content: bytes) -> Repaired | None:
    """The JPEG without what is no picture, up to where its last scan ends; None if it has none."""
    head = _jpeg_head(content)
    if head is None:
        return None
    scans, end = _scans(content, head.scan)
    body = content[head.scan : end]
    instead = None
    if body.endswith(_ZEROS):
        if end == len(content):
            body = body.rstrip(b"\0")
        else:
            # Before an end marker they may be pixels of one colour.
            instead = content[:end].rstrip(b"\0")
    body = body.rstrip(b"\xff")  # half a marker
    before = _SOI + b"".join(head.kept) + body
    detailed = _all_detail(scans)
    # Of a first scan that ended there are all rows; what may lack is detail.
    return Repaired(
        before,
        SPARE,
        _EOI,
        head.info,
        ends=True,
        whole=len(scans) > 1,
        detailed=detailed,
        instead=instead,
        complete=head.progressive and detailed and content.startswith(_EOI, end),
    )


def _jpeg_head(content: bytes) -> _JpegHead | None:
    head = _JpegHead()
    at = _walk(content, 2, head)
    if head.scan and head.area:
        # It is a preview if a length led into one. What follows it is no file of its own then.
        _, end = _scans(content, head.scan)
        beyond = content.find(_SOI + b"\xff", end)
        best = _largest(content, end, beyond if beyond >= 0 else len(content), [])
        if best is None or best.area <= head.area:
            return head
    else:
        # A length that is wrong leads nowhere. The picture's own tables and frame come later;
        # before them may stand those of a preview, which is smaller.
        best = _largest(content, at, len(content), head.kept)
    if best is not None:
        best.info = {**best.info, **head.info}
    return best


def _largest(content: bytes, at: int, end: int, kept: list[bytes]) -> _JpegHead | None:
    """The largest picture whose tables begin between two places, with segments before it."""
    best: _JpegHead | None = None
    while (found := _TABLE_OR_FRAME.search(content, at, end)) is not None:
        other = _JpegHead(kept=list(kept))
        _walk(content, found.start(), other)
        at = max(found.end(), other.scan)
        if other.scan and other.area > (best.area if best is not None else 0):
            best = other
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
