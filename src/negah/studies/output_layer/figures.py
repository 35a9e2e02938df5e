"""Time and memory of the output layers over the size of the vocabulary, both axes logarithmic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from negah.studies.figures import COLOURS, LINES, legend_below, save, subplots
from negah.studies.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = "osD^"


def draw_time(results: Results, path: Path) -> Path:
    """A training step and a decoding step, against the full softmax's at the fewest words."""
    figure, (left, right) = subplots(1, 2, (7.6, 3.4))
    first = results.facts["costs"][0]
    for axis, work, title in (
        (left, "step", "a training step"),
        (right, "decode", "a decoding step: the scores of all words"),
    ):
        unit = first["layers"]["full softmax"][f"{work}_ms"]
        _lines(axis, results, f"{work}_ms", unit)
        axis.set_title(title, fontsize=9)
    left.set_ylabel(f"time; 1 = full softmax, {first['vocabulary']:,} words")
    legend_below(figure, left)
    return save(figure, path)


def draw_memory(results: Results, path: Path) -> Path:
    """Weights, and the most that a training step holds with the moments of Adam."""
    figure, (left, right) = subplots(1, 2, (7.6, 3.4))
    for axis, measure, title in (
        (left, "parameters_mb", "weights"),
        (right, "peak_mb", "most held in a training step"),
    ):
        _lines(axis, results, measure, 1.0)
        axis.set_title(title, fontsize=9)
    left.set_ylabel("megabytes")
    legend_below(figure, left)
    return save(figure, path)


def _lines(axis: Axes, results: Results, measure: str, unit: float) -> None:
    costs = results.facts["costs"]
    for number, name in enumerate(costs[0]["layers"]):
        axis.plot(
            [row["vocabulary"] for row in costs],
            [row["layers"][name][measure] / unit for row in costs],
            color=COLOURS[number],
            linestyle=LINES[number],
            marker=_MARKERS[number],
            ms=4,
            lw=1.5,
            label=name,
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("words in the vocabulary")
