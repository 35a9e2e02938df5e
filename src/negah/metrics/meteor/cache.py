"""A memory-mapped file of named integer arrays: the format of METEOR's compiled data.

Layout: a magic line; one line of JSON with the checksum of all that follows it and each array's
name, type, offset and length; then the arrays. A truncated, altered or foreign file raises
:class:`DamagedCacheError`, and the caller writes a new one. Opening a file runs no code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negah.files import atomic_path

Array = npt.NDArray[np.integer]

_MAGIC = b"negah-arrays-1\n"
_TYPES = ("uint8", "int32", "int64")
_ALIGNMENT = 64
_LONGEST_HEADER = 65536


class DamagedCacheError(Exception):
    """The file was not completely written by :func:`write_arrays`."""


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write ``arrays`` (uint8, int32 or int64, one axis) atomically to ``path``."""
    table, offset, checksum = {}, 0, 0
    chunks: list[bytes] = []
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).tobytes()
        table[name] = [str(array.dtype), offset, len(array)]
        padded = data + bytes(-len(data) % _ALIGNMENT)
        checksum = zlib.crc32(padded, checksum)
        chunks.append(padded)
        offset += len(padded)
    header = json.dumps({"crc32": checksum, "bytes": offset, "arrays": table}).encode()
    header += b" " * (-(len(_MAGIC) + len(header) + 1) % _ALIGNMENT) + b"\n"
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_MAGIC + header)
        for chunk in chunks:
            file.write(chunk)


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file, memory-mapped.

    Raises:
        DamagedCacheError: the file is truncated, altered or of another kind.
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        if file.readline(len(_MAGIC)) != _MAGIC:
            raise DamagedCacheError(f"{path} is not a file of arrays")
        line = file.readline(_LONGEST_HEADER)
        start = file.tell()
    try:
        header = json.loads(line)
        size, checksum = int(header["bytes"]), header["crc32"]
        if path.stat().st_size != start + size:
            raise DamagedCacheError(f"{path} does not have the length that its header states")
        payload = np.memmap(path, dtype=np.uint8, mode="r", offset=start, shape=(size,))
        if zlib.crc32(payload.data) != checksum:
            raise DamagedCacheError(f"the checksum of {path} does not match its content")
        return {
            name: _slice(payload, kind, int(offset), int(length))
            for name, (kind, offset, length) in header["arrays"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCacheError(f"the header of {path} is damaged: {error}") from error


def _slice(payload: npt.NDArray[np.uint8], kind: str, offset: int, length: int) -> Array:
    if kind not in _TYPES:
        raise ValueError(f"no arrays of type {kind!r}")
    dtype = np.dtype(kind)
    if not 0 <= offset <= offset + length * dtype.itemsize <= len(payload):
        raise ValueError("an array ends outside the file")
    return payload[offset : offset + length * dtype.itemsize].view(dtype)
