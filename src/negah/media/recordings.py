"""Detection of recordings that were concatenated into one file.

``cat a.mkv b.mkv > c.mkv`` gives a file of which FFmpeg reads the first recording only, or all of
it with the decoder set up for the first. So the outermost structure of a file is walked through,
from element to element without reading what is in them, until the header of another recording
follows; formats without such a structure are searched for their signature.

Programme and transport streams, and what is coded without a container, need none of this: they
have no header, and FFmpeg reads them to the end (:mod:`negah.media.clock` mends their times). Only
where one follows a recording of another kind does it count as another.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from negah.media.elements import (
    HEAD_BYTES,
    IVF_HEADER,
    KINDS,
    MOST_ELEMENTS,
    boxes,
    ivf_frames,
    kind_of,
    read_head,
)

_MOST_RECORDINGS = 10_000
_CHUNK = 1 << 20

# Packets of a transport stream in a row, plain or with a time before each; a programme stream.
_STREAM = re.compile(
    rb"(?:\x47.{187}){4}\x47|(?:.{4}\x47.{187}){4}.{4}\x47|\x00\x00\x01\xba", re.DOTALL
)
_STREAM_HEAD = 5 * 192


def find_recordings(file: BinaryIO, start: int = 0) -> list[tuple[int, int]]:
    """The byte range of each recording in a file; at least one.

    What stands behind the last one, and is none, counts as its part, unless it would be taken for
    frames, as in IVF.

    Args:
        file: open for reading; where it stands afterwards is undefined.
        start: where the first one begins.
    """
    size = file.seek(0, io.SEEK_END)
    starts = [start]
    while len(starts) < _MOST_RECORDINGS:
        found = _following(file, starts[-1], size)
        if found is None:
            break
        starts.append(found)
    ends = [*starts[1:], size]
    return [(at, _last_frame(file, at, end)) for at, end in zip(starts, ends, strict=True)]


def find_header(file: BinaryIO, at: int) -> int | None:
    """The position of the next recording header at or after a byte; None if there is none."""
    file.seek(at)
    held = b""
    while chunk := file.read(_CHUNK):
        held += chunk
        # One by one: each begins with bytes that are found quickly, all of them together do not.
        found = [hit.start() for kind in KINDS if (hit := kind.signature.search(held))]
        if found:
            return at + min(found)
        at += max(len(held) - HEAD_BYTES, 0)
        held = held[-HEAD_BYTES:]
    return None


def _following(file: BinaryIO, start: int, size: int) -> int | None:
    """The start of the recording after the one at ``start``; None if that is the last."""
    kind = kind_of(read_head(file, start))
    if kind is None:
        return None
    before = last = start
    for at in islice(kind.walk(file, start), MOST_ELEMENTS):
        if at > size:
            break
        if at == size:
            return None
        if kind_of(read_head(file, at)) is not None:
            return at
        before, last = last, at
    if last > start and _STREAM.match(read_head(file, last, _STREAM_HEAD)):
        return last
    # There is no structure, or it is damaged or cut short: the last length may be wrong.
    return find_header(file, before + 1)


class Section(io.RawIOBase):
    """A part of a file as a file object.

    Args:
        file: closed together with the section.
        start: where the section begins in it, in bytes.
        end: where it ends.
    """

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._length = file, start, end - start
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to a number of bytes; all remaining ones if negative."""
        left = max(self._length - self._at, 0)
        self._file.seek(self._start + self._at)
        content = self._file.read(left if size < 0 else min(size, left))
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file beneath."""
        self._file.close()
        super().close()


def mp4_boxes(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Where the outermost boxes of an MP4 begin, and what kind each is; none of another file."""
    if read_head(file, 0)[4:8] not in {b"ftyp", b"moov"}:
        return
    yield 0, read_head(file, 0)[4:8]
    for at in islice(boxes(file, 0), MOST_ELEMENTS):
        yield at, read_head(file, at)[4:8]


def is_fragmented(file: BinaryIO) -> bool:
    """Whether an MP4 has its index in pieces between the frames (``moof``)."""
    return any(kind == b"moof" for _, kind in islice(mp4_boxes(file), 16))


def _last_frame(file: BinaryIO, start: int, end: int) -> int:
    """Where a recording ends: that of IVF with its last frame, others where they seem to."""
    if not read_head(file, start).startswith(b"DKIF"):
        return end
    last = start + IVF_HEADER
    for _, last, _ in ivf_frames(file, end, start):  # noqa: B007
        pass
    return min(last, end)
