"""Random numbers of PyTorch from a seed, without a trace for the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_CPU = torch.device("cpu")


@contextmanager
def seeded(seed: int, device: torch.device = _CPU) -> Iterator[None]:
    """Within it PyTorch draws from ``seed``; behind it, as if it had not been.

    The only place of the library that touches PyTorch's own generators.

    Args:
        seed: of the CPU's generator, and of the device's.
        device: what is computed on.
    """
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(devices=devices, device_type=kind):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.get_device_module(device).manual_seed(seed)
        yield
