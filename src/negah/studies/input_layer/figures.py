"""Cost of the two input layers over the vocabulary, and a stretch of forecasts."""

from __future__ import annotations

from pathlib import Path

from negah.studies.figures import COLOURS, LINES, legend_below, save, subplots
from negah.studies.results import Results


def draw_costs(results: Results, path: Path) -> Path:
    """Time and memory of a step, both axes logarithmic."""
    figure, panels = subplots(1, 2, (7.6, 3.2))
    costs = results.facts["costs"]
    for axis, measure, title in zip(
        panels, ("ms", "held_mb"), ("milliseconds a step", "megabytes held in a step"), strict=True
    ):
        for number, name in enumerate(costs[0]["layers"]):
            axis.plot(
                [row["vocabulary"] for row in costs],
                [row["layers"][name][measure] for row in costs],
                color=COLOURS[number], linestyle=LINES[number], marker="os"[number], ms=4,
                label=name,
            )  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("words in the vocabulary")
    legend_below(figure, panels[0])
    return save(figure, path)


def draw_forecasts(results: Results, path: Path) -> Path:
    """Sixty days of the test series and tomorrow's temperature as two networks saw it coming."""
    figure, (axis,) = subplots(1, 1, (7.6, 3.2))
    seed = results.seeds[0]
    shown = results.variants[:2]
    truth = results.cell(shown[0], seed)["extra"]["truth"]
    axis.plot(truth, color=COLOURS[6], lw=1, marker="o", ms=2.5, label="temperature")
    for number, variant in enumerate(shown):
        forecast = results.cell(variant, seed)["extra"]["forecast"]
        axis.plot(
            forecast, color=COLOURS[number], linestyle=LINES[number], lw=1.6,
            label=f"forecast the day before: {variant}",
        )  # fmt: skip
    axis.set_xlabel("days")
    axis.set_ylabel("°C")
    axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return save(figure, path)
