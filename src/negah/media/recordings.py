"""Where the recordings begin of which one file was joined, end to end.

``cat a.mkv b.mkv > c.mkv`` gives a file of which FFmpeg reads the first recording only, or all of
it with the decoder set up for the first. So the outermost structure of a file is walked through,
from element to element without reading what is in them, until the header of another recording
follows; formats without such a structure are searched for their signature.

Programme and transport streams, and what is coded without a container, need none of this: they
have no header, and FFmpeg reads them to the end (:mod:`negah.media.clock` mends their times).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

# Elements that are walked through at most: what is damaged or has more is taken as it is.
_MOST_ELEMENTS = 1_000_000
_MOST_RECORDINGS = 10_000

# As much as any element's header takes (a page of OGG: 27 bytes and 255 lengths).
_HEAD = 282
_CHUNK = 1 << 20

# Position after a recording's header -> positions at which another recording may begin.
_Walk = Callable[[BinaryIO, int], Iterator[int]]


class _Kind(NamedTuple):
    begins: Callable[[bytes], bool]
    walk: _Walk


def find_recordings(file: BinaryIO) -> list[tuple[int, int]]:
    """From where to where in a file each of its recordings reaches, in bytes; at least one.

    What stands behind the last one, and is none, counts as its part.

    Args:
        file: open for reading; where it stands afterwards is undefined.
    """
    size = file.seek(0, io.SEEK_END)
    starts = [0]
    while len(starts) < _MOST_RECORDINGS:
        kind = _kind_of(_head(file, starts[-1]))
        if kind is None:
            break
        following = (
            at
            for at in islice(kind.walk(file, starts[-1]), _MOST_ELEMENTS)
            if starts[-1] < at < size and _kind_of(_head(file, at)) is not None
        )
        found = next(following, None)
        if found is None:
            break
        starts.append(found)
    return list(zip(starts, [*starts[1:], size], strict=True))


class Section(io.RawIOBase):
    """A part of a file, as a file of its own.

    Args:
        file: closed together with the section.
        start: where the section begins in it, in bytes.
        end: where it ends.
    """

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._length = file, start, end - start
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes; all that follow if negative."""
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


def is_fragmented(file: BinaryIO) -> bool:
    """Whether an MP4 has its index in pieces between the frames (``moof``)."""
    if not _is_mp4(_head(file, 0)):
        return False
    return any(_head(file, at)[4:8] == b"moof" for at in islice(_boxes(file, 0), 16))


def _head(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.read(_HEAD)


def _kind_of(head: bytes) -> _Kind | None:
    return next((kind for kind in _KINDS if kind.begins(head)), None)


def _steps(length: Callable[[bytes], int]) -> _Walk:
    """Walk by elements, of which ``length`` tells how long each is; 0 where that is unknown."""

    def walk(file: BinaryIO, at: int) -> Iterator[int]:
        while (step := length(_head(file, at))) > 0:
            at += step
            yield at

    return walk


def _box(head: bytes) -> int:
    """ISO/IEC 14496-12, 4.2."""
    if len(head) < 8 or not head[4:8].isascii():
        return 0
    size = int.from_bytes(head[:4], "big")
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return size if size >= 8 else 0


def _riff(head: bytes) -> int:
    """A chunk, whose length is made even."""
    if len(head) < 8 or not head[:4].isalnum():
        return 0
    size = int.from_bytes(head[4:8], "little")
    return 8 + size + size % 2


def _ebml(head: bytes) -> int:
    """An element of Matroska (RFC 8794): what is of unknown length is stepped into."""
    if not head or head[0] < 0x10:
        return 0
    wide = 9 - head[0].bit_length()
    if len(head) <= wide or not head[wide]:
        return 0
    width = 9 - head[wide].bit_length()
    size = int.from_bytes(head[wide : wide + width], "big") & ((1 << 7 * width) - 1)
    unknown = size == (1 << 7 * width) - 1
    if unknown:
        return wide + width if head[:wide] in _EBML_MASTERS else 0
    return wide + width + size


_EBML_MASTERS = {b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"}  # Segment, Cluster


def _asf(head: bytes) -> int:
    """An object: a GUID and its length with both."""
    size = int.from_bytes(head[16:24], "little")
    return size if size >= 24 else 0


def _klv(head: bytes) -> int:
    """A triplet of MXF (SMPTE 336M): a key of 16 bytes, a length in BER, a value."""
    if not head.startswith(b"\x06\x0e\x2b\x34") or len(head) < 17:
        return 0
    if head[16] < 0x80:
        return 17 + head[16]
    width = head[16] & 0x7F
    return 17 + width + int.from_bytes(head[17 : 17 + width], "big") if width <= 8 else 0


def _png(head: bytes) -> int:
    """The signature, or a chunk with its name and its checksum."""
    if head.startswith(_PNG):
        return len(_PNG)
    return 12 + int.from_bytes(head[:4], "big") if head[4:8].isalpha() else 0


def _ogg_page(head: bytes) -> int:
    """RFC 3533, 6."""
    if not head.startswith(b"OggS") or len(head) < 27:
        return 0
    return 27 + head[26] + sum(head[27 : 27 + head[26]])


def _ogg_pages(file: BinaryIO, at: int) -> Iterator[int]:
    # Each stream has a first page; those of one recording follow each other.
    in_header = True
    for at in _steps(_ogg_page)(file, at):
        first = bool(_head(file, at)[5:6] and _head(file, at)[5] & 2)
        if not (first and in_header):
            yield at
        in_header = first


def _search(pattern: bytes) -> _Walk:
    """Walk by looking for a signature."""
    signature = re.compile(pattern, re.DOTALL)

    def walk(file: BinaryIO, at: int) -> Iterator[int]:
        at += 1
        file.seek(at)
        held = b""
        while chunk := file.read(_CHUNK):
            held += chunk
            found = signature.search(held)
            if found:
                yield at + found.start()
                return
            at += max(len(held) - _HEAD, 0)
            held = held[-_HEAD:]

    return walk


def _starting(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(pattern, re.DOTALL)
    return lambda head: compiled.match(head) is not None


_boxes = _steps(_box)
_PNG = b"\x89PNG\r\n\x1a\n"

_is_mp4 = _starting(rb"....ftyp")

# Those that are searched for have signatures that no picture holds by chance.
_SEARCHED = (
    rb"FLV\x01[\x00\x01\x04\x05]\x00\x00\x00\x09\x00\x00\x00\x00",
    rb"DKIF\x00\x00\x20\x00",
    rb"nut/multimedia container\x00",
    rb"YUV4MPEG2 W\d+ H\d+ ",
    rb"\.RMF\x00\x00\x00\x12\x00[\x00\x01]",
    rb"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d",  # WTV
)
_KINDS = (
    _Kind(_is_mp4, _boxes),
    _Kind(_starting(rb"RIFF....AVI "), _steps(_riff)),
    _Kind(_starting(rb"\x1a\x45\xdf\xa3"), _steps(_ebml)),
    _Kind(_starting(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), _steps(_asf)),
    _Kind(_starting(rb"\x06\x0e\x2b\x34\x02\x05\x01.\x0d\x01\x02\x01\x01\x02"), _steps(_klv)),
    _Kind(_starting(re.escape(_PNG)), _steps(_png)),
    _Kind(_starting(rb"OggS\x00[\x02\x03\x06\x07]"), _ogg_pages),
    *(_Kind(_starting(pattern), _search(pattern)) for pattern in _SEARCHED),
)
