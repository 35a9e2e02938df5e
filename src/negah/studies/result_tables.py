"""Tables of a study that are neither of its measures by variant nor of its facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from negah.studies.measures import Comparison, signed
from negah.studies.results import Results, estimate
from negah.studies.tables import MISSING, markdown


class ResultTable(Protocol):
    """A table by its name; where that is the name of a table of measures, it replaces it."""

    @property
    def name(self) -> str:
        """Of the table."""

    def text(self, results: Results) -> str:
        """Markdown."""


@dataclass(frozen=True, slots=True)
class MeasureGrid:
    """For each variant several rows of measures.

    Attributes:
        name: of the table.
        header: its titles, those of the variants and of the rows included.
        rows: the title of each row, and the names of its measures.
        last: a row below, such as chance: its title, and of each column a measure of the first
            variant, whose mean is shown, or a number; empty for none.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    last: tuple[str, tuple[str | int, ...]] | tuple[()] = ()

    def text(self, results: Results) -> str:
        """Markdown."""
        rows = [
            [variant, title, *(_estimated(results, variant, name) for name in names)]
            for variant in results.variants
            for title, names in self.rows
        ]
        if self.last:
            title, columns = self.last
            rows.append([title, "", *(_mean(results, column) for column in columns)])
        return markdown(self.header, rows)


@dataclass(frozen=True, slots=True)
class CurveTable:
    """A curve at each of its points: a row for each variant.

    Attributes:
        name: of the table.
        curve: of the cells; all have the points of the first.
        title: of a column, a template of its point, such as ``"{:g} steps"``.
        digits: after the decimal point.
        last: a row below: its title, and the number in all of its columns.
    """

    name: str
    curve: str
    title: str
    digits: int
    last: tuple[str, float]

    def text(self, results: Results) -> str:
        """Markdown."""
        points = results.points(self.curve)
        rows = [
            [
                variant,
                *(f"{estimate(results.at(variant, self.curve, x)):{self.digits}}" for x in points),
            ]
            for variant in results.variants
        ]
        title, number = self.last
        rows.append([title, *[f"{number:.{self.digits}f}"] * len(points)])
        return markdown(["", *map(self.title.format, points)], rows)


@dataclass(frozen=True, slots=True)
class CaptionTable:
    """The captions of the first photos by each variant with the first seed: a row a variant.

    They are ``captions`` of a cell's extra.

    Attributes:
        name: of the table.
        header: the titles of as many photos as are shown.
    """

    name: str
    header: tuple[str, ...] = ("photo 1", "photo 2", "photo 3")

    def text(self, results: Results) -> str:
        """Markdown."""
        rows = []
        for variant in results.variants:
            captions = results.cell(variant, results.seeds[0])["extra"].get("captions", {})
            if captions:
                rows.append([variant, *list(captions.values())[: len(self.header)]])
        return markdown(["", *self.header], rows)


@dataclass(frozen=True, slots=True)
class ReferenceTable:
    """A reference of each of the first photos, beside the captions of all variants: a row a photo.

    They are ``references`` and ``captions`` of a cell's extra, of the first seed.

    Attributes:
        name: of the table.
        header: the title of the references.
        most: photos that are shown.
        last: a row below: its title, and the list in a cell's extra that it shows.
    """

    name: str
    header: str
    most: int
    last: tuple[str, str]

    def text(self, results: Results) -> str:
        """Markdown."""
        seed = results.seeds[0]
        extra = [results.cell(variant, seed)["extra"] for variant in results.variants]
        rows = [
            [reference, *(one["captions"][photo] for one in extra)]
            for photo, reference in list(extra[0]["references"].items())[: self.most]
        ]
        title, listed = self.last
        rows.append([title, *(", ".join(one[listed]) or MISSING for one in extra)])
        return markdown([self.header, *results.variants], rows)


@dataclass(frozen=True, slots=True)
class PhotoTestTable:
    """Comparisons over seeds and over photos, of those rows whose cells kept what photos add.

    Attributes:
        name: of the table.
        header: its titles.
        comparisons: a row each.
        digits: after the decimal point.
    """

    name: str
    header: tuple[str, ...]
    comparisons: Sequence[Comparison]
    digits: int = 1

    def text(self, results: Results) -> str:
        """Markdown."""
        from negah.studies.photos import over_photos

        rows = []
        for one in self.comparisons:
            compared = one.variant, one.against, one.measure
            seeds = results.difference(*compared)
            photos = over_photos(results, *compared, self.digits)
            if seeds is not None and photos is not None:
                found = [signed(seeds, self.digits), *photos.text.split(", ")]
                rows.append([one.what, one.variant, one.against, *found])
        return markdown(self.header, rows)


def _estimated(results: Results, variant: str, measure: str) -> str:
    found = results.estimate(variant, measure)
    return MISSING if found is None else str(found)


def _mean(results: Results, column: str | int) -> str:
    if isinstance(column, int):
        return str(column)
    found = results.estimate(results.variants[0], column)
    return MISSING if found is None else f"{found.mean:.1f}"
