"""A diagnosis as a figure with six panels, readable in print and in grey."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negah.diagnostics.examine import Diagnosis
from negah.diagnostics.verdict import Thresholds
from negah.errors import MissingExtraError
from negah.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008)
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#E69F00", "#009E73", "#777777"
_STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
#: Maximum number of labelled layers of a deep network.
_MOST_NAMES = 16


def draw(diagnosis: Diagnosis, title: str, path: Path) -> Path:
    """Write a PNG.

    Args:
        diagnosis: what was measured.
        title: the model's name and what it was measured on.
        path: of the PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "drawing a diagnosis") from None
    limits = Thresholds()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 6.4), layout="constrained")
        (memory, back, steps), (layers, gates, looks) = figure.subplots(2, 3)
        _memory(memory, diagnosis, limits)
        _line(back, diagnosis.last_word, _BLUE, "-", "o")
        back.set_title("what reaches back from the last word")
        back.set(
            xlabel="words before it",
            ylabel="norm of dL(last word) / ds",
            yscale=_scale(diagnosis.last_word),
        )
        _line(steps, diagnosis.later_words, _GREEN, "-", "s")
        steps.set_title("what all later words say to a state")
        steps.set(
            xlabel="words read before",
            ylabel="norm of dL(later words) / ds",
            yscale=_scale(diagnosis.later_words),
        )
        _layers(layers, diagnosis)
        _gates(gates, diagnosis)
        _looks(looks, diagnosis, limits)
        figure.suptitle(f"{title}\nverdict: {diagnosis.verdict().state}", fontsize=10)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=140, metadata={"Software": ""})
    return path


def _memory(axis: Axes, diagnosis: Diagnosis, limits: Thresholds) -> None:
    _line(axis, diagnosis.jacobian, _BLUE, "-", "o", "whole state")
    if any(diagnosis.jacobian_hidden[1:]):
        _line(axis, diagnosis.jacobian_hidden, _ORANGE, "--", "^", "h alone")
    for level, name in ((limits.forgotten, "vanished"), (limits.grown, "exploded")):
        axis.axhline(level, color=_GREY, linestyle=":", lw=1)
        axis.annotate(name, (0, level), fontsize=7, color=_GREY, va="bottom")
    axis.axvline(limits.distance, color=_GREY, linestyle=":", lw=1)
    axis.set(yscale="log", xlabel="distance in words", ylabel="rms singular value")
    axis.set_title("memory: Jacobian over distance")
    axis.legend(frameon=False, fontsize=7)


def _layers(axis: Axes, diagnosis: Diagnosis) -> None:
    names = list(diagnosis.layers)
    norms = [layer.gradient for layer in diagnosis.layers.values()]
    axis.barh(range(len(names)), [_drawable(norm) for norm in norms], color=_BLUE)
    if len(names) <= _MOST_NAMES:
        axis.set_yticks(range(len(names)), names)
    else:
        every = math.ceil(len(names) / _MOST_NAMES)
        axis.set_yticks(range(0, len(names), every), names[::every])
    axis.invert_yaxis()
    axis.set(xscale=_scale(norms), xlabel="norm")
    axis.set_title("gradient by layer")


def _gates(axis: Axes, diagnosis: Diagnosis) -> None:
    found = diagnosis.saturation
    if not found:
        _nothing(axis, "no gates")
    rows = range(len(found))
    shut = [100 * gate["shut"] for gate in found.values()]
    wide = [100 * gate["open"] for gate in found.values()]
    axis.barh(rows, shut, color=_ORANGE, hatch="//", label="shut, below 0.05")
    axis.barh(rows, wide, left=shut, color=_BLUE, label="open, above 0.95")
    axis.set_yticks(rows, list(found))
    axis.set(xlim=(0, 100), xlabel="% of activations")
    axis.set_title("saturated gates")
    if found:
        axis.legend(frameon=False, fontsize=7, loc="lower right")


def _looks(axis: Axes, diagnosis: Diagnosis, limits: Thresholds) -> None:
    found: Mapping[str, Mapping[str, float]] = diagnosis.attention
    axis.set_title("attention")
    if not found:
        _nothing(axis, "no attention measured")
        return
    rows = range(len(found))
    axis.barh([row - 0.18 for row in rows], [one["entropy"] for one in found.values()],
              height=0.34, color=_GREEN, hatch="..", label="entropy (1: flat)")  # fmt: skip
    axis.barh([row + 0.18 for row in rows], [one["information"] for one in found.values()],
              height=0.34, color=_BLUE, label="information (0: stuck)")  # fmt: skip
    axis.axvline(limits.flat, color=_GREY, linestyle=":", lw=1)
    axis.set_yticks(rows, list(found))
    axis.set(xlim=(0, 1), ylim=(-0.6, len(found) + 0.3))
    axis.legend(frameon=False, fontsize=7, loc="upper right")


def _nothing(axis: Axes, why: str) -> None:
    axis.text(0.5, 0.5, why, ha="center", va="center", transform=axis.transAxes)
    axis.set(xticks=[], yticks=[])


def _line(
    axis: Axes, values: Sequence[float], colour: str, style: str, marker: str, label: str = ""
) -> None:
    axis.plot(
        range(len(values)), [_drawable(value) for value in values], color=colour,
        linestyle=style, marker=marker, ms=3, lw=1.4, label=label,
    )  # fmt: skip


def _drawable(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _scale(values: Sequence[float]) -> str:
    """Logarithmic where the numbers are more than tenfold apart."""
    positive = [value for value in values if 0 < value < math.inf]
    return "log" if positive and max(positive) > 10 * min(positive) else "linear"
