"""Error over length, and what is recalled over delay."""

from __future__ import annotations

from pathlib import Path

from negah.studies.figures import COLOURS, LINES, draw_curve, legend_below, save, subplots
from negah.studies.results import Results


def draw_memory(
    results: Results, names: tuple[str, str], levels: tuple[float, float], path: Path
) -> Path:
    """A panel for each task, a line for each cell: mean and range over seeds, and guessing.

    Args:
        results: of the study.
        names: of the curves over length: errors, which are drawn on a logarithmic axis, and
            percentages.
        levels: of guessing.
        path: of the PNG.
    """
    figure, panels = subplots(1, 2, (7.6, 3.2))
    titles = ("adding problem: mean squared error", "copy problem: symbols recalled, %")
    labels = ("length of the sequence, steps", "delay, steps")
    for axis, name, level, title, label in zip(panels, names, levels, titles, labels, strict=True):
        for number, variant in enumerate(results.variants):
            draw_curve(axis, results.curves(variant, name), variant, number)
            for curve in results.curves(variant, name):
                axis.plot(
                    *zip(*curve, strict=True),
                    ls="",
                    marker="osd"[number % 3],
                    ms=3,
                    color=COLOURS[number],
                )
        axis.axhline(level, color=COLOURS[-1], linestyle=LINES[3], lw=1)
        axis.annotate(
            "guessing",
            (0.01, level),
            xycoords=("axes fraction", "data"),
            ha="left",
            va="bottom",
            fontsize=8,
        )
        axis.set_title(title, fontsize=9)
        axis.set_xlabel(label)
    panels[0].set_yscale("log")
    panels[1].set_ylim(0, 103)
    legend_below(figure, panels[1])
    return save(figure, path)
