"""Initial weights of a training, from a run or a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import Tensor

from negah.bundle.schema import WEIGHTS_FILE
from negah.errors import CheckpointError
from negah.hashing import content_sha256
from negah.models import CaptionModel, EncoderOptions
from negah.models.concepts import concept_words
from negah.models.tuned import tuned_folder
from negah.options import Options
from negah.run_folder import RunFolder
from negah.text import Tokenizer, load_tokenizer
from negah.training.checkpoint import load_checkpoint
from negah.training.provenance import DataRecord, InitialRun


class InitialOptions(Options):
    """Initialisation of a training with the weights of another model."""

    model: str = Field(
        "",
        description="the run or bundle to start from if --init is not given; '': fresh weights",
    )
    follow: bool = Field(
        False,
        description="options of encoder, model, tokenizer, frames of a clip and decoding that the "
        "recipe does not set are those of the initial model, not the defaults",
    )
    keep_words: bool = Field(
        False,
        description="the vocabulary is that of the initial model, extended by new words of the "
        "captions; false: only that of the captions",
    )
    new_words: Literal["fresh", "near", "shown"] = Field(
        "fresh",
        description="where words start that the initial model does not know: from random "
        "numbers; near, from the words near them (same stem; else nearest by text.vectors; else "
        "the mean of all); shown, for another language: from the words whose concepts their "
        "photos show. From a bundle, near unless the recipe says otherwise",
    )
    compare: bool = Field(
        False,
        description="score the initial model itself on the dev part before the first step. From a "
        "bundle, true unless the recipe says otherwise",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The weights of a model, with their tokenizer and encoder.

    Attributes:
        label: of the model, for messages.
        tokenizer: of the model.
        tensors: by the names of :class:`~negah.training.learner.Learner`.
        encoder: the name of the encoder whose features it reads; None for a language model.
        blocks: the state of that encoder, by the number of the block in the whole chain and the
            name within the block; empty if only its tail is stored, in ``tensors``.
        concepts: the words of the concepts among ``tensors``.
    """

    label: str
    tokenizer: Tokenizer
    tensors: dict[str, Tensor]
    encoder: str | None
    blocks: dict[str, Tensor] = field(default_factory=dict)
    concepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Initial:
    """A run or a bundle that a training starts from.

    :func:`negah.export.initial.open_initial` opens one.

    Attributes:
        name: as given: a folder, or the name of a bundled model.
        record: its record in ``run.json``.
        is_bundle: whether it is a bundle.
        values: sections of a recipe with the options of the model; empty for a language model.
        read: returns its weights.
        restore: returns the captioner, in evaluation mode, and its tokenizer.
    """

    name: str
    record: InitialRun
    is_bundle: bool
    values: Mapping[str, Mapping[str, Any]]
    read: Callable[[], Weights]
    restore: Callable[[], tuple[CaptionModel, Tokenizer]]

    def followed(self) -> dict[str, dict[str, Any]]:
        """The options that a recipe with ``initial.follow`` takes over: all but the encoder's
        weights, and the choice by expected CIDEr, which is fitted to a finished bundle."""
        values = {section: dict(options) for section, options in self.values.items()}
        for option in ("weights", "trainable_blocks", "trainable_layers"):
            values.get("encoder", {}).pop(option, None)
        values.get("decoding", {}).pop("expected_cider", None)
        return values

    def complete(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a recipe, not yet validated, with the encoder of the initial model.

        If the recipe leaves ``encoder.weights`` open ("auto"), they are those of the initial model.
        """
        sections = [values.get(section) or {} for section in ("encoder", "initial")]
        if not all(isinstance(section, Mapping) for section in sections):
            return dict(values)  # refused by the validation
        encoder, options = map(dict, sections)
        theirs, found, learning = self.values.get("encoder", {}), dict(values), 0
        if isinstance(encoder.get("trainable_blocks"), int):
            learning = encoder["trainable_blocks"]
        is_cut_elsewhere = theirs.get("trainable_blocks", 0) != learning
        is_other = self.is_bundle or is_cut_elsewhere or theirs.get("weights", "auto") != "auto"
        if is_other and encoder.get("weights", "auto") == "auto":
            size = encoder.get("size") or theirs["size"]
            found["encoder"] = {**encoder, "weights": self.name, "size": size}
        if self.is_bundle:
            options = {"new_words": "near", "compare": True, **options}
        if self.is_bundle or options.get("model"):
            found["initial"] = {**options, "model": self.name}
        return found


def read_run(best: Path) -> Weights:
    """The weights of a training run.

    Args:
        best: its ``best.safetensors``, beside its ``run.json`` and ``tokenizer.json``.

    Raises:
        CheckpointError: one of them is damaged.
        DataError: the tokenizer cannot be read.
    """
    run = RunFolder(best.parent)
    # a language model has no recipe and no encoder
    recipe = run.facts().get("recipe") if run.is_run else None
    options = None
    if recipe is not None:
        if "encoder" not in recipe:
            raise CheckpointError(f"{run.description}: its recipe has no encoder, so it is damaged")
        options = EncoderOptions.parse(recipe["encoder"], where=str(run.description))
    tensors, _ = load_checkpoint(best)
    tokenizer = load_tokenizer(run.tokenizer)
    words = () if options is None else concept_words(tokenizer, options)
    name = None if options is None else options.name
    return Weights(str(best), tokenizer, tensors, name, concepts=words)


def refuse_changed_encoder(data: DataRecord | None, weights: str) -> None:
    """Refuse a run whose encoder has changed since its start: a run stores only the tail.

    Args:
        data: the record of the run.
        weights: ``encoder.weights`` of its recipe.

    Raises:
        CheckpointError: the model from which the run started has been replaced.
    """
    initial = None if data is None else data.initial
    folder = tuned_folder(weights)
    if initial is None or not initial.sha256 or initial.run != weights or folder is None:
        return  # other weights, or none: loading them reports what is wrong
    file = RunFolder(folder).best if RunFolder(folder).is_run else folder / WEIGHTS_FILE
    if file.is_file() and (found := content_sha256(file)) != initial.sha256:
        raise CheckpointError(
            f"the run needs the encoder of {weights} as it was at the start (SHA-256 of its "
            f"weights {initial.sha256[:12]}...), but it has been replaced ({found[:12]}...). "
            f"Restore the earlier one, or train again into a new folder; a bundle that was "
            f"exported before needs neither."
        )
