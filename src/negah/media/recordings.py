"""Where the recordings begin of which one file was joined, end to end.

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
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

# Elements that are walked through at most: what is damaged or has more is taken as it is.
_MOST_ELEMENTS = 1_000_000
_MOST_RECORDINGS = 10_000

# As much as any element's header takes (a page of OGG: 27 bytes and 255 lengths).
_HEAD = 282
_CHUNK = 1 << 20
_LARGEST = 1 << 62

# Position of a recording -> positions at which another may begin; the last may be behind the end.
_Walk = Callable[[BinaryIO, int], Iterator[int]]


class _Kind(NamedTuple):
    signature: re.Pattern[bytes]
    walk: _Walk


def find_recordings(file: BinaryIO, start: int = 0) -> list[tuple[int, int]]:
    """From where to where in a file each of its recordings reaches, in bytes; at least one.

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
    """Where the next header of a recording begins, at a byte or behind it; None if nowhere."""
    file.seek(at)
    held = b""
    while chunk := file.read(_CHUNK):
        held += chunk
        # One by one: each begins with bytes that are found quickly, all of them together do not.
        found = [hit.start() for kind in _KINDS if (hit := kind.signature.search(held))]
        if found:
            return at + min(found)
        at += max(len(held) - _HEAD, 0)
        held = held[-_HEAD:]
    return None


def _following(file: BinaryIO, start: int, size: int) -> int | None:
    """Where the recording after the one at ``start`` begins; None if that is the last."""
    kind = _kind_of(read_head(file, start))
    if kind is None:
        return None
    before = last = start
    for at in islice(kind.walk(file, start), _MOST_ELEMENTS):
        if at > size:
            break
        if at == size:
            return None
        if _kind_of(read_head(file, at)) is not None:
            return at
        before, last = last, at
    if last > start and _STREAM.match(read_head(file, last, _STREAM_HEAD)):
        return last
    # There is no structure, or it is damaged or cut short: the last length may be wrong.
    return find_header(file, before + 1)


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


