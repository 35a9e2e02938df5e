"""Detection of truncated clips, by the length that the container states.

FFmpeg reads a truncated file to its end, usually without an error. So the stated length is compared
with the file. Programme and transport streams, NUT, and what is coded without a container state no
length, so truncation cannot be detected.
"""

from __future__ import annotations

import io
import re
import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

from negah.media.containers import ClipSource
from negah.media.elements import MOST_ELEMENTS, ivf_frames, read_head, walk_of
from negah.media.recordings import is_fragmented

# Missing data up to this amount is not reported, because headers of complete files are slightly
# inaccurate: a share of the length, between these numbers of bytes.
_LITTLE_SHARE, _LITTLE_MOST, _LITTLE_LEAST = 0.01, 64 << 10, 16
# ... and in seconds, where the length is a time.
_LITTLE_SECONDS = 1.0

_NO_END = "its end is missing"
_GIF_FILLING = b"\0\r\n"


def what_is_unread(sources: Sequence[ClipSource], refused: Mapping[int, str]) -> Iterator[str]:
    """Missing or unread parts of a clip, one clause each.

    Args:
        sources: the joined recordings.
        refused: for each that cannot be read its first byte and the reason.
    """
    for place, reason in refused.items():
        yield f"the recording at byte {place} {reason}"
    missing: str | None = None
    for source in sources:
        start = (source.section or (0, 0))[0]
        if start in refused and source.section is not None:
            continue
        with source.open() as file:
            missing = _missing(file)
        if missing is not None:
            yield missing if len(sources) == 1 else f"of the recording at byte {start} {missing}"
    with replace(sources[-1], section=None).open() as file:
        size = file.seek(0, io.SEEK_END)
    behind = size - max((source.section or (0, size))[1] for source in sources)
    if behind and missing is None:
        yield f"its last {behind} bytes are no frames"


def _missing(file: BinaryIO) -> str | None:
    size = file.seek(0, io.SEEK_END)
    head = read_head(file, 0)
    for signature, look in _LOOKS:
        if head.startswith(signature, 4 if signature == b"ftyp" else 0):
            return look(file, size)
    return None


def _share(there: float, stated: float, little: float) -> str | None:
    if stated - there <= little:
        return None
    return f"{min(int(100 * there / stated), 99)}% of its length"


def _of_bytes(size: int, stated: int) -> str | None:
    little = max(min(stated * _LITTLE_SHARE, _LITTLE_MOST), _LITTLE_LEAST)
    return _share(size, stated, little)


def _cut(file: BinaryIO, size: int) -> tuple[bytes, int] | None:
    """The head of the outermost element that ends behind the file, and where it would end."""
    walk = walk_of(file)
    at = 0
    for following in islice(walk(file, 0), MOST_ELEMENTS) if walk else ():
        if following > size:
            return read_head(file, at), following
        at = following
    head = read_head(file, at)
    # Of the last one not even the length is there.
    return (head, size + 1) if at + len(head) == size else None


def _by_element(*names: bytes, at: int = 0, whole: bool = True) -> Callable[..., str | None]:
    """A look at the element that was cut, if it is one of these.

    Args:
        names: how such elements begin.
        at: ... from this byte on.
        whole: whether such an element holds all frames, so that its length is that of the file.
    """

    def look(file: BinaryIO, size: int) -> str | None:
        cut = _cut(file, size)
        if cut is None or not cut[0].startswith(names, at):
            return None
        return _of_bytes(size, cut[1]) if whole else _NO_END

    return look


def _mp4(file: BinaryIO, size: int) -> str | None:
    # With an index in pieces between the frames, nobody knows how many are missing.
    whole = not is_fragmented(file)
    return _by_element(b"mdat", b"moov", b"moof", at=4, whole=whole)(file, size)


def _mxf(file: BinaryIO, size: int) -> str | None:
    """SMPTE 377-1, 7.1: a partition states where the last one begins."""
    head = read_head(file, 0)
    value = 17 + (head[16] & 0x7F if head[16] >= 0x80 else 0)
    footer = int.from_bytes(head[value + 24 : value + 32], "big")
    return _of_bytes(size, footer) or _by_element(b"\x06\x0e\x2b\x34", whole=False)(file, size)


def _flv(file: BinaryIO, size: int) -> str | None:
    """The size that is stated in ``onMetaData``, else the time of the last tag."""
    file.seek(0)
    numbers = {
        name: struct.unpack(">d", number)[0]
        for name, number in re.findall(
            rb"\x00\x08(filesize|duration)\x00(.{8})", file.read(64 << 10), re.DOTALL
        )
    }
    stated = numbers.get(b"filesize", 0.0)
    if 0 < stated < float("inf"):
        return _of_bytes(size, int(stated))
    walk = walk_of(file)
    places = islice(walk(file, 0), MOST_ELEMENTS) if walk else ()
    last = deque((at for at in places if at < size), maxlen=1)
    head = read_head(file, last[0]) if last else b""
    lasts = numbers.get(b"duration", 0.0)
    if len(head) < 8 or not 0 < lasts < float("inf"):
        return None
    time = (int.from_bytes(head[4:7], "big") | head[7] << 24) / 1000
    return _share(time, lasts, max(_LITTLE_SECONDS, _LITTLE_SHARE * lasts))


def _ivf(file: BinaryIO, size: int) -> str | None:
    """Its header states the number of its frames or, by some writers, the time of its end."""
    stated = int.from_bytes(read_head(file, 0)[24:28], "little")
    if stated == 0xFFFFFFFF:
        return None
    count, last = 0, 0
    for count, (_, _, stamp) in enumerate(ivf_frames(file, size), 1):  # noqa: B007
        last = max(last, stamp)
    reached = max(count, last + last / max(count - 1, 1))
    return _share(min(reached, stated), stated, _LITTLE_SHARE * stated)


def _png(file: BinaryIO, size: int) -> str | None:
    """The last chunk."""
    walk = walk_of(file)
    places = islice(walk(file, 0), MOST_ELEMENTS) if walk else ()
    ends = (at for at in places if at + 12 <= size and read_head(file, at)[4:8] == b"IEND")
    return _NO_END if next(ends, None) is None else None


def _gif(file: BinaryIO, size: int) -> str | None:
    """The trailer, behind the end of a picture."""
    file.seek(max(size - 4096, 0))
    end = file.read().rstrip(_GIF_FILLING)
    return None if end.endswith((b"\x00;", b"\xff;")) or end == b";" else _NO_END


# How each kind starts (MP4 after the length of its first box), and the function for its length.
_LOOKS: tuple[tuple[bytes, Callable[[BinaryIO, int], str | None]], ...] = (
    (b"ftyp", _mp4),
    (b"RIFF", _by_element(b"RIFF")),
    (b"\x1a\x45\xdf\xa3", _by_element(b"\x18\x53\x80\x67")),
    (
        b"\x30\x26\xb2\x75",
        _by_element(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\x36\x26\xb2\x75\x8e\x66\xcf\x11"),
    ),
    (b"\x06\x0e\x2b\x34", _mxf),
    (b"FLV", _flv),
    (b"DKIF", _ivf),
    (b"GIF8", _gif),
    (b"OggS", _by_element(b"OggS", whole=False)),
    (b"\x89PNG", _png),
)
