"""What a checkpoint holds of a training that runs: all that decides how it goes on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from negah.errors import CheckpointError, UsageError
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
from negah.training.recipe import TrainingOptions


@dataclass
class Progress:
    """Where a run is: all that is not a tensor. Saved in every checkpoint."""

    epoch: int = 0  # epochs complete
    done: int = 0  # steps of the present epoch
    step: int = 0  # steps of all epochs
    loss_sum: float = 0.0
    words: int = 0
    best_score: float = -1.0
    best_epoch: int = 0
    initial_score: float | None = None  # of the model that it started from, where it was scored

    @property
    def mean_loss(self) -> float:
        """Of the present epoch so far."""
        return self.loss_sum / max(1, self.words)

    def begin_epoch(self) -> None:
        """The present epoch is complete."""
        self.epoch += 1
        self.done, self.loss_sum, self.words = 0, 0.0, 0

    def is_over(self, options: TrainingOptions) -> bool:
        """Whether all epochs are made, or the best one is too long ago."""
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
    progress: Progress,
) -> None:
    """Write weights, moments, their running mean, the random generators' state and the progress."""
    tensors = {
        **with_prefix("learner", learner.state_dict()),
        **with_prefix("mean", mean.state_dict()),
        **with_prefix("optimizer", optimizer_tensors(optimizer)),
        "random": random_state(),
    }
    facts = {name: value for name, value in vars(progress).items() if value is not None}
    save_checkpoint(path, tensors, facts)


def restore_training(
    path: Path, learner: Learner, optimizer: torch.optim.Optimizer, mean: RunningMean
) -> Progress:
    """The inverse of :func:`save_training`; sets the state of the random generators, too.

    Raises:
        CheckpointError: the file is damaged, or of another training.
    """
    tensors, facts = load_checkpoint(path)
    try:
        learner.load_state_dict(under_prefix("learner", tensors))
        mean.load_state_dict(under_prefix("mean", tensors))
        restore_optimizer(optimizer, under_prefix("optimizer", tensors))
        set_random_state(tensors["random"])
        return Progress(**facts)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not fit the run beside it ({type(error).__name__}: {error}). "
            "Delete it to train from the start."
        ) from None


def is_unfinished(run: RunFolder) -> bool:
    """Whether a run has epochs left; False where the folder does not tell."""
    with suppress(CheckpointError, UsageError, KeyError, TypeError):
        values = run.facts()["recipe"]["training"]
        options = TrainingOptions.parse(values, where=f"training of {RUN}")
        return not Progress(**load_checkpoint(run.checkpoint)[1]).is_over(options)
    return False
