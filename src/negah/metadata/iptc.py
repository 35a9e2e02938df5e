"""The caption in a JPEG's IPTC-IIM (2:120 Caption/Abstract), which older programs read."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from negah.metadata.containers import ContainerError, first_place, jpeg_segments, segment_body

_SEGMENT = b"Photoshop 3.0\0"
_RESOURCE = 0x0404
_UTF8 = b"\x1b%G"
_CHARSET, _VERSION, _CAPTION = (1, 90), (2, 0), (2, 120)


def read_caption(content: bytes) -> str:
    """Read the caption of a JPEG; "" if there is none.

    Raises:
        ContainerError: the data are damaged.
    """
    found = _find(content)
    if found is None:
        return ""
    sets = list(_data_sets(found[2]))
    for name, data in sets:
        if name == _CAPTION:
            return _decoded(data)
    return ""


def write_caption(content: bytes, caption: str) -> bytes:
    """The JPEG with this caption in its IPTC-IIM; everything else is unchanged.

    Raises:
        ContainerError: the existing data is damaged, or the result would be too long.
    """
    found = _find(content)
    old = b"" if found is None else found[2]
    sets = [one for one in _data_sets(old) if one[0] != _CAPTION]
    plain = all(data.isascii() for name, data in sets if name[0] == 2 and name != _VERSION)
    names = [name for name, _ in sets]
    if _CHARSET not in names and plain and not caption.isascii():
        sets.insert(0, (_CHARSET, _UTF8))
    utf8 = (_CHARSET, _UTF8) in sets or caption.isascii()
    if _VERSION not in names:
        at = sum(name[0] < 2 for name, _ in sets)
        sets.insert(at, (_VERSION, b"\0\4"))
    at = sum(name[0] <= 2 for name, _ in sets)
    sets.insert(at, (_CAPTION, caption.encode("utf-8" if utf8 else "latin-1", "replace")))
    if any(len(data) >= 0x8000 for _, data in sets):
        raise ContainerError("its IPTC data would be too long")
    new = b"".join(struct.pack(">BBBH", 0x1C, *name, len(data)) + data for name, data in sets)
    resource = b"8BIM" + struct.pack(">HHI", _RESOURCE, 0, len(new)) + new + b"\0" * (len(new) % 2)
    if found is not None:
        start, end, _, (before, after) = found
        body = before + resource + after
    else:
        start = end = first_place(content)
        body = _SEGMENT + resource
    if len(body) > 65533:
        raise ContainerError("its IPTC data would be too long")
    segment = b"\xff\xed" + struct.pack(">H", len(body) + 2) + body
    return content[:start] + segment + content[end:]


def _find(content: bytes) -> tuple[int, int, bytes, tuple[bytes, bytes]] | None:
    """Start and end of the segment, the data sets, and the bytes around their resource.

    If the segment has none, the data is empty, and its position is after the other resources.
    """
    empty = None
    for marker, start, end in jpeg_segments(content):
        body = segment_body(content, start)
        if marker != 0xED or not content.startswith(_SEGMENT, body):
            continue
        data, at = content[body:end], len(_SEGMENT)
        while at + 12 <= len(data) and data.startswith(b"8BIM", at):
            name = data[at + 6] + 1
            size_at = at + 6 + name + name % 2
            size = int.from_bytes(data[size_at : size_at + 4], "big")
            last = size_at + 4 + size
            if last > len(data):
                raise ContainerError("its Photoshop data are damaged, or in several segments")
            kind = int.from_bytes(data[at + 4 : at + 6], "big")
            after = min(last + size % 2, len(data))
            if kind == _RESOURCE:
                return start, end, data[size_at + 4 : last], (data[:at], data[after:])
            at = after
        if data[at:].strip(b"\0"):
            raise ContainerError("its Photoshop data are damaged, or in several segments")
        empty = empty or (start, end, b"", (data[:at], data[at:]))
    return empty


def _data_sets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Record and number, and data, of each data set (IPTC-IIM 4.2, 1.5)."""
    at = 0
    while at < len(data):
        if data[at] == 0 and not data[at:].strip(b"\0"):
            return
        if data[at] != 0x1C or at + 5 > len(data):
            raise ContainerError("its IPTC data are damaged")
        record, number, length = struct.unpack_from(">BBH", data, at + 1)
        end = at + 5 + length
        if length & 0x8000 or end > len(data):
            raise ContainerError("its IPTC data are damaged, or too long")
        yield (record, number), data[at + 5 : end]
        at = end


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
