"""One column of words out of a Parquet file, without a library for Parquet.

The package of GloVe vectors keeps its vocabulary in such a file, and the usual reader is forty
megabytes for a list of words. This one reads what that file is: a flat column of byte strings,
uncompressed or Snappy, plain or by dictionary, no value missing. All else is refused.
Format: https://parquet.apache.org/docs/file-format/, Snappy: google/snappy format_description.txt.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.errors import DataError

_MAGIC = b"PAR1"
_MAX_BYTES = 256 * 2**20
#: A run of a dictionary can promise any number of words in a few bytes.
_MAX_WORDS = 2**22
_MAX_DEPTH = 32

# numbers of the format
_BYTE_ARRAY, _PLAIN_CODEC, _SNAPPY = 6, 0, 1
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_PLAIN, _PLAIN_DICTIONARY, _RLE, _RLE_DICTIONARY = 0, 2, 3, 8


def read_words(path: Path) -> list[bytes]:
    """All values of the only column, in order.

    Args:
        path: a Parquet file of at most 256 MiB and 4 million words.

    Raises:
        DataError: no Parquet file, damaged, or of a kind that is not read here.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB")
        data = path.read_bytes()
        return _read(data)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise DataError(f"{path}: no column of words in Parquet ({error})") from None


def _read(data: bytes) -> list[bytes]:
    if data[:4] != _MAGIC or data[-4:] != _MAGIC:
        raise ValueError("it does not begin and end with PAR1")
    (length,) = struct.unpack("<I", data[-8:-4])
    footer = _Thrift(data, len(data) - 8 - length).struct()
    leaf = footer[2][1]
    if len(footer[2]) != 2 or leaf[1] != _BYTE_ARRAY or leaf[3] not in (0, 1):
        raise ValueError("it holds something else than one flat column of text")
    if not 0 <= footer[3] <= _MAX_WORDS:
        raise ValueError(f"{footer[3]} rows; at most {_MAX_WORDS} are read")
    optional = leaf[3] == 1
    words: list[bytes] = []
    end = 0
    for group in footer[4]:
        column = group[1][0][3]
        if column[4] not in (_PLAIN_CODEC, _SNAPPY):
            raise ValueError(f"compression {column[4]} is not read here")
        if (start := column.get(11, column[9])) < end:
            raise ValueError("two row groups share their bytes")
        found, end = _chunk(data, column, start, optional, footer[3] - len(words))
        words += found
    if len(words) != footer[3]:
        raise ValueError(f"{footer[3]} rows are promised, {len(words)} are there")
    return words


def _chunk(
    data: bytes, column: dict[int, Any], at: int, optional: bool, most: int
) -> tuple[list[bytes], int]:
    """The values of one column chunk, page after page, and where it ends."""
    dictionary: list[bytes] = []
    words: list[bytes] = []
    while len(words) < column[5]:
        reader = _Thrift(data, at)
        header = reader.struct()
        if header[3] < 0:
            raise ValueError(f"a page of {header[3]} bytes")
        at = reader.at + header[3]
        page = data[reader.at : at]
        if column[4] == _SNAPPY:
            page = decompress_snappy(page)
        if len(page) != header[2]:
            raise ValueError(f"a page has {len(page)} bytes instead of {header[2]}")
        if header[1] == _DICTIONARY_PAGE:
            dictionary = _plain(page, _counted(header[7][1], most))
        elif header[1] == _DATA_PAGE:
            _counted(header[5][1], most - len(words))
            words += _data_page(page, header[5], dictionary, optional)
        else:
            raise ValueError(f"a page of type {header[1]} is not read here")
    return words, at


def _counted(count: int, most: int) -> int:
    if not 0 <= count <= most:
        raise ValueError(f"a page of {count} values, where {most} are left")
    return count


