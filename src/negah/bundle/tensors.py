"""Reading single tensors of a bundle's weights, for computations outside the graphs.

The file has the format of safetensors (https://huggingface.co/docs/safetensors): 8 bytes of header
length, a JSON header, the tensors. Its checksum was compared when the bundle was opened, but the
header is still untrusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from negah.arrays import FloatArray
from negah.errors import BundleError

_DTYPES = {"F16": np.float16, "F32": np.float32}

#: Bytes; the header of a bundle has a hundred thousand at most.
_LONGEST_HEADER = 2**24


def read_tensors(path: Path, names: tuple[str, ...]) -> list[FloatArray] | None:
    """Tensors by name, as float32; None for a missing one.

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


def _read_tensor(stream: Any, first: int, entry: dict[str, Any]) -> FloatArray:
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
    return np.frombuffer(data, dtype).astype(np.float32).reshape(shape)
