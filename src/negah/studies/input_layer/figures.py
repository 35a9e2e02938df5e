"""A stretch of forecasts."""

from __future__ import annotations

from pathlib import Path

from negah.studies.figures import COLOURS, LINES, save, subplots
from negah.studies.results import Results


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
            label=f"forecast of the day before: {variant}",
        )  # fmt: skip
    axis.set_xlabel("days")
    axis.set_ylabel("°C")
    axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return save(figure, path)
