"""The study from start to end: clips, features, one training for each cell, results.

A cell is one variant with one seed. Its numbers are kept as a file of their own, so that a run
that was stopped goes on with the next cell.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from negah import __version__
from negah.arrays import FloatArray
from negah.data.synth import make_clip
from negah.data.synth.grammar import FUNCTION_WORDS
from negah.files import write_json
from negah.studies.synthetic.figures import draw_example
from negah.studies.synthetic.learn import train_variant
from negah.studies.synthetic.measure import measure
from negah.studies.synthetic.options import StudyOptions
from negah.studies.synthetic.world import Progress, World, make_world

#: Whose attention the figure shows: word by word, and of the others one word.
_SHOWN = ("CAM, hidden", "CAM")


def run_study(
    options: StudyOptions,
    work: Path,
    *,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Train and measure every cell that is not there yet.

    Args:
        options: of the study.
        work: where clips, features and finished cells are kept; those of other options stay.
        progress: told of clips, steps and cells.
        stop: asked after each cell whether to end here.

    Returns:
        the results, JSON-ready: ``options``, ``setting``, ``features`` (what they know) and
        ``cells``; None if it was stopped before the last cell.
    """
    wanted = [(variant, seed) for seed in options.seeds for variant in options.variants]
    missing = [cell for cell in wanted if not _path(work, options, *cell).is_file()]
    world = None
    for variant, seed in missing:
        if stop():
            return None
        world = world or make_world(options, work, progress)
        label = f"{variant}, seed {seed} ({wanted.index((variant, seed)) + 1} of {len(wanted)})"
        cell = _train_and_measure(options, world, variant, seed, label, progress)
        write_json(_path(work, options, variant, seed), cell)
    cells = [json.loads(_path(work, options, *cell).read_text("utf-8")) for cell in wanted]
    return {
        "study": "synthetic",
        "options": options.model_dump(mode="json"),
        "setting": {
            "negah": __version__,
            "torch": torch.__version__.partition("+")[0],
            "python": platform.python_version(),
            "decoding": "greedy, free-running",
        },
        "features": cells[0]["features"],
        "cells": [
            {name: cell[name] for name in cell if name not in ("features", "look")}
            for cell in cells
        ],
    }


def draw_looks(options: StudyOptions, work: Path, path: Path) -> Path | None:
    """Draw where the first of :data:`_SHOWN` looked in one clip; None if it was not trained.

    Args:
        options: of the study, which has ended.
        work: where its cells are.
        path: the PNG to write.
    """
    shown = [variant for variant in _SHOWN if variant in options.variants]
    if not shown:
        return None
    looks = []
    for variant in shown:
        cell = _path(work, options, variant, options.seeds[0])
        looks.append(json.loads(cell.read_text("utf-8"))["look"])
    number = looks[0]["clip"]
    clip = make_clip(options.data_seed, options.clips + number, options.synth)
    words = looks[0]["caption"].split()
    visual = [t for t, word in enumerate(words) if word not in FUNCTION_WORDS] or [0]
    rows = [(words[t], *_weights(looks[0], t)) for t in visual]
    for variant, look in zip(shown[1:], looks[1:], strict=True):
        rows.append((f"({variant})", *_weights(look, 1)))
    title = f"{shown[0]}: {looks[0]['caption']}"
    return draw_example(clip.rendered.pixels_FHW3, rows, title, path)


def _weights(look: dict[str, Any], t: int) -> tuple[FloatArray, FloatArray]:
    """Frame weights (F,) and region weights (F, R) of word t."""
    return np.array(look["frames"][t], np.float32), np.array(look["regions"][t], np.float32)


def _train_and_measure(
    options: StudyOptions, world: World, variant: str, seed: int, label: str, progress: Progress
) -> dict[str, Any]:
    captioner, losses = train_variant(
        variant, seed, world, options.training, lambda done, steps, _: progress(label, done, steps)
    )
    return {
        "variant": variant,
        "seed": seed,
        "parameters": sum(weight.numel() for weight in captioner.parameters()),
        "losses": [round(loss, 4) for loss in losses],
        "features": {name: round(share, 4) for name, share in world.accuracy.items()},
        **_rounded(measure(captioner, world, options.synth.grid)),
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value


def _path(work: Path, options: StudyOptions, variant: str, seed: int) -> Path:
    """Where a cell is kept: by its name and all that decides its numbers."""
    decides = options.model_dump(mode="json", exclude={"seeds", "variants"})
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]
    name = "-".join("".join(c if c.isalnum() else " " for c in variant.lower()).split())
    return work / f"cells-{key}" / f"{name}-{seed}.json"
