"""Checkpoints, from which a training resumes exactly.

One safetensors file holds all tensors (weights, their running mean, the optimiser's moments,
random states); its header holds the rest as JSON. It is written under a temporary name and
renamed, so a kill at any moment leaves the previous one whole. Nothing is pickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from negah.errors import CheckpointError, OutputError
from negah.files import atomic_path

_FORMAT = "negah-checkpoint-1"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON-able facts as one file, atomically."""
    unshared = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    try:
        with atomic_path(path) as temporary:
            save_file(unshared, temporary, {"format": _FORMAT, "facts": json.dumps(facts)})
    except OSError as error:
        raise OutputError(path, error) from error
    except SafetensorError as error:  # how the library reports a full disk
        raise OutputError(path, str(error)) from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        CheckpointError: the file is damaged or something else.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            header = stream.metadata() or {}
            if header.get("format") != _FORMAT:
                raise CheckpointError(f"{path} is not a checkpoint of this version of Negah")
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            facts: dict[str, Any] = json.loads(header["facts"])
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Delete it to train from the start."
        ) from None
    return tensors, facts


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put ``prefix.`` before every name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix.``, without it."""
    start = f"{prefix}."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts of Adam, named by the parameter's number."""
    return {
        f"{number}.{name}": value
        for number, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of :func:`optimizer_tensors`; rates and groups stay as they were built."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        moments.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
