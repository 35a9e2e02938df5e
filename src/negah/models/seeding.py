"""PyTorch's own generators: seeded for a while, read and set.

No other module of the library seeds them or sets their state.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_CPU = torch.device("cpu")


@contextmanager
def seeded(seed: int, device: torch.device = _CPU) -> Iterator[None]:
    """Within it PyTorch draws from ``seed``; the caller's generators are restored on exit.

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


def random_state() -> Tensor:
    """State of the CPU's generator, uint8, for :func:`set_random_state`."""
    return torch.get_rng_state()


def set_random_state(state: Tensor) -> None:
    """Set the CPU's generator, within :func:`seeded`, which gives the caller's back.

    Args:
        state: of :func:`random_state`.

    Raises:
        RuntimeError, TypeError: no state of a generator.
    """
    torch.default_generator.set_state(state)
