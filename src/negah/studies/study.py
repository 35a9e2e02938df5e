"""What a study is: variants times seeds, the same data and budget, and a verdict from the numbers.

A study says what it compares and how one cell (a variant with a seed) is trained and measured;
everything else is done once for all by :mod:`negah.studies.run` and :mod:`negah.studies.report`.
Importing a study is quick: PyTorch comes with its first cell.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from negah.options import Options
from negah.studies.results import MOST_SEEDS, Estimate, Results

_MOST_DIGITS = 4
_SPECIAL = re.compile(r"<[A-Z]+>")

#: Told of some work, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of every cell.

    Attributes:
        name: its key in the cell's ``values``.
        title: as tables and figures call it.
        digits: after the point.
        table: that it stands in: "results", "cost", or a study's own.
        better: which way is better; "" for neither.
    """

    name: str
    title: str
    digits: int = 1
    table: str = "results"
    better: Literal["higher", "lower", ""] = "higher"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A question whose answer is a sentence made from the numbers.

    Attributes:
        variant: what is asked about.
        against: what it is compared with, seed by seed.
        measure: the name of a :class:`Measure`.
        what: a noun phrase, such as "the reset gate".
    """

    variant: str
    against: str
    measure: str
    what: str


@dataclass(frozen=True, slots=True)
class Captioned:
    """A model and captioned photographs, on which a study measures it.

    Attributes:
        data: the data set.
        images: the folder of its photos; None looks where they usually are.
        objects: a file of boxes of the things in them; None without.
        model: as a user names it; None for the bundled one.
    """

    data: Path
    images: Path | None = None
    objects: Path | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a study finds and keeps things.

    Attributes:
        data: the folder of Flickr8k, or of the photos made for a quick run.
        work: what this study keeps, in a folder of its own.
        shared: what studies share: the feature stores.
        text: the folder that holds ``text/`` and ``msvd/``; None without.
        captioned: what a finished model is measured on; None without.
    """

    data: Path
    work: Path
    shared: Path
    text: Path | None = None
    captioned: Captioned | None = None


class StudyOptions(Options):
    """What every study can be told; each adds its own."""

    seeds: tuple[int, ...] = Field(
        (0, 1, 2), min_length=1, max_length=MOST_SEEDS, description="a training for each"
    )


#: What the harness adds to every cell.
COST = (
    Measure("seconds", "seconds", 0, "cost", "lower"),
    Measure("peak_mb", "peak memory, MB", 0, "cost", "lower"),
)


