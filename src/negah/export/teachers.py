"""Opening the teachers of a distillation: training runs, bundles, or bundled models by name."""

from __future__ import annotations

from pathlib import Path

from negah.bundle import read_bundle
from negah.export.initial import bundle_record, find_model, load_seeded, run_record, stored_blocks
from negah.export.run import load_run
from negah.run_folder import RunFolder
from negah.training import Recipe
from negah.training.teachers import Teacher

_WHERE = "training.objective.teachers"


def open_teachers(recipe: Recipe) -> tuple[Teacher, ...]:
    """Open the teachers that the objective of a recipe names; empty for most objectives.

    Args:
        recipe: of the training.

    Raises:
        UsageError: one is neither a run with weights nor a bundle, or has no encoder.
        CheckpointError, BundleError: one is damaged.
    """
    return tuple(map(_open, recipe.training.objective.teacher_models))


def _open(name: str) -> Teacher:
    found = find_model(name, _WHERE)
    return _of_run(name, found) if isinstance(found, RunFolder) else _of_bundle(name, found)


def _of_run(name: str, folder: RunFolder) -> Teacher:
    run = load_run(folder.path)
    run.captioner.requires_grad_(requires_grad=False)
    return Teacher(
        name, run_record(name, folder), run.captioner, run.tokenizer,
        run.encoder, run.encoder.by_block(), run.recipe.clips.frames,
    )  # fmt: skip


def _of_bundle(name: str, folder: Path) -> Teacher:
    bundle = read_bundle(folder)
    encoder, captioner = load_seeded(bundle)
    captioner.requires_grad_(requires_grad=False)
    return Teacher(
        name, bundle_record(name, bundle), captioner, bundle.tokenizer,
        encoder, stored_blocks(bundle, encoder), bundle.config.clip_frames,
    )  # fmt: skip
