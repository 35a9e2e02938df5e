"""Parquet files made by hand: what is read of them, and what a small hostile one cannot do."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from negah.errors import DataError
from negah.text.parquet import read_words

#: Numbers of Thrift's types: a number, a list, a structure.
_NUMBER, _LIST, _STRUCT = 5, 9, 12
_PLAIN, _RLE_DICTIONARY = 0, 8


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def thrift(fields: dict[int, int | bytes | list[bytes]]) -> bytes:
    """A structure of numbers, structures and lists of structures, in the compact protocol."""
    found, before = b"", 0
    for number, value in fields.items():
        step, before = number - before << 4, number
        if isinstance(value, int):
            zigzag = value * 2 if value >= 0 else -value * 2 - 1
            found += bytes([step | _NUMBER]) + varint(zigzag)
        elif isinstance(value, bytes):
            found += bytes([step | _STRUCT]) + value
        else:
            found += bytes([step | _LIST, len(value) << 4 | _STRUCT]) + b"".join(value)
    return found + b"\0"


def page(content: bytes, values: int, encoding: int, size: int | None = None) -> bytes:
    size = len(content) if size is None else size
    about = thrift({1: values, 2: encoding, 3: 3, 4: 3})
    return thrift({1: 0, 2: len(content), 3: size, 5: about}) + content


def parquet(pages: bytes, rows: int, groups: int = 1) -> bytes:
    chunk = thrift({3: thrift({4: 0, 5: rows, 9: 4})})
    leaf = thrift({1: 6, 3: 0})
    footer = thrift({2: [thrift({}), leaf], 3: rows * groups, 4: [thrift({1: [chunk]})] * groups})
    return b"PAR1" + pages + footer + struct.pack("<I", len(footer)) + b"PAR1"


WORDS = b"\3\0\0\0dog\4\0\0\0cats"
#: Each value of a trillion is the first of a dictionary.
RUN = b"\1" + varint(2 << 40) + b"\0"


def test_words_of_a_file_made_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "words.parquet"
    path.write_bytes(parquet(page(WORDS, 2, _PLAIN), 2))
    assert read_words(path) == [b"dog", b"cats"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (parquet(page(RUN, 1 << 40, _RLE_DICTIONARY), 1 << 40), "rows; at most"),
        (parquet(page(RUN, 1 << 40, _RLE_DICTIONARY), 2), "values, where 2 are left"),
        (parquet(page(WORDS, -2, _PLAIN), 2), "a page of -2 values"),
        (parquet(page(b"", 0, _PLAIN, size=-14), 2), "a page of -14 bytes"),
        (parquet(page(WORDS, 2, _PLAIN), 2, groups=9), "share their bytes"),
        (b"PAR1" + b"\x19" * 5000 + struct.pack("<I", 5000) + b"PAR1", "too deep"),
        (b"PAR1" + b"\x1c" * 5000 + struct.pack("<I", 5000) + b"PAR1", "too deep"),
    ],
    ids=["rows", "run", "negative count", "backwards", "one chunk often", "lists", "structures"],
)
def test_small_hostile_files_are_refused(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "words.parquet"
    path.write_bytes(data)
    with pytest.raises(DataError, match=match):
        read_words(path)
