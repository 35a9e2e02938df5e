"""Temporary seeding and saving of PyTorch's global random generators.

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
    """Context manager that seeds PyTorch with ``seed`` and restores the caller's generators on
    exit.

    Args:
        seed: of the CPU's generator, and of the device's.
        device: what is computed on.
    """
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(devices=devices, device_type=kind):
        reseed(seed, device)
        yield


def reseed(seed: int, device: torch.device = _CPU) -> None:
    """Reseed, within :func:`seeded`, which restores the caller's generators."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def random_state(device: torch.device = _CPU) -> Tensor:
    """State of the CPU's generator and, behind it, of the device's, for :func:`set_random_state`.

    uint8, on the CPU.
    """
    state = torch.get_rng_state()
    if device.type == "cpu":
        return state
    return torch.cat([state, torch.get_device_module(device).get_rng_state(device)])


def set_random_state(state: Tensor, device: torch.device = _CPU) -> None:
    """Set the generators, within :func:`seeded`, which restores the caller's.

    Args:
        state: of :func:`random_state`; one of the CPU alone leaves that of the device.
        device: what is computed on.

    Raises:
        RuntimeError, TypeError: not the state of a generator.
    """
    length = len(torch.get_rng_state())
    torch.default_generator.set_state(state[:length])
    if device.type != "cpu" and len(state) > length:
        torch.get_device_module(device).set_rng_state(state[length:], device)
