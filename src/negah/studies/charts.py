"""Figures that a study declares; each is drawn to a PNG from the results alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from negah.studies.figures import draw_bars, draw_curves, draw_layers
from negah.studies.measures import Measure
from negah.studies.results import Results


class Chart(Protocol):
    """A figure by its name, ``STUDY-NAME.png``."""

    @property
    def name(self) -> str:
        """Of the figure."""

    def draw(self, results: Results, measures: Sequence[Measure], path: Path) -> Path | None:
        """Draw it; None where the results have nothing for it."""


@dataclass(frozen=True, slots=True)
class Bars:
    """A panel a measure, a bar for each variant that has one of them.

    Attributes:
        name: of the figure.
        table: whose first four measures are drawn.
        without: measures that are left out.
    """

    name: str
    table: str = "results"
    without: tuple[str, ...] = ()

    def draw(self, results: Results, measures: Sequence[Measure], path: Path) -> Path | None:
        """Draw it; None where no variant has one of the measures."""
        shown = [
            one for one in measures if one.table == self.table and one.name not in self.without
        ]
        rows = results.only(results.having(*(one.name for one in shown)))
        return draw_bars(rows, shown[:4], path) if rows.variants else None


@dataclass(frozen=True, slots=True)
class Curves:
    """A panel a curve, a line a variant.

    Attributes:
        name: of the figure.
        without: curves that are left out.
    """

    name: str
    without: tuple[str, ...] = ()

    def draw(self, results: Results, measures: Sequence[Measure], path: Path) -> Path | None:
        """Draw the first four; None where there are no curves."""
        names = [name for name in results.curve_names() if name not in self.without]
        return draw_curves(results, path, names) if names else None


@dataclass(frozen=True, slots=True)
class Layers:
    """What layers cost over the words in the vocabulary, from the fact ``costs``.

    Attributes:
        name: of the figure.
        panels: the key of each number, and its title.
        label: of the axis.
        relative: to the first layer at the fewest words.
    """

    name: str
    panels: tuple[tuple[str, str], ...]
    label: str = ""
    relative: bool = False

    def draw(self, results: Results, measures: Sequence[Measure], path: Path) -> Path | None:
        """Draw it."""
        return draw_layers(results.facts["costs"], self.panels, self.label, self.relative, path)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure that only one study has.

    Attributes:
        name: of the figure.
        function: draws it.
    """

    name: str
    function: Callable[[Results, Path], Any]

    def draw(self, results: Results, measures: Sequence[Measure], path: Path) -> Path | None:
        """Draw it."""
        drawn: Path | None = self.function(results, path)
        return drawn
