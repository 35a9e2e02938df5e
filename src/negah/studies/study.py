"""What a study is: variants times seeds, the same data and budget, and a verdict from the numbers.

A study declares what it compares and what it shows of it. How one cell (a variant with a seed) is
trained and measured stands in the module ``cells`` beside it; everything else is done once for all
by :mod:`negah.studies.run` and :mod:`negah.studies.report`. Importing a study is quick: PyTorch
comes with its first cell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from negah.options import Options
from negah.progress import Progress
from negah.studies.charts import Bars, Chart, Curves, Drawn, Layers
from negah.studies.measures import COST, Comparison, Measure, signed
from negah.studies.result_tables import (
    CaptionTable,
    CurveTable,
    MeasureGrid,
    PhotoTestTable,
    ReferenceTable,
    ResultTable,
)
from negah.studies.results import MOST_SEEDS, Results
from negah.studies.tables import (
    FactSentence,
    FactTable,
    fact_tables,
    filled,
    measure_table,
)


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


def key_of(values: Any) -> str:
    """A name of twelve digits for what decides some numbers; JSON-ready."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


class Study:
    """A question, and the experiment that answers it.

    The module ``cells`` of its package has ``run_cell(options, paths, variant, seed, progress)``,
    and may have ``prepare`` and ``facts`` of ``(options, paths, progress)``; the methods of these
    names say what they do.

    Attributes:
        name: of the command and the files.
        title: of the page.
        question: one sentence.
        claim: what the text of a student, whose claims are tested, says about it.
        full: the setting whose numbers are meant.
        quick: one that takes seconds and whose numbers mean nothing.
        rows: the variants; the first is the baseline.
        measures: columns of the tables.
        comparisons: what the verdict is about.
        fact_tables: tables of the facts.
        result_tables: other tables.
        timed: whether the table of costs is shown; not where the weights of cells are kept.
        sentences: of the verdict, from the facts.
        charts: the figures.
        learns_from_photos: whether cells learn from the photos of ``Paths.data``.
        reads_text: whether it needs ``Paths.text``.
        beside: files that it needs in the folder of the photos.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    claim: ClassVar[str]
    full: ClassVar[StudyOptions]
    quick: ClassVar[StudyOptions]
    rows: ClassVar[tuple[str, ...]]
    measures: ClassVar[tuple[Measure, ...]]
    comparisons: ClassVar[tuple[Comparison, ...]] = ()
    fact_tables: ClassVar[tuple[FactTable, ...]] = ()
    result_tables: ClassVar[tuple[ResultTable, ...]] = ()
    timed: ClassVar[bool] = True
    sentences: ClassVar[tuple[FactSentence, ...]] = ()
    charts: ClassVar[tuple[Chart, ...]] = (Bars("results"), Curves("curves"))
    learns_from_photos: ClassVar[bool] = True
    reads_text: ClassVar[bool] = False
    beside: ClassVar[tuple[str, ...]] = ()

    def options(self, quick: bool) -> StudyOptions:
        """The full setting, or the quick one."""
        return self.quick if quick else self.full

    def variants(self, options: Any) -> Sequence[str]:
        """The rows; the first is the baseline."""
        return self.rows

    def run_cell(
        self, options: Any, paths: Paths, variant: str, seed: int, progress: Progress
    ) -> dict[str, Any]:
        """Train and measure one cell; called in a process of its own.

        Returns:
            ``values`` by the name of their measure, ``curves`` by name (points [x, y]), and
            anything else under ``extra``; all of it JSON-ready.
        """
        found: dict[str, Any] = self._cells().run_cell(options, paths, variant, seed, progress)
        return found

    def prepare(self, options: Any, paths: Paths, progress: Progress) -> None:
        """Compute what cells share and keep it on disk; done again, it finds it there.

        By default the features of the photos of ``options.captioning``.
        """
        if hasattr(self._cells(), "prepare"):
            self._cells().prepare(options, paths, progress)
        elif self.learns_from_photos:
            from negah.studies.captioning import prepare_captions

            prepare_captions(options.captioning, paths, progress)

    def facts(self, options: Any, paths: Paths, progress: Progress) -> dict[str, Any]:
        """Numbers of the study as a whole: proofs, counts, coverage. Kept like a cell."""
        cells = self._cells()
        return dict(cells.facts(options, paths, progress)) if hasattr(cells, "facts") else {}

    @property
    def computing(self) -> str:
        """The name of the module of the cells."""
        return f"{type(self).__module__.rpartition('.')[0]}.cells"

    def _cells(self) -> Any:
        return import_module(self.computing)

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

        measures = (one.name for one in self.measures)
        return metric_signatures(paths.data, measures) if self.learns_from_photos else {}

    def tables(self, results: Results) -> dict[str, str]:
        """Markdown by name: one table for each ``Measure.table``, and those that are declared."""
        found = {}
        measures = self.all_measures() if self.timed else self.measures
        for name in dict.fromkeys(measure.table for measure in measures):
            columns = [measure for measure in measures if measure.table == name]
            compared = columns[0] if name == "results" else None
            found[name] = measure_table(results, columns, compared)
        for name, text in fact_tables(self.fact_tables, results.facts).items():
            found[name] = f"{found[name]}\n{text}" if name in found else text
        return found | {table.name: table.text(results) for table in self.result_tables}

    def verdicts(self, results: Results) -> list[str]:
        """Sentences made from the numbers alone: the comparisons, and those of the facts.

        Where cells kept what each photo adds, comparisons are tested over photos, too.
        """
        compared = (self._sentence(results, comparison) for comparison in self.comparisons)
        told = (sentence for one in self.sentences for sentence in one.sentences(results.facts))
        return [*filter(None, compared), *told]

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """Draw what people would rather look at: ``NAME-*.png``."""
        drawn = (
            chart.draw(results, self.measures, folder / f"{self.name}-{chart.name}.png")
            for chart in self.charts
        )
        return [path for path in drawn if path is not None]

    def all_measures(self) -> tuple[Measure, ...]:
        """Those of the study and of the harness."""
        return (*self.measures, *COST)

    def measure(self, name: str) -> Measure:
        """A measure by its name."""
        return next(measure for measure in self.all_measures() if measure.name == name)

    def _sentence(self, results: Results, comparison: Comparison) -> str:
        from negah.studies.photos import over_photos

        found = results.difference(comparison.variant, comparison.against, comparison.measure)
        if found is None:
            return ""
        measure = self.measure(comparison.measure)
        what = comparison.what[0].upper() + comparison.what[1:]
        rows = comparison.variant, comparison.against
        photos = over_photos(results, *rows, measure.name, measure.digits)
        return f"{what} ({' − '.join(rows)}): {measure.title} {measure.compared(found)}." + (
            "" if photos is None else f" Over photos {photos.text}."
        )


__all__ = [
    "Bars",
    "CaptionTable",
    "Captioned",
    "Chart",
    "Comparison",
    "CurveTable",
    "Curves",
    "Drawn",
    "FactSentence",
    "FactTable",
    "Layers",
    "Measure",
    "MeasureGrid",
    "Paths",
    "PhotoTestTable",
    "Progress",
    "ReferenceTable",
    "ResultTable",
    "Results",
    "Study",
    "StudyOptions",
    "filled",
    "key_of",
    "signed",
]
