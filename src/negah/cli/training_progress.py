"""Progress of a training: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from negah.cli.streams import say

#: Below this share of distinct captions, a model hardly uses the photos.
FEW_DISTINCT = 0.05
_HEADER = "epoch      nll   BLEU-4  CIDEr-D  distinct  words  broken off"
_WORK = {
    "plain": "features",
    "flip": "features of mirrored photos",
    "decoded": "opening every photo once",
    "sentences": "steps on sentences without pictures",
}


class TrainingProgress(ABC):
    """A :class:`~negah.training.Reporter` that writes to standard error.

    Attributes:
        trained: whether any epoch was begun or gone on with.
        last: what the log keeps of the last epoch that was validated; empty before.
    """

    def __init__(self) -> None:
        self.trained = False
        self.last: dict[str, Any] = {}
        self._epoch = ""
        self._first = 0
        self._started = 0.0

    @abstractmethod
    def advance(self, work: str, done: int, total: int, facts: str = "") -> None:
        """Show that ``done`` of ``total`` things of some ``work`` are done."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Write a permanent line."""

    def features(self, view: str, done: int, total: int) -> None:
        """Features of ``done`` of ``total`` photos are stored."""
        self.advance(_WORK.get(view, f"features of {view}"), done, total)

    def epoch(self, number: int, epochs: int, done: int, steps: int) -> None:
        """An epoch starts, or resumes after ``done`` of its ``steps``."""
        self.trained = True
        self._epoch = f"epoch {number} of {epochs}"
        self._first = done
        self._started = time.monotonic()
        self.advance(self._epoch, done, steps)

    def step(self, done: int, steps: int, loss: float, rate: float) -> None:
        """A step is done; ``loss`` is in nats per token."""
        passed = time.monotonic() - self._started
        speed = (done - self._first) / passed if passed else 0.0
        facts = f"loss {loss:.3f}, rate {rate:.1e}, {speed:.2g} steps/s"
        self.advance(self._epoch, done, steps, facts)

    def validating(self, done: int, total: int) -> None:
        """Captions of ``done`` of ``total`` dev photos are made."""
        self.advance("captioning dev photos", done, total)

    def validated(self, row: dict[str, Any]) -> None:
        """An epoch ended."""
        if not self.last:
            self.message(_HEADER + ("  concepts mAP" if "concepts_map" in row else ""))
        self.last = row
        told = f"{row['concepts_map']:14.1%}" if "concepts_map" in row else ""
        best = "  * best so far" if row["best"] == row["epoch"] else ""
        self.message(
            f"{row['epoch']:5} {row['nll']:8.3f} {row['BLEU-4']:8.2f} {row['CIDEr-D']:8.2f} "
            f"{row['distinct']:9.1%} {row['words']:6.1f} {row['broken_off']:11.1%}{told}{best}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - only what moves needs to be cleared
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the terminal of what moves."""


class TrainingLines(TrainingProgress):
    """Plain lines, for log files and pipes.

    Args:
        seconds: the least time between two lines on the same work.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._work = ""
        self._said = 0.0

    def advance(self, work: str, done: int, total: int, facts: str = "") -> None:
        """See :meth:`TrainingProgress.advance`."""
        now = time.monotonic()
        if work == self._work and now - self._said < self._seconds:
            return
        self._work, self._said = work, now
        if done < total:
            self.message(f"{work}: {done} of {total}{', ' + facts if facts else ''}")

    def message(self, text: str) -> None:
        """See :meth:`TrainingProgress.message`."""
        say(text)


class TrainingBars(TrainingProgress):
    """A bar for what is being done, and lines above it that stay."""

    def __init__(self) -> None:
        super().__init__()
        from rich import progress
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[facts]}"),
            progress.TimeRemainingColumn(),
            console=self._console,
            redirect_stdout=False,
            transient=True,
        )
        self._work = ""
        self._task: progress.TaskID | None = None

    def advance(self, work: str, done: int, total: int, facts: str = "") -> None:
        """See :meth:`TrainingProgress.advance`."""
        if work != self._work or self._task is None:
            self._clear()
            self._task = self._progress.add_task(work, total=total, completed=done, facts=facts)
            self._work = work
        self._progress.update(self._task, completed=done, total=total, facts=facts)

    def message(self, text: str) -> None:
        """See :meth:`TrainingProgress.message`."""
        self._clear()
        self._console.print(text, markup=False, soft_wrap=True)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See :meth:`TrainingProgress.__exit__`."""
        self._clear()
        self._progress.stop()


class Quiet(TrainingProgress):
    """No output, for all processes of a training except the first."""

    def advance(self, work: str, done: int, total: int, facts: str = "") -> None:
        """See :meth:`TrainingProgress.advance`."""

    def message(self, text: str) -> None:
        """See :meth:`TrainingProgress.message`."""


def training_progress(*, quiet: bool = False) -> TrainingProgress:
    """Bars if standard error is a terminal, lines if it is not.

    Args:
        quiet: neither of them.
    """
    if quiet:
        return Quiet()
    return TrainingBars() if sys.stderr.isatty() else TrainingLines()
