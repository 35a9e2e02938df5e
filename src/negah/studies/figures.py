"""Figures that every study has: bars with intervals, and curves with their spread over seeds.

Colours are those of Okabe and Ito (2008) and never carry a meaning alone: bars are labelled, and
lines differ in style, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negah.errors import MissingExtraError
from negah.files import atomic_path
from negah.studies.measures import Measure
from negah.studies.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Blue, orange, green, vermilion, sky blue, purple, black, grey.
COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000", "#777777",
)  # fmt: skip
#: One for each colour.
LINES: tuple[Any, ...] = (
    "-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (6, 3)),
)  # fmt: skip
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
}
_MOST_PANELS = 4


def subplots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure in inches, and its axes row by row.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "drawing figures") from None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG for screens and print, atomically."""
    import matplotlib

    with matplotlib.rc_context(STYLE), atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": ""})
    return path


def draw_bars(results: Results, measures: Sequence[Measure], path: Path) -> Path:
    """A panel a measure, a bar a variant, with intervals over seeds; the first row is dark.

    Args:
        results: of a study.
        measures: at most four are drawn.
        path: of the PNG.
    """
    shown = [
        measure
        for measure in measures
        if any(results.estimate(variant, measure.name) for variant in results.variants)
    ][:_MOST_PANELS]
    height = 1.2 + 0.32 * len(results.variants)
    figure, panels = subplots(1, max(1, len(shown)), (7.6, height))
    for number, (axis, measure) in enumerate(zip(panels, shown, strict=False)):
        for row, variant in enumerate(results.variants):
            found = results.estimate(variant, measure.name)
            if found is None:
                continue
            axis.barh(row, found.mean, color=COLOURS[0] if row == 0 else COLOURS[4], height=0.7)
            if found.half is not None:
                axis.errorbar(found.mean, row, xerr=found.half, color="black", capsize=2, lw=1)
            for value in results.values(variant, measure.name) or []:
                axis.plot(value, row, marker="o", ms=2.5, color="black", alpha=0.6)
        labels = results.variants if number == 0 else [""] * len(results.variants)
        axis.set_yticks(range(len(results.variants)), labels)
        axis.invert_yaxis()
        direction = f"\n({measure.better} is better)" if measure.better else ""
        axis.set_title(f"{measure.title}{direction}", fontsize=9)
        _start_near(axis, results, measure)
    return save(figure, path)


def draw_curves(results: Results, path: Path, names: Sequence[str] = ()) -> Path:
    """A panel a curve, a line a variant: the mean over seeds, with the seeds as a band.

    Args:
        results: of a study.
        path: of the PNG.
        names: of curves; by default the first four of the study.
    """
    shown = list(names or results.curve_names())[:_MOST_PANELS]
    figure, panels = subplots(1, max(1, len(shown)), (max(3.6, 3.4 * len(shown)), 3.0))
    for axis, name in zip(panels, shown, strict=False):
        for number, variant in enumerate(results.variants):
            draw_curve(axis, results.curves(variant, name), variant, number)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("epoch")
        axis.locator_params(axis="x", integer=True)
    legend_below(figure, panels[0], columns=2 * len(shown))
    return save(figure, path)


def draw_layers(
    costs: Sequence[Mapping[str, Any]],
    panels: Sequence[tuple[str, str]],
    label: str,
    relative: bool,
    path: Path,
) -> Path:
    """Numbers of layers over the words in the vocabulary, both axes logarithmic.

    Args:
        costs: a row for each ``vocabulary``, with numbers of its ``layers`` by name.
        panels: the key of each number, and its title.
        label: of the axis of numbers; ``{words}`` in it is the fewest words.
        relative: to the first layer at the fewest words.
        path: of the PNG.
    """
    figure, axes = subplots(1, len(panels), (7.6, 3.4))
    layers = list(costs[0]["layers"])
    for axis, (key, title) in zip(axes, panels, strict=True):
        unit = costs[0]["layers"][layers[0]][key] if relative else 1.0
        for number, name in enumerate(layers):
            axis.plot(
                [row["vocabulary"] for row in costs],
                [row["layers"][name][key] / unit for row in costs],
                color=COLOURS[number], linestyle=LINES[number], marker="osD^"[number], ms=4,
                lw=1.5, label=name,
            )  # fmt: skip
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("words in the vocabulary")
        axis.set_title(title, fontsize=9)
    axes[0].set_ylabel(label.format(words=f"{costs[0]['vocabulary']:,}"))
    legend_below(figure, axes[0])
    return save(figure, path)


def legend_below(figure: Figure, axis: Axes, columns: int = 4) -> None:
    """The names of an axis' lines below all panels, where they hide none."""
    lines, labels = axis.get_legend_handles_labels()
    figure.legend(
        lines, labels, frameon=False, fontsize=8, ncols=max(1, min(len(labels), columns)),
        loc="outside lower center",
    )  # fmt: skip


def draw_curve(axis: Axes, curves: Sequence[Sequence[Sequence[float]]], label: str, n: int) -> None:
    """The mean of curves over seeds, in the ``n``-th colour and style, and their range."""
    if not curves:
        return
    length = min(len(curve) for curve in curves)
    xs = [point[0] for point in curves[0][:length]]
    columns = [[curve[place][1] for curve in curves] for place in range(length)]
    colour = COLOURS[n % len(COLOURS)]
    line = LINES[(n + n // len(COLOURS)) % len(LINES)]  # no two of 64 curves look alike
    means = [sum(column) / len(column) for column in columns]
    axis.plot(xs, means, color=colour, linestyle=line, label=label, lw=1.5)
    if len(curves) > 1:
        low, high = [min(column) for column in columns], [max(column) for column in columns]
        axis.fill_between(xs, low, high, color=colour, alpha=0.15, lw=0)


def _start_near(axis: Axes, results: Results, measure: Measure) -> None:
    """Begin the axis at 0, unless all bars would look the same then; say so by a broken label."""
    values = [
        value
        for variant in results.variants
        for value in results.values(variant, measure.name) or []
    ]
    low, high = min(values), max(values)
    if low <= 0 or high - low > 0.15 * high:
        return
    found = [results.estimate(variant, measure.name) for variant in results.variants]
    intervals = [(one.mean, one.half or 0.0) for one in found if one is not None]
    start = min(low - 2 * max(high - low, 1e-9), *(mean - half for mean, half in intervals))
    end = max(high, *(mean + half for mean, half in intervals))
    if start <= 0:
        return
    axis.set_xlim(start, end + 0.05 * (end - start))
    axis.set_xlabel("(axis does not start at 0)", fontsize=7)
