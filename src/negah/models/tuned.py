"""Fine-tuned encoders, read from the folder of a training run or a bundle.

A run stores the trained tail; the trunk before it has the initial weights. A bundle stores all
weights of its encoder graph, in half precision. Either can be used as the complete encoder of
another training, and may be frozen there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from negah.bundle import read_config
from negah.bundle.packaged import bundled_models, encoder_folder, shared_weights
from negah.bundle.schema import CONFIG_FILE, WEIGHTS_FILE
from negah.errors import BundleError, CheckpointError, UsageError
from negah.models.concepts import concept_words
from negah.models.encoder_kinds import EncoderOptions
from negah.run_folder import BEST, RUN, RunFolder
from negah.text import load_tokenizer


@dataclass(frozen=True, slots=True)
class Tuned:
    """The encoder described by a folder.

    Attributes:
        options: values of :class:`~negah.models.encoders.EncoderOptions`; ``weights`` are its
            initial weights, "random" if the tensors contain all of it.
        tensors: the stored part of its state, by the names of an encoder cut according to
            ``options``.
        seed: of the run, for random weights.
        concepts: the words of its concepts.
    """

    options: dict[str, Any]
    tensors: dict[str, Tensor]
    seed: int
    concepts: tuple[str, ...] = ()


def tuned_folder(weights: str) -> Path | None:
    """The folder that ``encoder.weights`` names: by its path, or a bundled model by its name."""
    folder = bundled_models().get(weights, Path(weights))
    return folder if folder.is_dir() else None


def read_tuned(folder: Path) -> Tuned:
    """The encoder of a run or of a bundle.

    Raises:
        UsageError: the folder is neither, has no weights yet, or is damaged.
    """
    try:
        if RunFolder(folder).is_run:
            return _of_run(RunFolder(folder))
        if (folder / CONFIG_FILE).is_file():
            return _of_bundle(folder)
    except (
        BundleError,
        CheckpointError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        SafetensorError,
    ) as error:
        raise UsageError(
            f"encoder weights {folder}: the encoder in this folder cannot be read "
            f"({type(error).__name__}: {error})"
        ) from None
    raise UsageError(
        f"encoder weights {folder}: a folder that is neither a training run ({RUN}, {BEST}) nor "
        f"a bundle ({CONFIG_FILE})"
    )


def _of_run(folder: RunFolder) -> Tuned:
    recipe = folder.facts()["recipe"]
    kept = load_file(folder.best)
    tensors = {
        name.replace("tail.", "tail_blocks.", 1): tensor
        for name, tensor in kept.items()
        if name.startswith(("tail.", "concepts."))
    }
    options = dict(recipe["encoder"])
    words: tuple[str, ...] = ()
    if options.get("concepts"):
        parsed = EncoderOptions.parse(options, where=f"encoder of {folder.path}")
        words = concept_words(load_tokenizer(folder.tokenizer), parsed)
    return Tuned(options, tensors, int(recipe["training"]["seed"]), words)


def _of_bundle(folder: Path) -> Tuned:
    config = _json(folder / CONFIG_FILE)
    encoder, side = config["encoder"], config["preprocessing"]["height"]
    options = {
        "name": encoder["name"],
        "weights": "random",
        "size": side,
        "trainable_blocks": encoder["trainable_blocks"],
    }
    words = tuple(map(str, encoder.get("concepts", ())))
    kept = load_file(folder / WEIGHTS_FILE)
    if config.get("encoder_from"):
        shared = encoder_folder(read_config(folder))
        assert shared is not None
        kept = shared_weights(load_file(shared / WEIGHTS_FILE)) | kept
    tensors = {
        name.removeprefix("encoder."): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in kept.items()
        if name.startswith("encoder.")
    }
    return Tuned(options, tensors, 0, words)


def _json(path: Path) -> Mapping[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise TypeError(f"{path.name} holds no object")
    return values
