"""The model that a training starts from: a training run, a bundle, or a bundled model by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from negah.bundle import Bundle, read_bundle
from negah.bundle.packaged import bundled_models
from negah.bundle.schema import CONFIG_FILE, WEIGHTS_FILE
from negah.errors import UsageError
from negah.export.restore import load_captioner, stored_weights
from negah.export.run import load_run
from negah.hashing import content_sha256
from negah.models import CaptionModel, Encoder
from negah.models.concepts import concept_words
from negah.models.seeding import seeded
from negah.run_folder import BEST, RUN, RunFolder
from negah.text import Tokenizer, WordTokenizer, load_tokenizer
from negah.training import Recipe
from negah.training.initial import Initial, Weights, read_run
from negah.training.provenance import DataRecord, InitialRun
from negah.training.recipe import recipe_initial


def open_initial(model: str | os.PathLike[str]) -> Initial:
    """Open what a training starts from; its weights are read when they are asked for.

    Args:
        model: the folder of a training run or of a bundle, or the name of a bundled model.

    Raises:
        UsageError: it is none of them, or a run that has kept no weights yet.
        CheckpointError, BundleError: it is damaged.
    """
    name = os.fspath(model)
    found = find_model(name, "--init")
    return _of_run(name, found) if isinstance(found, RunFolder) else _of_bundle(name, found)


def find_model(name: str, where: str) -> Path | RunFolder:
    """The folder of a bundle, or a training run with weights.

    Args:
        name: as for :func:`open_initial`.
        where: the option that names it, for messages.

    Raises:
        UsageError: it is none of them, or a run that has kept no weights yet.
    """
    folder = bundled_models().get(name, Path(name))
    if (folder / CONFIG_FILE).is_file():
        return folder
    run = RunFolder(folder)
    if run.is_run and run.best.is_file():
        return run
    raise UsageError(
        f"{where} {name}: no training run with weights ({RUN}, {BEST}), no bundle ({CONFIG_FILE}), "
        f"and no bundled model ({', '.join(bundled_models()) or 'there is none here'}). Give "
        "the folder of one, such as runs/cam-rnn, or a name."
    )


def initial_of(
    recipe: str, changes: Sequence[str] = (), given: str | os.PathLike[str] | None = None
) -> Initial | None:
    """The initial model of a recipe: the given one, otherwise its own; None for fresh weights.

    Args:
        recipe: as for :func:`~negah.training.load_recipe`.
        changes: likewise.
        given: as for :func:`open_initial`.

    Raises:
        as :func:`open_initial` and :func:`~negah.training.load_recipe`.
    """
    model = os.fspath(given) if given is not None else recipe_initial(recipe, changes)
    return open_initial(model) if model else None


def _of_run(name: str, folder: RunFolder) -> Initial:
    facts = folder.facts()
    values: dict[str, dict[str, Any]] = {}
    if "encoder" in facts.get("recipe", {}):  # without, it is a language model, or damaged
        recipe = Recipe.parse(facts["recipe"], where=str(folder.description))
        sections = recipe.model_dump(mode="json")
        values = {section: sections[section] for section in ("encoder", "model", "decoding")}
        words = concept_words(load_tokenizer(folder.tokenizer), recipe.encoder)
        values["encoder"]["concepts"] = len(words)  # of a small vocabulary, fewer than asked for
        values["clips"] = {"frames": recipe.clips.frames}
        kept = ("tokenizer", "language", "stem", "remove_stop_words")
        values["text"] = {option: sections["text"][option] for option in kept}

    def restore() -> tuple[CaptionModel, Tokenizer]:
        run = load_run(folder.path)
        return run.captioner, run.tokenizer

    return Initial(
        name, run_record(name, folder), is_bundle=False, values=values,
        read=lambda: read_run(folder.best), restore=restore,
    )  # fmt: skip


def _of_bundle(name: str, folder: Path) -> Initial:
    bundle = read_bundle(folder)
    config, tokenizer = bundle.config, bundle.tokenizer
    encoder = config.encoder.model_dump(
        include={"name", "trainable_blocks", "stream", "motion_step", "pool"}
    )
    encoder |= {
        "size": config.preprocessing.height,
        "pool": config.encoder.pool or 0,
        "concepts": len(config.encoder.concepts),
    }
    text: dict[str, Any] = {"tokenizer": tokenizer.kind, "language": tokenizer.language.code}
    if isinstance(tokenizer, WordTokenizer):
        text |= tokenizer.options()
    values = {
        "encoder": encoder,
        "model": dict(config.model.options),
        "decoding": config.decoding.model_dump(mode="json"),
        "clips": {"frames": config.clip_frames},
        "text": text,
    }

    def restore() -> tuple[CaptionModel, Tokenizer]:
        return load_seeded(bundle)[1], tokenizer

    return Initial(
        name, bundle_record(name, bundle), is_bundle=True, values=values,
        read=lambda: _weights_of_bundle(name, bundle), restore=restore,
    )  # fmt: skip


def run_record(name: str, folder: RunFolder) -> InitialRun:
    """The record of a training run that is an initial model or a teacher."""
    data = DataRecord.read(folder.facts())
    return InitialRun(run=name, data=data, sha256=content_sha256(folder.best))


def bundle_record(name: str, bundle: Bundle) -> InitialRun:
    """The record of a bundle that is an initial model or a teacher."""
    provenance = bundle.config.provenance
    return InitialRun(
        run=name,
        sha256=bundle.config.files[WEIGHTS_FILE].sha256,
        training_data=provenance.training_data,
        split=provenance.split,
    )


def _weights_of_bundle(name: str, bundle: Bundle) -> Weights:
    encoder, captioner = load_seeded(bundle)
    tensors = {f"captioner.{name}": tensor for name, tensor in captioner.state_dict().items()}
    return Weights(name, bundle.tokenizer, tensors, encoder.name, stored_blocks(bundle, encoder))


def stored_blocks(bundle: Bundle, encoder: Encoder) -> dict[str, Tensor]:
    """The stored weights of a bundle's encoder, by block; the rest of a backbone is random."""
    parts = [name.split(".", 3) for name in stored_weights(bundle) if name.startswith("encoder.")]
    first = {"trunk_blocks": 0, "tail_blocks": len(encoder.trunk_blocks)}
    stored = {
        f"{first[part] + int(number)}.{rest}" for _, part, number, rest in parts if part in first
    }
    return {key: tensor for key, tensor in encoder.by_block().items() if key in stored}


def load_seeded(bundle: Bundle) -> tuple[Encoder, CaptionModel]:
    """The models of a bundle; the state of the caller's random generators is kept."""
    with seeded(0):  # fresh weights are drawn before they are filled
        return load_captioner(bundle)
