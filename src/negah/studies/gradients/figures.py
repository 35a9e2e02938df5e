"""Figures of the study: memory over distance, the deep network by layer, and all of it in time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from negah.studies.figures import draw_curve, legend_below, save, subplots
from negah.studies.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What stands at the start of a training, in its middle, and after it.
MOMENTS = ("start", "middle", "end")


def draw_memory(results: Results, path: Path) -> Path:
    """By distance: the Jacobian before and after training, and the last word's gradient."""
    back, singular = "words back", "rms singular value"
    panels = (
        ("memory, start", "Jacobian before training", back, singular),
        ("memory, end", "Jacobian after training", back, singular),
        ("last word, end", "gradient of the last word", back, "norm of dL / ds"),
    )
    return _draw_panels(results, panels, path)


def draw_layers(results: Results, path: Path) -> Path:
    """The gradient of every layer of the deep networks, through training."""
    shown = [v for v in results.variants if results.curves(v, f"layers, {MOMENTS[0]}")]
    figure, panels = subplots(1, len(shown), (max(5.2, 2.6 * len(shown)), 3.2))
    for axis, variant in zip(panels, shown, strict=True):
        for number, moment in enumerate(MOMENTS):
            draw_curve(axis, _drawable(results, variant, f"layers, {moment}"), moment, number)
        axis.set_yscale("log")
        axis.set_xlabel("layer (1 reads the words)")
        axis.set_title(variant, fontsize=9)
    lowest, highest = (
        end(axis.get_ylim()[n] for axis in panels) for n, end in ((0, min), (1, max))
    )
    for axis in panels:  # one scale, so that they can be compared
        axis.set_ylim(lowest, highest)
    panels[0].set_ylabel("norm of the gradient")
    panels[0].legend(frameon=False, fontsize=8, title="of training", title_fontsize=8)
    return save(figure, path)


def draw_training(results: Results, path: Path) -> Path:
    """By step of training: memory and updates; by word: what all later words say."""
    step = "step of training"
    panels = (
        ("left after 10 words", "of a state left after 10 words", step, ""),
        ("update over weight", "update over weight, recurrent", step, ""),
        ("later words, end", "gradient of all later words", "words read before", ""),
    )
    return _draw_panels(results, panels, path)


def _draw_panels(results: Results, shown: Sequence[tuple[str, str, str, str]], path: Path) -> Path:
    """Three curves: the name of each, its title, and the labels of its axes."""
    figure, panels = subplots(1, 3, (10.2, 3.4))
    for axis, (name, title, across, up) in zip(panels, shown, strict=True):
        _draw_lines(axis, results, name)
        axis.set_title(title, fontsize=9)
        axis.set(xlabel=across, ylabel=up)
    legend_below(figure, panels[0])
    return save(figure, path)


def _draw_lines(axis: Axes, results: Results, name: str) -> None:
    for number, variant in enumerate(results.variants):
        draw_curve(axis, _drawable(results, variant, name), variant, number)
    axis.set_yscale("log")


def _drawable(results: Results, variant: str, name: str) -> Sequence[list[list[float]]]:
    """Curves up to the first point that is 0 or no number, which a logarithm cannot show."""
    kept = []
    for curve in results.curves(variant, name):
        ends = (at for at, (_, y) in enumerate(curve) if y is None or not y > 0)
        kept.append(curve[: next(ends, len(curve))])
    return [curve for curve in kept if curve]
