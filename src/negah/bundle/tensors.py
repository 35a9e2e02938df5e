"""Tensors of a bundle that are used outside the graphs: reading single ones, writing a file.

The file has the format of safetensors (https://huggingface.co/docs/safetensors): 8 bytes of header
length, a JSON header, the tensors. Its checksum was compared when the bundle was opened, but the
header is still untrusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.errors import BundleError
from negah.files import atomic_path

_DTYPES: dict[str, type[np.generic]] = {
    "F16": np.float16, "F32": np.float32, "I8": np.int8, "I32": np.int32,
}  # fmt: skip
#: Numbers of these are read as float32.
_FLOATS = ("F16", "F32")

#: Bytes; the header of a bundle has a hundred thousand at most.
_LONGEST_HEADER = 2**24


def read_tensors(path: Path, names: tuple[str, ...]) -> list[npt.NDArray[Any]] | None:
    """Tensors by name, float32 or integers; None if one is missing.

    Args:
        path: of the weights.
        names: of the tensors.

    Raises:
        BundleError: the file is damaged.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _LONGEST_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = json.loads(stream.read(length))
            if not all(name in header for name in names):
                return None
            return [_read_tensor(stream, 8 + length, header[name]) for name in names]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BundleError(f"{path} is damaged: {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a file of tensors, float16, float32, int8 or int32.

    Raises:
        KeyError: another dtype.
    """
    names = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
    header, end = {}, 0
    for name, tensor in tensors.items():
        first, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [first, end],
        }  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as the format asks, tensors begin at a multiple of 8 bytes
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            stream.write(np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes())


def _read_tensor(stream: Any, first: int, entry: dict[str, Any]) -> npt.NDArray[Any]:
    begin, end = map(int, entry["data_offsets"])
    dtype = np.dtype(_DTYPES[entry["dtype"]]).newbyteorder("<")
    shape = tuple(map(int, entry["shape"]))
    size = int(np.prod(shape)) * dtype.itemsize
    if begin < 0 or min(shape, default=1) < 0 or end - begin != size:
        raise ValueError("a tensor of another size than its shape")
    stream.seek(first + begin)
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("it ends within a tensor")
    kind = np.float32 if entry["dtype"] in _FLOATS else _DTYPES[entry["dtype"]]
    return np.frombuffer(data, dtype).astype(kind).reshape(shape)
