"""The weights of a bundle: half precision, each number once, in one safetensors file.

Matrices and kernels are rounded to float16; vectors (biases, batch-norm statistics), which
are a hundredth of the numbers, stay float32. Both the graphs and PyTorch read the same
bytes: the graphs as ONNX external data, PyTorch by the names of its parameters. Half precision
is for the disk alone; everything computes in float32.

Layout: https://huggingface.co/docs/safetensors (8 bytes of header length, a JSON header, the
tensors without gaps).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from negah.errors import NegahError
from negah.models.backbones import stored_dtype

ALIGNMENT = 64
_DTYPES = {"float16": "F16", "float32": "F32", "int64": "I64"}

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor is in the file.

    Attributes:
        name: its name there.
        offset: its first byte, from the beginning of the file.
        length: its bytes.
    """

    name: str
    offset: int
    length: int


def rounded_copy(module: Module) -> Module:
    """A copy with the numbers that a bundle stores: float32, on the CPU, in evaluation mode.

    Raises:
        NegahError: a weight is too large for float16, or is not a number.
    """
    rounded = copy.deepcopy(module).cpu().float().eval()
    for name, tensor in rounded.state_dict().items():
        tensor.copy_(tensor.to(stored_dtype(tensor)))
        if not bool(torch.isfinite(tensor).all()):
            raise NegahError(
                f"{name} has a weight that float16 cannot hold (beyond 65504, or not a number): "
                "the training has diverged, so there is nothing to export"
            )
    return rounded


def named_weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers of several modules as ``module.name``; tied ones come once."""
    weights: dict[str, Tensor] = {}
    seen: set[int] = set()
    for prefix, module in modules.items():
        for name, tensor in module.state_dict(keep_vars=True).items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                weights[f"{prefix}.{name}"] = tensor
    return weights


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> dict[str, StoredTensor]:
    """Write tensors to a safetensors file.

    Args:
        path: the file.
        weights: by name; written in :func:`stored_dtype`.

    Returns:
        where each of them is.
    """
    arrays = {
        name: tensor.detach().to(stored_dtype(tensor)).contiguous().cpu().numpy()
        for name, tensor in weights.items()
    }
    # Tensors begin at a multiple of 64 bytes as long as those before are a multiple long.
    order = sorted(
        arrays, key=lambda name: (arrays[name].nbytes % ALIGNMENT > 0, -arrays[name].itemsize)
    )
    header: dict[str, object] = {}
    end = 0
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        header[name] = {
            "dtype": _DTYPES[arrays[name].dtype.name],
            "shape": arrays[name].shape,
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    stored = {}
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for name in order:
            stored[name] = StoredTensor(name, stream.tell(), arrays[name].nbytes)
            stream.write(arrays[name].tobytes())
    return stored
