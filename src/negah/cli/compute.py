"""The device, processes and threads of PyTorch, and the memory of a process."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from negah.errors import UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """The numeric precision; names as in Lightning Fabric."""

    FULL = "32-true"
    BF16 = "bf16-mixed"
    FP16 = "16-mixed"


def wait_passively() -> None:
    """Let idle OpenMP threads sleep. To be called before PyTorch is imported.

    By default they spin while they wait. Where another process wants the cores, the spinning
    threads keep the working one from its time: on two cores a training fell from 156 to 18
    captions a second, and to 105 with these two settings.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")


#: Parameters of glibc's mallopt (malloc.h), and what a training sets them to: nothing is mapped
#: for itself, nothing is given back, and the heap grows by half a gigabyte more than is needed.
_KEEP_FREED = {-4: 0, -1: 2**31 - 1, -2: 500_000_000}  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD

#: What captioning sets: one heap.
_ONE_HEAP = {-8: 1}  # M_ARENA_MAX


def keep_freed_memory() -> None:
    """Let glibc keep the memory of tensors that are freed, for the next step to use.

    By default it maps a large tensor for itself and gives it back to the kernel as soon as it is
    freed. A step that learns the blocks of an encoder makes hundreds of them, and up to half of its
    time went into the page faults of memory that comes anew (6.7 photos/s became 9.1, see
    docs/lab-log.md).

    Nothing happens without glibc, or where the user has set any of its ``MALLOC_`` variables.
    """
    _set_malloc(_KEEP_FREED)


def share_heap() -> None:
    """Let all threads of this process allocate from one heap of glibc, so that what one of them
    frees serves the others.

    By default threads get heaps of their own, and each keeps what it freed: 30 to 60 MB of 390
    while a folder is captioned (docs/performance.md). To be called before threads are started.

    Nothing happens without glibc, or where the user has set any of its ``MALLOC_`` variables.
    """
    _set_malloc(_ONE_HEAP)


def give_back_memory() -> None:
    """Give the system what glibc holds of freed memory, such as what opening a model took.

    Nothing happens without glibc, or where the user has set any of its ``MALLOC_`` variables.
    """
    if _is_malloc_ours():
        ctypes.CDLL(None).malloc_trim(0)


def _is_malloc_ours() -> bool:
    is_set = any(name.startswith("MALLOC_") for name in os.environ)
    return not is_set and "GLIBC_TUNABLES" not in os.environ and platform.libc_ver()[0] == "glibc"


def _set_malloc(parameters: Mapping[int, int]) -> None:
    if not _is_malloc_ours():
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in parameters.items():
        mallopt(parameter, value)


def use_threads(threads: int | None) -> None:
    """Set the threads of PyTorch's arithmetic on a CPU; None leaves its own choice."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def choose_device(device: Device, count: int = 1) -> Device:
    """CPU or CUDA; ``auto`` takes a GPU if there is one.

    Raises:
        UsageError: fewer than ``count`` GPUs can be used.
    """
    import torch

    usable = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device is Device.AUTO:
        device = Device.CUDA if usable else Device.CPU
    if device is Device.CUDA and not usable:
        raise UsageError("--device cuda: PyTorch can use no NVIDIA GPU here; leave --device out")
    if device is Device.CUDA and usable < count:
        raise UsageError(f"--devices {count}: PyTorch can use {usable} GPU here")
    return device


def usable_precision(precision: Precision, device: Device) -> tuple[Precision, str]:
    """A precision that the device has, and a message where another one was requested.

    Without instructions for bfloat16 a processor computes its products slower than those of
    float32, and no better.
    """
    import torch

    if precision is not Precision.BF16 or choose_device(device) is not Device.CPU:
        return precision, ""
    capabilities = torch.cpu.get_capabilities()
    if any(is_there for name, is_there in capabilities.items() if "bf16" in name):
        return precision, ""
    return Precision.FULL, (
        f"--precision {precision.value}: this processor has no instructions for bfloat16 "
        f"(avx512_bf16, amx_bf16); training in {Precision.FULL.value}"
    )


def build_fabric(device: Device, devices: int, precision: Precision) -> Fabric:
    """The processes of a training, started: each runs this same command.

    Those that torchrun has started are as many as it says, whatever ``devices`` is.

    Raises:
        UsageError: there are fewer GPUs.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    nodes = 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # torchrun says how many processes there are
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    chosen = choose_device(device, devices)
    strategy: DDPStrategy | str = "auto"
    if devices * nodes > 1:
        # the weight of the frame before has no gradient on photos, which have one frame; a process
        # may wait for hours until another has computed its share of the features
        strategy = DDPStrategy(find_unused_parameters=True, timeout=timedelta(days=7))
    fabric = Fabric(
        accelerator=chosen.value, devices=devices, num_nodes=nodes, precision=precision.value,
        strategy=strategy,
    )  # fmt: skip
    fabric.launch()
    return fabric
