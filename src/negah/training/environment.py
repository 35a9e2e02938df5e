"""The settings of a training that do not change what is learned: device, folder, reporter."""

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
    """Whether a training is asked to stop after the step that it makes."""

    asked: bool


class NeverAsked:
    """Nobody asks; Ctrl-C is the KeyboardInterrupt that it always is."""

    asked = False


@dataclass(frozen=True)
class Environment:
    """Where a training runs.

    Attributes:
        features: folder of the feature stores, shared between runs.
        fabric: device, precision and processes; one CPU process by default.
        reporter: hears what happens; of several processes that of the first alone.
        interrupt: entered while epochs run; once ``asked`` of what it gives is true, the training
            saves after its step and ends. The command line gives
            :class:`negah.interrupt.Interrupt`, which listens to signals.
        max_pixels: a picture that would be decoded to more cannot be read.
    """

    features: Path
    fabric: Fabric = field(default_factory=lambda: Fabric(accelerator="cpu", devices=1))
    reporter: Reporter = field(default_factory=Silent)
    interrupt: AbstractContextManager[StopRequest] = field(
        default_factory=lambda: nullcontext(NeverAsked())
    )
    max_pixels: int = MAX_PIXELS

    @property
    def processes(self) -> Processes:
        """Those that train together."""
        return Processes(self.fabric)

    def any_of(self, *flags: bool) -> list[bool]:
        """For each flag, whether any process has raised it: all have to do the same."""
        if self.fabric.world_size == 1:
            return list(flags)
        raised = torch.tensor([float(flag) for flag in flags], device=self.fabric.device)
        return [count > 0 for count in self.processes.sum(raised).tolist()]
