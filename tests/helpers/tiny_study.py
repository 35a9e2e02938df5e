"""A study that takes a moment and whose numbers are known."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from negah.errors import DataError
from negah.studies.study import Comparison, Measure, Paths, Progress, Study, StudyOptions


class TinyOptions(StudyOptions):
    """Its options."""

    step: float = 2.0
    failing: str = ""
    seconds: float = 0.0


class TinyStudy(Study):
    """Variant number k scores k times ``step`` plus its seed; every cell leaves a trace."""

    name: ClassVar[str] = "tiny"
    title: ClassVar[str] = "A tiny study"
    question: ClassVar[str] = "Is <more> more?"
    claim: ClassVar[str] = "More is more."
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("score", "score"),
        Measure("loss", "loss", 2, better="lower"),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        Comparison("two", "none", "score", "two steps"),
        Comparison("two", "none", "loss", "two steps"),
        Comparison("one", "none", "flat", "a measure that no cell has"),
    )

    def options(self, quick: bool) -> TinyOptions:
        """Two seeds; three in full."""
        return TinyOptions(seeds=(0, 1) if quick else (0, 1, 2))

    def variants(self, options: TinyOptions) -> Sequence[str]:
        """Three."""
        return ("none", "one", "two")

    def prepare(self, options: TinyOptions, paths: Paths, progress: Progress) -> None:
        """Leave a trace."""
        _trace(paths.work, "prepare")

    def facts(self, options: TinyOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
        """One number."""
        return {"answer": 42}

    def run_cell(
        self, options: TinyOptions, paths: Paths, variant: str, seed: int, progress: Progress
    ) -> dict[str, Any]:
        """What the variant's number makes of it."""
        _trace(paths.work, f"{variant} {seed} {os.getpid()}")
        if variant == options.failing:
            raise DataError(f"{variant} fails")
        time.sleep(options.seconds)
        progress("counting", 1, 1)
        number = self.variants(options).index(variant)
        values = {"score": number * options.step + seed + 0.01 * number * seed, "loss": 1.0}
        return {"values": values, "curves": {"growth": [[1, 0.0], [2, values["score"]]]}}


def _trace(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "trace.txt").open("a") as file:
        file.write(text + "\n")


STUDY = TinyStudy()
