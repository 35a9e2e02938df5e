"""Reports of a training: callers' progress bars, a JSONL log, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, TextIO

from negah.run_folder import RunFolder


class Reporter(Protocol):
    """The interface for progress and messages of a training."""

    def features(self, view: str, done: int, total: int) -> None:
        """Features of ``done`` of ``total`` photographs are stored; for the view ``decoded``, the
        number of photos opened.
        """

    def epoch(self, number: int, epochs: int, done: int, steps: int) -> None:
        """An epoch starts, or resumes after ``done`` of its ``steps``."""

    def step(self, done: int, steps: int, loss: float, rate: float) -> None:
        """A step is done; ``loss`` is the epoch's mean so far, in nats per token."""

    def validating(self, done: int, total: int) -> None:
        """``done`` of ``total`` dev photographs are captioned."""

    def validated(self, row: dict[str, Any]) -> None:
        """An epoch ended; ``row`` is its row of the log."""

    def message(self, text: str) -> None:
        """A message for the user."""


class Silent:
    """A reporter that does nothing."""

    def features(self, view: str, done: int, total: int) -> None:
        """Nothing."""

    def epoch(self, number: int, epochs: int, done: int, steps: int) -> None:
        """Nothing."""

    def step(self, done: int, steps: int, loss: float, rate: float) -> None:
        """Nothing."""

    def validating(self, done: int, total: int) -> None:
        """Nothing."""

    def validated(self, row: dict[str, Any]) -> None:
        """Nothing."""

    def message(self, text: str) -> None:
        """Nothing."""


class RunLog:
    """``log.jsonl`` and TensorBoard event files of one run.

    A resumed run may repeat steps that were logged before a kill; the later of two rows is valid.

    Args:
        run: its folder; None writes nothing, as in all processes except the first.
    """

    def __init__(self, run: RunFolder | None) -> None:
        self._stream: TextIO | None = None
        if run is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        run.path.mkdir(parents=True, exist_ok=True)
        self._stream = run.log.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(run.tensorboard))

    def write(self, kind: str, step: int, values: Mapping[str, float | str]) -> None:
        """Add one row; numbers go to TensorBoard too.

        Args:
            kind: of the row, ``train`` or ``dev``.
            step: after which it is written.
            values: by name; the names ``kind`` and ``step`` are reserved.
        """
        if self._stream is None:
            return
        row = {"kind": kind, "step": step, **values}
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._stream.flush()
        for name, value in values.items():
            if isinstance(value, float):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._board.close()
