"""The top-level elements of each container format: their positions and lengths.

Their contents are not read. Formats without such a structure have only a signature.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

#: Maximum size of an element's header (a page of OGG: 27 bytes and 255 lengths).
HEAD_BYTES = 282

#: Maximum number of elements that are walked through; the rest is taken as it is.
MOST_ELEMENTS = 1_000_000

_LARGEST = 1 << 62

# Position of a recording -> positions at which another may begin; the last may be behind the end.
_FindRecordings = Callable[[BinaryIO, int], Iterator[int]]


class ElementFormat(NamedTuple):
    """A container format: its signature, and the function that walks its elements."""

    signature: re.Pattern[bytes]
    walk: _FindRecordings


def read_head(file: BinaryIO, at: int, size: int = HEAD_BYTES) -> bytes:
    """The head of an element, with its kind and length; fewer bytes at the end of the file."""
    if at > _LARGEST:
        return b""
    file.seek(at)
    return file.read(size)


def walk_of(file: BinaryIO) -> _FindRecordings | None:
    """The function that walks the elements of a recording at the beginning of the file."""
    kind = kind_of(read_head(file, 0))
    return kind and kind.walk


def ivf_frames(file: BinaryIO, size: int, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """From where to where each whole frame of an IVF reaches in it, and its timestamp."""
    at = start + IVF_HEADER
    for following in _ivf(file, start):
        if following > at:
            if following > size:
                return
            yield at, following, int.from_bytes(read_head(file, at)[4:12], "little")
        at = following


def kind_of(head: bytes) -> ElementFormat | None:
    """The kind of recording that begins so."""
    return next((kind for kind in KINDS if kind.signature.match(head)), None)


def _steps(length: Callable[[bytes], int]) -> _FindRecordings:
    """Walk over elements with the function ``length``, which returns 0 if it is unknown."""

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
    # Into a pipe the length is written before it is known.
    return 0 if size == 0xFFFFFFFF else 8 + size + size % 2


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
    yield (at := at + IVF_HEADER)
    yield from _steps(_ivf_frame)(file, at)


def _ivf_frame(head: bytes) -> int:
    """Its length and its timestamp, in 12 bytes, and itself."""
    if len(head) < 12 or head.startswith(b"DKIF"):
        return 0
    return 12 + int.from_bytes(head[:4], "little")


def _unknown(_: BinaryIO, __: int) -> Iterator[int]:
    yield from ()


#: Walks through an MP4.
boxes = _steps(_box)
#: In bytes.
IVF_HEADER = 32
_PNG = b"\x89PNG\r\n\x1a\n"
_FTYP = rb"\x00\x00.[\x00-\xff]ftyp[ -~]{4}"
_EBML = rb"\x1a\x45\xdf\xa3.{1,80}?\x42\x82.{1,8}?(?:matroska|webm)"
_ASF = rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_MXF = rb"\x06\x0e\x2b\x34\x02\x05\x01.\x0d\x01\x02\x01\x01\x02"
_WTV = rb"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d"

#: Signatures that no picture holds by chance.
KINDS = tuple(
    ElementFormat(re.compile(pattern, re.DOTALL), walk)
    for pattern, walk in (
        (_FTYP, boxes),
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