def _data_page(
    page: bytes, header: dict[int, Any], dictionary: list[bytes], optional: bool
) -> list[bytes]:
    count, encoding, levels = header[1], header[2], header[3]
    if optional:
        if levels != _RLE:
            raise ValueError(f"levels of encoding {levels} are not read here")
        (length,) = struct.unpack_from("<I", page)
        if not _hybrid(page[4 : 4 + length], 1, count).all():
            raise ValueError("a value is missing")
        page = page[4 + length :]
    if encoding == _PLAIN:
        return _plain(page, count)
    if encoding in (_PLAIN_DICTIONARY, _RLE_DICTIONARY):
        return [dictionary[index] for index in _hybrid(page[1:], page[0], count).tolist()]
    raise ValueError(f"encoding {encoding} is not read here")


def _plain(page: bytes, count: int) -> list[bytes]:
    """Each value after its length in four bytes."""
    words, at = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", page, at)
        at += 4 + length
        if at > len(page):
            raise ValueError("a word goes on past its page")
        words.append(page[at - length : at])
    return words


def _hybrid(data: bytes, width: int, count: int) -> npt.NDArray[np.int64]:
    """Runs of one value, and values of ``width`` bits packed by eights, in turn."""
    if not 0 < width <= 32:
        raise ValueError(f"values of {width} bits")
    parts: list[npt.NDArray[np.int64]] = []
    at, done = 0, 0
    while done < count:
        head, at = _varint(data, at)
        if head & 1:
            size = min(head >> 1, (count - done + 7) // 8) * width
            bits = np.unpackbits(np.frombuffer(data[at : at + size], np.uint8), bitorder="little")
            powers = 1 << np.arange(width, dtype=np.int64)
            parts.append(bits[: len(bits) // width * width].reshape(-1, width) @ powers)
        else:
            size = (width + 7) // 8
            value = int.from_bytes(data[at : at + size], "little")
            parts.append(np.full(min(head >> 1, count - done), value, np.int64))
        if not len(parts[-1]):
            raise ValueError("a run of nothing")
        at += size
        done += len(parts[-1])
    return np.concatenate(parts)[:count] if parts else np.zeros(0, np.int64)


def decompress_snappy(data: bytes) -> bytes:
    """One raw block of Snappy.

    Raises:
        ValueError: it is damaged, or claims more than 256 MiB.
    """
    length, at = _varint(data, 0)
    if length > _MAX_BYTES:
        raise ValueError(f"a page of {length} bytes")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if not tag & 3:
            size = tag >> 2
            if size >= 60:
                size, at = int.from_bytes(data[at : at + size - 59], "little"), at + size - 59
            out += data[at : at + size + 1]
            at += size + 1
        else:
            if tag & 3 == 1:
                size, back, at = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at], at + 1
            else:
                width = 2 if tag & 3 == 2 else 4
                size, back = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
                at += width
            if not 0 < back <= len(out):
                raise ValueError("a copy from before the start")
            start = len(out) - back
            piece = out[start : start + size]
            out += (piece * (size // back + 1))[:size]
        if len(out) > length:
            break
    if len(out) != length:
        raise ValueError(f"{length} bytes are promised, {len(out)} are there")
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number without an end")


class _Thrift:
    """Thrift's compact protocol: structures as dicts by the number of the field."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The structure that starts here."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._number()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _byte(self) -> int:
        if not 0 <= self.at < len(self.data):
            raise ValueError("it ends too early")
        self.at += 1
        return self.data[self.at - 1]

    def _number(self) -> int:
        value, self.at = _varint(self.data, self.at)
        return value >> 1 ^ -(value & 1)

    def _bytes(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.data):
            raise ValueError("it ends too early")
        return self.data[self.at - size : self.at]

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("structures too deep in each other")
        if kind in (1, 2):  # a flag is its own type
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind == 7:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == 8:
            size, self.at = _varint(self.data, self.at)
            return self._bytes(size)
        if kind in (9, 10):
            head = self._byte()
            size, inner = head >> 4, head & 15
            if size == 15:
                size, self.at = _varint(self.data, self.at)
            if inner in (1, 2):  # in a list a flag is a byte
                inner = 3
            return [self._value(inner, depth + 1) for _ in range(size)]
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"a field of type {kind}")