def mp4_boxes(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Where the outermost boxes of an MP4 begin, and what kind each is; none of another file."""
    if read_head(file, 0)[4:8] not in {b"ftyp", b"moov"}:
        return
    yield 0, read_head(file, 0)[4:8]
    for at in islice(_boxes(file, 0), _MOST_ELEMENTS):
        yield at, read_head(file, at)[4:8]


def is_fragmented(file: BinaryIO) -> bool:
    """Whether an MP4 has its index in pieces between the frames (``moof``)."""
    return any(kind == b"moof" for _, kind in islice(mp4_boxes(file), 16))


def read_head(file: BinaryIO, at: int, size: int = _HEAD) -> bytes:
    """As much of an element as tells its kind and length; fewer bytes at the end of the file."""
    if at > _LARGEST:
        return b""
    file.seek(at)
    return file.read(size)


def walk_of(file: BinaryIO) -> _Walk | None:
    """What walks through the elements of a recording that begins with the file."""
    kind = _kind_of(read_head(file, 0))
    return kind and kind.walk


def ivf_frames(file: BinaryIO, size: int, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """From where to where each whole frame of an IVF reaches in it, and its timestamp."""
    at = start + _IVF_HEADER
    for following in _ivf(file, start):
        if following > at:
            if following > size:
                return
            yield at, following, int.from_bytes(read_head(file, at)[4:12], "little")
        at = following


def _last_frame(file: BinaryIO, start: int, end: int) -> int:
    """Where a recording ends: that of IVF with its last frame, others where they seem to."""
    if not read_head(file, start).startswith(b"DKIF"):
        return end
    last = start + _IVF_HEADER
    for _, last, _ in ivf_frames(file, end, start):  # noqa: B007
        pass
    return min(last, end)


def _kind_of(head: bytes) -> _Kind | None:
    return next((kind for kind in _KINDS if kind.signature.match(head)), None)


def _steps(length: Callable[[bytes], int]) -> _Walk:
    """Walk by elements, of which ``length`` tells how long each is; 0 where that is unknown."""

    def walk(file: BinaryIO, at: int) -> Iterator[int]:
        while (step := length(read_head(file, at))) > 0:
            at += step
            yield at

    return walk


def _box(head: bytes) -> int:
    """ISO/IEC 14496-12, 4.2."""
    if len(head) < 8 or not head[4:8].isascii() or min(head[4:8]) < 32:
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
    wide = 9 - head[0].bit_length() if head else 0
    if head[:wide] not in _EBML_ELEMENTS or len(head) <= wide or not head[wide]:
        return 0
    width = 9 - head[wide].bit_length()
    size = int.from_bytes(head[wide : wide + width], "big") & ((1 << 7 * width) - 1)
    unknown = size == (1 << 7 * width) - 1
    if unknown:
        return wide + width if head[:wide] in _EBML_MASTERS else 0
    return wide + width + size


_EBML_MASTERS = {bytes.fromhex(name) for name in ("18538067", "1f43b675")}  # Segment, Cluster
# Those that stand outermost, in a segment or in a cluster (RFC 9559, 5.1).
_EBML_ELEMENTS = _EBML_MASTERS | {
    bytes.fromhex(name)
    for name in (
        *("1a45dfa3", "ec", "bf", "114d9b74", "1549a966", "1654ae6b", "1c53bb6b", "1941a469"),
        *("1043a770", "1254c367", "e7", "a3", "a0", "a7", "ab", "5854", "af"),
    )
}


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
    for following in _steps(_ogg_page)(file, at):
        flags = read_head(file, following)[5:6]
        first = bool(flags and flags[0] & 2)
        if not (first and in_header):
            yield following
        in_header = first


def _flv(file: BinaryIO, at: int) -> Iterator[int]:
    # The header, with the length of no tag behind it, and tags, each with its own.
    yield (at := at + 13)
    yield from _steps(_flv_tag)(file, at)


def _flv_tag(head: bytes) -> int:
    """A sound, a picture, or data."""
    return 15 + int.from_bytes(head[1:4], "big") if head[:1] in {b"\x08", b"\x09", b"\x12"} else 0


def _ivf(file: BinaryIO, at: int) -> Iterator[int]:
    yield (at := at + _IVF_HEADER)
    yield from _steps(_ivf_frame)(file, at)


def _ivf_frame(head: bytes) -> int:
    """Its length and its timestamp, in 12 bytes, and itself."""
    if len(head) < 12 or head.startswith(b"DKIF"):
        return 0
    return 12 + int.from_bytes(head[:4], "little")


def _unknown(_: BinaryIO, __: int) -> Iterator[int]:
    yield from ()


_boxes = _steps(_box)
_IVF_HEADER = 32
# Packets of a transport stream in a row, plain or with a time before each; a programme stream.
_STREAM = re.compile(
    rb"(?:\x47.{187}){4}\x47|(?:.{4}\x47.{187}){4}.{4}\x47|\x00\x00\x01\xba", re.DOTALL
)
_STREAM_HEAD = 5 * 192
_PNG = b"\x89PNG\r\n\x1a\n"
_FTYP = rb"\x00\x00.[\x00-\xff]ftyp[ -~]{4}"
_EBML = rb"\x1a\x45\xdf\xa3.{1,80}?\x42\x82.{1,8}?(?:matroska|webm)"
_ASF = rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_MXF = rb"\x06\x0e\x2b\x34\x02\x05\x01.\x0d\x01\x02\x01\x01\x02"
_WTV = rb"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d"

# Signatures that no picture holds by chance.
_KINDS = tuple(
    _Kind(re.compile(pattern, re.DOTALL), walk)
    for pattern, walk in (
        (_FTYP, _boxes),
        (rb"RIFF....AVI LIST", _steps(_riff)),
        (_EBML, _steps(_ebml)),
        (_ASF, _steps(_asf)),
        (_MXF, _steps(_klv)),
        (re.escape(_PNG) + rb"....IHDR", _steps(_png)),
        (rb"OggS\x00[\x02\x03\x06\x07]\x00\x00\x00\x00\x00\x00\x00\x00", _ogg_pages),
        (rb"FLV\x01[\x00\x01\x04\x05]\x00\x00\x00\x09\x00\x00\x00\x00", _flv),
        (rb"DKIF\x00\x00\x20\x00", _ivf),
        (rb"nut/multimedia container\x00", _unknown),
        (rb"YUV4MPEG2 W\d+ H\d+ ", _unknown),
        (rb"\.RMF\x00\x00\x00\x12\x00[\x00\x01]", _unknown),
        (_WTV, _unknown),
    )
)
