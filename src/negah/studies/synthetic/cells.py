"""The cells of ``synthetic``: one training of a system on made clips, and its measures."""

from __future__ import annotations

from typing import Any

from negah.studies.captioning.scores import parameter_count
from negah.studies.study import Paths, Progress
from negah.studies.synthetic.learn import train_variant
from negah.studies.synthetic.measure import examples, measure, shown_look
from negah.studies.synthetic.options import SHOWN, SyntheticOptions
from negah.studies.synthetic.world import make_world


def prepare(options: SyntheticOptions, paths: Paths, progress: Progress) -> None:
    """Make clips and features, once for all cells."""
    make_world(options, paths.work, progress)


def facts(options: SyntheticOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """What the features know of held-out cells, as shares by question."""
    return {"features": make_world(options, paths.work, progress).accuracy}


def run_cell(
    options: SyntheticOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train one system, and measure its captions, its attention and its gate.

    The first seed of the systems that the figure shows keeps where it looked.
    """
    world = make_world(options, paths.work, progress)
    captioner, losses = train_variant(
        variant, seed, world, options.training,
        lambda done, steps, _: progress("training", done, steps),
    )  # fmt: skip
    said, values = measure(captioner, world, options.synth.grid)
    extra: dict[str, Any] = {"examples": examples(said, world)}
    if variant in SHOWN and seed == options.seeds[0]:
        extra["look"] = shown_look(said, world)
    return {
        "values": {**values, "parameters": float(parameter_count(captioner))},
        "curves": {"training loss, nats a word": list(enumerate(losses, 1))},
        "extra": extra,
    }
