"""The report of faithfulness as a figure: pointing, deletion, insertion, and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negah.errors import MissingExtraError
from negah.faithfulness.report import Estimate, Report
from negah.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIRST, _OTHER, _LINE = "#0072B2", "#9ecae1", "#444444"


def draw_report(report: Report, path: Path) -> None:
    """Draw a report as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "drawing a report") from None
    style: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        panels: list[tuple[str, Mapping[str, Estimate], float | None]] = [
            (f"{measure}\n(higher is better)", estimates, report.chance[measure])
            for measure, estimates in report.pointing.items()
            if "middle" not in measure
        ]
        if report.deletion:
            panels.append(("deletion, nats\n(lower is better)", report.deletion, None))
            panels.append(("insertion, nats\n(higher is better)", report.insertion, None))
        count = len(panels) + bool(report.calibration)
        figure = Figure(figsize=(max(4.0, 2.7 * count), 2.8), layout="constrained")
        axes = list(figure.subplots(1, max(1, count), squeeze=False).flat)
        for axis, (title, estimates, chance) in zip(axes, panels, strict=False):
            _bars(axis, estimates, chance)
            axis.set_title(title, fontsize=9)
        if report.calibration:
            _calibration(axes[-1], report)
        figure.suptitle(
            f"{report.model} on {report.dataset}, part {report.split}: {report.words:,} words of "
            f"{report.photos:,} photos",
            fontsize=9,
        )
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=150, metadata={"Software": "Negah"})


def _bars(axis: Axes, estimates: Mapping[str, Estimate], chance: float | None) -> None:
    for place, one in enumerate(estimates.values()):
        axis.bar(place, one.value, color=_FIRST if place == 0 else _OTHER, width=0.7)
        reach = [[one.value - one.low], [one.high - one.value]]
        axis.errorbar(place, one.value, yerr=reach, color="black", capsize=3, lw=1)
        inside = one.value / 2
        axis.text(place, inside, f"{one.value:.2f}", ha="center", va="center", fontsize=8,
                  color="white" if place == 0 else "black")  # fmt: skip
    axis.set_xticks(range(len(estimates)), list(estimates), rotation=30, ha="right")
    if chance is not None:
        axis.axhline(chance, color=_LINE, lw=1, ls="--")
        axis.text(len(estimates) - 0.5, chance, " chance", fontsize=7, ha="left", va="center")
        axis.set_ylim(0, 1)


def _calibration(axis: Axes, report: Report) -> None:
    axis.plot([0, 1], [0, 1], color=_LINE, lw=1, ls="--")
    said, true = zip(*((one.said, one.true) for one in report.calibration), strict=True)
    axis.plot(said, true, marker="o", ms=4, color=_FIRST)
    axis.set_xlabel("seen, as it is said")
    axis.set_ylabel("share that is supported")
    axis.set_title("calibration", fontsize=9)
