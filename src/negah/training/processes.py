"""The processes of a distributed training: division of work, and communication.

Every process runs the same steps, each with its share of the photos of a batch; gradients are
averaged by DistributedDataParallel. Only the first process reports and writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed

from negah.errors import TrainingError

Item = TypeVar("Item")

#: Messages of the underlying libraries when a connection is lost.
_LOST = ("gloo", "onnection", "NCCL", "TCPStore")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training.

    Args:
        fabric: launched; None for a single process.
    """

    fabric: Fabric | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 if self.fabric is None else self.fabric.world_size

    @property
    def rank(self) -> int:
        """The rank of this process, from 0."""
        return 0 if self.fabric is None else self.fabric.global_rank

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return torch.device("cpu") if self.fabric is None else self.fabric.device

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """The share of this process of a list of work items."""
        return items[self.rank :: self.count]

    def gather(self, value: Item) -> list[Item]:
        """The values of all processes, by their ranks. Every process has to call it."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return cast(list[Item], values)

    def means(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean of each value over the processes that have it. Every process has to call it."""
        found: dict[str, list[float]] = {}
        for own in self.gather(values):
            for name, value in own.items():
                found.setdefault(name, []).append(value)
        return {name: sum(parts) / len(parts) for name, parts in found.items()}

    def sum(self, values: Tensor) -> Tensor:
        """Sums over all processes, in place. Every process has to call it."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def wait(self) -> None:
        """Wait until every process has arrived."""
        if self.fabric is not None:
            self.fabric.barrier()

    def weight(self, count: int) -> Tensor:
        """The weight of a mean over ``count`` items in the mean over the items of all processes.

        Gradients are averaged over the processes; with these weights, the result is the mean over
        all items. All processes must call it equally often.

        Returns:
            count x processes / the count of all; 1 where that is 0. Float32, without an axis.
        """
        everything = self.sum(torch.tensor(float(count), device=self.device))
        return torch.where(everything > 0, count * self.count / everything.clamp(min=1), 1.0)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Context manager that converts the loss of another process to an error that says what to
        do.

        Raises:
            TrainingError: another process has ended.
        """
        try:
            yield
        except RuntimeError as error:
            lost = isinstance(error, distributed.DistError) or any(
                word in str(error) for word in _LOST
            )
            if self.count == 1 or not lost:
                raise
            raise TrainingError(
                f"one of the {self.count} processes of this training has ended, so the others "
                "(this is number "
                f"{self.rank + 1}) stopped, too. The same command resumes from the last checkpoint."
            ) from error


#: A single process.
ALONE = Processes()
