"""Detection of encrypted clips, whose frames cannot be decoded without a key.

FFmpeg opens such files and reports damage, or nothing; the container says that they are encrypted.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from negah.media.recordings import mp4_boxes

# Read of a header at most, in bytes, and of each of the places where packets are looked at.
_MOST_HEADER = 32 << 20
_HEADER = 1 << 20
_SAMPLE = 64 << 10
_SAMPLES = 16

# The sample entries of ISO/IEC 14496-12, 8.12, and of FairPlay, with their reserved bytes.
_MP4 = ((b"encv" + bytes(6), "Common Encryption"), (b"drmi" + bytes(6), "FairPlay"))
# ContentEncodings, ContentEncoding, and its type: 1 (RFC 9559, 5.1.4.1.31).
_MATROSKA = re.compile(rb"\x6d\x80.{1,8}?\x62\x40.{1,40}?\x50\x33\x81\x01", re.DOTALL)
# The objects Content Encryption and Extended Content Encryption.
_ASF = re.compile(
    rb"\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\x00\xa0\xc9\x55\xfc\x6e"
    rb"|\x14\xe6\x8a\x29\x22\x26\x17\x4c\xb9\x35\xda\xe0\x7e\xe9\x28\x9c"
)
# Packets of a transport stream in a row: plain, with a time before each, or parity behind it.
_PACKETS = tuple(
    (length, re.compile(rb"(?:\x47.{%d}){4}\x47" % (length - 1), re.DOTALL))
    for length in (188, 192, 204)
)
_SEARCHED = 6 * 204
_FIRST_PID, _NULL_PID = 0x20, 0x1FFF  # those below are tables, the last one is filling


def how_encrypted(file: BinaryIO) -> str | None:
    """The encryption of a clip; None if it is not encrypted.

    Args:
        file: open for reading; where it stands afterwards is undefined.
    """
    file.seek(0)
    head = file.read(16)
    if head[4:8] == b"ftyp" or head[4:8] == b"moov":
        movie = _movie(file)
        return next((what for entry, what in _MP4 if entry in movie), None)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "Matroska encryption" if _MATROSKA.search(file.read(_HEADER)) else None
    if head.startswith(b"\x30\x26\xb2\x75"):
        return "Windows Media DRM" if _ASF.search(file.read(_HEADER)) else None
    return "a scrambled broadcast" if _is_scrambled(file) else None


def _movie(file: BinaryIO) -> bytes:
    """The description of the streams in an MP4."""
    for start, kind in mp4_boxes(file):
        if kind == b"moov":
            file.seek(start)
            return file.read(_MOST_HEADER)
    return b""


def _is_scrambled(file: BinaryIO) -> bool:
    """Whether most packets of a transport stream say so (ISO/IEC 13818-1, 2.4.3.3)."""
    size = file.seek(0, io.SEEK_END)
    packets = scrambled = 0
    for number in range(_SAMPLES):
        file.seek(max(size - _SAMPLE, 0) * number // (_SAMPLES - 1))
        headers_N4 = _headers(file.read(_SAMPLE))
        if not number and not len(headers_N4):
            return False
        pids_N = (headers_N4[:, 1] & 0x1F) * 256 + headers_N4[:, 2]
        holds_N = (pids_N >= _FIRST_PID) & (pids_N < _NULL_PID) & (headers_N4[:, 3] & 0x10 > 0)
        packets += int(holds_N.sum())
        scrambled += int((holds_N & (headers_N4[:, 3] >= 0x80)).sum())
    return scrambled > packets / 2


def _headers(sample: bytes) -> npt.NDArray[np.int64]:
    """The first four bytes of each packet of a transport stream, if this is of one."""
    for length, pattern in _PACKETS:
        found = pattern.search(sample, 0, _SEARCHED)
        if found:
            count = (len(sample) - found.start()) // length
            bytes_N = np.frombuffer(sample, np.uint8, count * length, found.start())
            return bytes_N.reshape(count, length)[:, :4].astype(np.int64)
    return np.empty((0, 4), np.int64)
