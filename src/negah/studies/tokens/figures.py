"""Nats per character: of the tokens, and of spelling unknown words."""

from __future__ import annotations

from pathlib import Path

from negah.studies.figures import COLOURS, draw_curve, save, subplots
from negah.studies.results import Results


def draw_nats(results: Results, path: Path) -> Path:
    """Stacked bars of the test part, and the course of the dev part."""
    figure, (bars, curves) = subplots(1, 2, (7.6, 3.0))
    for row, variant in enumerate(results.variants):
        whole = results.estimate(variant, "nats_per_character")
        tokens = results.estimate(variant, "unknown_free")
        if whole is None or tokens is None:
            continue
        bars.bar(row, tokens.mean, color=COLOURS[4], label="tokens" if row == 0 else None)
        bars.bar(
            row, whole.mean - tokens.mean, bottom=tokens.mean, color="white", hatch="///",
            edgecolor="black", label="spelling of unknown words" if row == 0 else None,
        )  # fmt: skip
        if whole.half is not None:
            bars.errorbar(row, whole.mean, yerr=whole.half, color="black", capsize=3, lw=1)
    bars.set_xticks(range(len(results.variants)), results.variants)
    bars.set_title("test part, nats per character", fontsize=9)
    bars.set_ylim(top=1.3 * bars.get_ylim()[1])  # room for the legend
    bars.legend(frameon=False, fontsize=8, loc="upper right")
    for number, variant in enumerate(results.variants):
        draw_curve(curves, results.curves(variant, "dev nats per character"), variant, number)
    curves.set_title("dev part, nats per character", fontsize=9)
    curves.set_xlabel("epoch")
    curves.locator_params(axis="x", integer=True)
    curves.legend(frameon=False, fontsize=8)
    return save(figure, path)
