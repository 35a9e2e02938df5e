"""Memory over length, and what of its inputs a GRU with forced gates depends on."""

from __future__ import annotations

from pathlib import Path

from negah.studies.figures import COLOURS, LINES, draw_curve, legend_below, save, subplots
from negah.studies.gru_gates.options import GUESSING
from negah.studies.results import Results


def draw_memory(results: Results, path: Path) -> Path:
    """A panel for each task, a line for each cell: mean and range over seeds, and guessing."""
    figure, panels = subplots(1, 2, (7.6, 3.2))
    titles = ("adding problem: mean squared error", "copy problem: symbols recalled, %")
    labels = ("length of the sequence, steps", "blanks")
    tasks = zip(panels, GUESSING.items(), titles, labels, strict=True)
    for axis, (name, level), title, label in tasks:
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


def draw_forced(results: Results, path: Path) -> Path:
    """Gradients to the chosen input and to the others: forced gates, and gates near them."""
    figure, (forced, near) = subplots(1, 2, (7.6, 3.0))
    proofs = results.facts["proofs"]
    for number, (key, label) in enumerate((
        ("smallest_chosen", "smallest, to the chosen input"),
        ("largest_other", "largest, to another input"),
    )):  # fmt: skip
        forced.plot(
            [proof[key] for proof in proofs], range(len(proofs)),
            ls="", marker="os"[number], color=COLOURS[number], label=label, clip_on=False,
        )  # fmt: skip
    forced.set_yticks(
        range(len(proofs)),
        [f"{proof['schedule']}\n{proof['cell']}" for proof in proofs],
        fontsize=8,
    )
    forced.set_ylim(len(proofs) - 0.5, -0.5)
    forced.set_xscale("symlog", linthresh=1e-3)
    forced.set_xlim(0, 10)
    forced.set_xticks([0, 1e-3, 1e-1, 10])
    forced.set_title("forced gates: gradients", fontsize=9)
    legend_below(figure, forced)
    marked = results.facts["marked"]
    near.plot(
        [row["strength"] for row in marked], [row["elsewhere"] for row in marked],
        marker="s", color=COLOURS[1], clip_on=False,
    )  # fmt: skip
    near.set_xscale("log")
    near.set_yscale("symlog", linthresh=1e-4)
    near.set_ylim(0, 1)
    near.set_xticks([row["strength"] for row in marked], [f"{row['strength']:g}" for row in marked])
    near.minorticks_off()
    near.set_title("gates from weights: share to other inputs", fontsize=9)
    near.set_xlabel("logit of the gates, ±")
    return save(figure, path)