class Study(ABC):
    """A question, and the experiment that answers it.

    Attributes:
        name: of the command and the files.
        title: of the page.
        question: one sentence.
        claim: what the text of a student, whose claims are tested, says about it.
        measures: columns of the tables.
        comparisons: what the verdict is about.
        learns_from_photos: whether cells learn from the photos of ``Paths.data``.
        preloads: modules beside :mod:`negah.studies.worker` that its cells need; imported once.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    claim: ClassVar[str]
    measures: ClassVar[tuple[Measure, ...]]
    comparisons: ClassVar[tuple[Comparison, ...]] = ()
    learns_from_photos: ClassVar[bool] = True
    preloads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def options(self, quick: bool) -> StudyOptions:
        """The full setting, or one that takes seconds and whose numbers mean nothing."""

    @abstractmethod
    def variants(self, options: Any) -> Sequence[str]:
        """The rows; the first is the baseline."""

    @abstractmethod
    def run_cell(
        self, options: Any, paths: Paths, variant: str, seed: int, progress: Progress
    ) -> dict[str, Any]:
        """Train and measure one cell; called in a process of its own.

        Returns:
            ``values`` by the name of their measure, ``curves`` by name (points [x, y]), and
            anything else under ``extra``; all of it JSON-ready.
        """

    def prepare(self, options: Any, paths: Paths, progress: Progress) -> None:  # noqa: B027
        """Compute what cells share and keep it on disk; done again, it finds it there."""

    def facts(self, options: Any, paths: Paths, progress: Progress) -> dict[str, Any]:
        """Numbers of the study as a whole: proofs, counts, coverage. Kept like a cell."""
        return {}

    def facts_of(self, options: Any, paths: Paths) -> dict[str, Any]:
        """What facts depend on beside the options, such as the weights of a model; JSON-ready."""
        return {}

    def made_of(self, paths: Paths) -> str:
        """Names what cells learn from beside the options; "" for nothing."""
        from negah.studies.made_of import digest

        return digest(paths.data) if self.learns_from_photos else ""

    def signatures(self, paths: Paths) -> dict[str, str]:
        """Of the metrics among the measures, by name; empty if it has none."""
        from negah.studies.made_of import metric_signatures

        return metric_signatures(paths.data, (one.name for one in self.measures))

    def tables(self, results: Results) -> dict[str, str]:
        """Markdown by name: one table for each ``Measure.table``, and those of the facts."""
        names = dict.fromkeys(measure.table for measure in self.all_measures())
        return {name: self._table(results, name) for name in names}

    def verdicts(self, results: Results) -> list[str]:
        """Sentences made from the numbers alone, over photos too where cells kept them."""
        return [
            sentence
            for comparison in self.comparisons
            if (sentence := self._sentence(results, comparison))
        ]

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """Draw what people would rather look at: ``NAME-*.png``."""
        from negah.studies.figures import draw_bars, draw_curves

        shown = [measure for measure in self.measures if measure.table == "results"]
        drawn = [draw_bars(results, shown[:4], folder / f"{self.name}-results.png")]
        if results.curve_names():
            drawn.append(draw_curves(results, folder / f"{self.name}-curves.png"))
        return drawn

    def all_measures(self) -> tuple[Measure, ...]:
        """Those of the study and of the harness."""
        return (*self.measures, *COST)

    def measure(self, name: str) -> Measure:
        """A measure by its name."""
        return next(measure for measure in self.all_measures() if measure.name == name)

    def _table(self, results: Results, name: str) -> str:
        columns = [
            measure
            for measure in self.all_measures()
            if measure.table == name
            and any(results.estimate(variant, measure.name) for variant in results.variants)
        ]
        first = results.variants[0]
        compared = columns[0] if name == "results" and columns else None
        header = ["", *(measure.title for measure in columns)]
        if compared is not None and len(results.variants) > 1:
            header.append(f"{compared.title} against {first}")
        rows = []
        for variant in results.variants:
            row = [variant]
            for measure in columns:
                found = results.estimate(variant, measure.name)
                row.append("–" if found is None else _shown(found, measure.digits))
            if compared is not None and len(results.variants) > 1:
                difference = results.difference(variant, first, compared.name)
                shown = variant != first and difference is not None
                row.append(signed(difference, compared.digits) if difference and shown else "")
            rows.append(row)
        return markdown(header, rows)

    def _sentence(self, results: Results, comparison: Comparison) -> str:
        from negah.studies.photos import over_photos

        found = results.difference(comparison.variant, comparison.against, comparison.measure)
        if found is None:
            return ""
        measure = self.measure(comparison.measure)
        what = comparison.what[0].upper() + comparison.what[1:]
        rows = comparison.variant, comparison.against
        photos = over_photos(results, *rows, measure.name, measure.digits)
        return (
            f"{what} ({' − '.join(rows)}): {measure.title} "
            f"{signed(found, measure.digits)}, {claim(found, measure)}."
            + ("" if photos is None else f" Over photos {photos.text}.")
        )


def claim(found: Estimate, measure: Measure) -> str:
    """What a difference says, in words."""
    if found.half is None:
        return "of a single seed, which shows nothing"
    if not found.beyond_zero:
        return f"no difference that {found.n} seeds can show"
    if float(f"{found.mean:.{measure.digits}f}") == 0:
        return "no difference at this precision"
    if measure.better == "":
        return "higher" if found.mean > 0 else "lower"
    return "better" if (found.mean > 0) == (measure.better == "higher") else "worse"


def signed(found: Estimate, digits: int = 1) -> str:
    """``+1.2 ± 0.3``, with a real minus."""
    return ("+" if found.mean >= 0 else "−") + found.text(digits).removeprefix("-")


def _shown(found: Estimate, digits: int) -> str:
    """The text of a mean, with more digits or by magnitude where it would wrongly be 0."""
    if found.mean == 0 or float(f"{found.mean:.{digits}f}") != 0:
        return found.text(digits)
    more = -math.floor(math.log10(abs(found.mean)))
    return found.text(more) if more <= _MOST_DIGITS else f"{found.mean:.0e}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; ``<UNK>`` and its like become code, as HTML would swallow them."""
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return _SPECIAL.sub(r"`\g<0>`", text)


def flat(values: Mapping[str, Any]) -> dict[str, float]:
    """Nested numbers by their dotted names."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": number for inner, number in flat(value).items()}
        elif isinstance(value, int | float):
            found[name] = value
    return found
