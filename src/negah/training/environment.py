"""The settings of a training that its recipe does not have: device, folder, reporter."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from lightning_fabric import Fabric

from negah.media import MAX_PIXELS
from negah.training.processes import Processes
from negah.training.reports import Reporter, Silent


class StopRequest(Protocol):
    """A request to stop the training after the current step."""

    asked: bool


class NeverAsked:
    """No requests to stop; Ctrl-C raises KeyboardInterrupt as usual."""

    asked = False


@dataclass(frozen=True)
class Environment:
    """Where a training runs.

    Attributes:
        features: folder of the feature stores, shared between runs.
        fabric: device, precision and processes; one CPU process by default.
        reporter: receives progress and messages; only that of the first process is used.
        interrupt: a context manager entered while epochs run; once its ``asked`` is true, the
            training saves after the current step and ends. The command line passes
            :class:`negah.interrupt.Interrupt`, which handles signals.
        max_pixels: larger pictures are refused.
    """

    features: Path
    fabric: Fabric = field(default_factory=lambda: Fabric(accelerator="cpu", devices=1))
    reporter: Reporter = field(default_factory=Silent)
    interrupt: AbstractContextManager[StopRequest] = field(
        default_factory=lambda: nullcontext(NeverAsked())
    )
    max_pixels: int = MAX_PIXELS

    @property
    def precision(self) -> str:
        """The numeric precision, as Lightning Fabric calls it."""
        return str(self.fabric.strategy.precision.precision)

    @property
    def processes(self) -> Processes:
        """The processes that train together."""
        return Processes(self.fabric)

    def any_of(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process has set it, so that all processes act alike."""
        if self.fabric.world_size == 1:
            return list(flags)
        raised = torch.tensor([float(flag) for flag in flags], device=self.fabric.device)
        return [count > 0 for count in self.processes.sum(raised).tolist()]
