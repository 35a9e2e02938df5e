"""Saving and restoring the full state of a training."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from negah.errors import CheckpointError, TrainingError, UsageError
from negah.models.seeding import random_state, set_random_state
from negah.run_folder import RUN, RunFolder
from negah.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
    under_prefix,
    with_prefix,
)
from negah.training.learner import Learner, RunningMean
from negah.training.objectives import Loss
from negah.training.processes import ALONE, Processes
from negah.training.recipe import TrainingOptions


@dataclass
class RunProgress:
    """The progress of a run: all state that is not a tensor. Saved in every checkpoint."""

    epoch: int = 0  # epochs complete
    done: int = 0  # steps of the present epoch
    step: int = 0  # steps of all epochs
    loss_sum: float = 0.0
    words: int = 0
    best_score: float = -1.0
    best_epoch: int = 0
    best_nll: float | None = None  # in training, of the best epoch; runs of before have none
    initial_score: float | None = None  # of the initial model, if it was scored
    processes: int | None = None  # that train together; None for one

    @property
    def mean_loss(self) -> float:
        """The mean loss of the present epoch so far."""
        return self.loss_sum / max(1, self.words)

    def add_losses(self, losses: list[Loss], processes: Processes) -> None:
        """Add the losses of the last steps, which are read from the device now; empties the list.

        Every process has to call it, with its losses of the same steps.

        Raises:
            TrainingError: one is no longer a number.
        """
        values = torch.stack([loss.value.detach().double() for loss in losses])
        totals = torch.stack([loss.total.double() for loss in losses])
        counts = torch.tensor([loss.count for loss in losses]).to(totals)
        sums = processes.sum(torch.stack([values, totals, counts]))
        for step, (value, total, count) in enumerate(sums.T.tolist(), self.step - len(losses)):
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss is {value} at step {step}; lower training.learning_rate, or "
                    "check the captions"
                )
            self.loss_sum += total
            self.words += int(count)
        losses.clear()

    def begin_epoch(self) -> None:
        """The present epoch is complete."""
        self.epoch += 1
        self.done, self.loss_sum, self.words = 0, 0.0, 0

    def is_best(self, score: float, nll: float) -> bool:
        """Whether an epoch is better than all before it.

        While all scores are 0, since no caption agrees with a reference yet, the lower loss
        decides: the first epoch has learned least.
        """
        if score == self.best_score == 0 and self.best_nll is not None:
            return nll < self.best_nll
        return score > self.best_score

    def is_over(self, options: TrainingOptions) -> bool:
        """Whether all epochs are done, or the best one is too long ago."""
        waited = self.epoch - self.best_epoch
        patience_is_over = (
            bool(options.patience) and self.best_epoch > 0 and waited >= options.patience
        )
        return self.epoch >= options.epochs or patience_is_over


def save_training(
    path: Path,
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    mean: RunningMean,
    progress: RunProgress,
    processes: Processes = ALONE,
) -> None:
    """Write weights, moments, running mean, random states and progress.

    Every process must call it; the first one writes, including the random states of all.
    """
    states = processes.gather(random_state(processes.device))
    if processes.rank:
        return
    tensors = {
        **with_prefix("learner", learner.state_dict()),
        **with_prefix("mean", mean.state_dict()),
        **with_prefix("optimizer", optimizer_tensors(optimizer)),
        **{_random(rank): state for rank, state in enumerate(states)},
    }
    progress.processes = processes.count if processes.count > 1 else None
    facts = {name: value for name, value in vars(progress).items() if value is not None}
    save_checkpoint(path, tensors, facts)


def restore_training(
    path: Path,
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    mean: RunningMean,
    processes: Processes = ALONE,
) -> RunProgress:
    """The inverse of :func:`save_training`; sets the state of the random generators, too.

    Raises:
        CheckpointError: the file is damaged, or of another training.
    """
    tensors, facts = load_checkpoint(path)
    try:
        progress = RunProgress(**facts)
        saved = progress.processes or 1
        if _random(processes.rank) not in tensors and saved == processes.count:
            raise KeyError(_random(processes.rank))
        learner.load_state_dict(under_prefix("learner", tensors))
        mean.load_state_dict(under_prefix("mean", tensors))
        restore_optimizer(optimizer, under_prefix("optimizer", tensors))
        if saved == processes.count:
            set_random_state(tensors[_random(processes.rank)], processes.device)
        return progress
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not fit the run beside it ({type(error).__name__}: {error}). "
            "Delete it to train from the start."
        ) from None


def refuse_other_processes(progress: RunProgress, options: TrainingOptions, processes: int) -> None:
    """Refuse to resume with another number of processes, since each has its own dropout.

    A finished training may be opened with any number.

    Raises:
        UsageError: with the number that can resume.
    """
    saved = progress.processes or 1
    if saved != processes and not progress.is_over(options):
        raise UsageError(
            f"this run was trained by {_said(saved)}, and cannot be resumed by "
            f"{_said(processes)}, whose dropout would differ: give --devices {saved}, or a new "
            "folder with --output"
        )


def _said(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def _random(rank: int) -> str:
    """The name of a process's random state in the checkpoint."""
    return f"random.{rank}" if rank else "random"


def is_unfinished(run: RunFolder) -> bool:
    """Whether a run has epochs left; False if unknown."""
    with suppress(CheckpointError, UsageError, KeyError, TypeError):
        values = run.facts()["recipe"]["training"]
        options = TrainingOptions.parse(values, where=f"training of {RUN}")
        return not RunProgress(**load_checkpoint(run.checkpoint)[1]).is_over(options)
    return False
