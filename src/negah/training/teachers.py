"""Teachers of a distillation: trained models that an objective asks, and whether they fit.

They read the features and write the words of the student, so encoder, frames and vocabulary have
to be the same. The encoder is compared by its weights and its preprocessing; the vocabulary of a
new run is that of its teachers. They are no part of the run: checkpoints hold none of their
weights, ``run.json`` their hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from negah.errors import UsageError
from negah.models import CaptionModel, Encoder
from negah.text import UNK, Tokenizer
from negah.training.provenance import InitialRun
from negah.training.recipe import Recipe

#: So many digits of a hash are in the signature of the objective; ``run.json`` has all.
_DIGITS = 12
#: Counts that batch normalisation keeps while it learns; a bundle has none, no output needs them.
_COUNTS = "num_batches_tracked"


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A trained captioner from which another one learns.

    :func:`negah.export.teachers.open_teachers` opens those of a recipe.

    Attributes:
        name: as given: a folder, or the name of a bundled model.
        record: its record in ``run.json``, with the hash of the weights that were opened.
        captioner: on the CPU, in evaluation mode, without gradients.
        tokenizer: with its vocabulary.
        encoder: whose features it reads.
        blocks: the weights of that encoder that are known, by :meth:`Encoder.by_block`'s names.
        frames: of a clip; 1 for photos.
    """

    name: str
    record: InitialRun
    captioner: CaptionModel
    tokenizer: Tokenizer
    encoder: Encoder
    blocks: Mapping[str, Tensor]
    frames: int


def check_teachers(recipe: Recipe, encoder: Encoder, teachers: Sequence[Teacher]) -> None:
    """Refuse teachers that are not those of the recipe, or read or write something else than it.

    Args:
        recipe: of the training.
        encoder: of the recipe, with its weights.
        teachers: one for each of ``teacher_models`` of the objective.

    Raises:
        UsageError: with what differs and what to do.
    """
    wanted = recipe.training.objective.teacher_models
    given = [teacher.name for teacher in teachers]
    if list(wanted) != given:
        raise UsageError(
            f"recipe {recipe.name}: training.objective has the teachers "
            f"{', '.join(wanted) or 'none'}, but {', '.join(given) or 'none'} are given to the "
            "training. Open those of the recipe: teachers=open_teachers(recipe), of "
            "negah.export.teachers"
        )
    if not teachers:
        return
    if recipe.encoder.trainable_blocks:
        raise UsageError(
            f"recipe {recipe.name}: teachers know the features of one encoder, which this recipe "
            "would change: set encoder.trainable_blocks=0"
        )
    first = teachers[0]
    for other in teachers[1:]:
        if other.tokenizer != first.tokenizer:
            raise UsageError(
                f"teachers have other words: {first.name} {_words(first.tokenizer)}, {other.name} "
                f"{_words(other.tokenizer)}. Their probabilities can be averaged only over the "
                "same vocabulary: train them on the same captions with the same text options, or "
                "name only those that share one"
            )
    why = f"the words are those of the teacher {first.name}"
    recipe.text.refuse_another(first.tokenizer, why, "name another teacher")
    for teacher in teachers:
        difference = _difference(recipe, encoder, teacher)
        if difference:
            raise UsageError(
                f"the teacher {teacher.name} reads other features than recipe {recipe.name}: "
                f"{difference}, train the teacher on the encoder of this recipe, or leave it out"
            )


def _difference(recipe: Recipe, encoder: Encoder, teacher: Teacher) -> str:
    """The first difference, and what to set; "" if both read the same features."""
    known = teacher.encoder
    for option, theirs, own in (
        ("encoder.name", known.name, encoder.name),
        ("encoder.size", known.preprocessing.height, encoder.preprocessing.height),
        ("encoder.stream", known.options.stream, encoder.options.stream),
        ("encoder.motion_step", known.options.motion, encoder.options.motion),
        ("clips.frames", teacher.frames, recipe.clips.frames),
    ):
        if theirs != own:
            return f"it has {option}={theirs}, this recipe {own}. Set {option}={theirs}"
    if known.grid != encoder.grid:
        theirs, own = (f"{rows} x {columns}" for rows, columns in (known.grid, encoder.grid))
        return f"its encoder gives {theirs} regions, this one {own}. Set encoder.pool={known.pool}"
    blocks = encoder.by_block()
    same = (
        key in blocks and torch.equal(_stored(blocks[key]), _stored(tensor))
        for key, tensor in teacher.blocks.items()
        if not key.endswith(_COUNTS)
    )
    if known.preprocessing != encoder.preprocessing or not all(same):
        return (
            f"its encoder has other weights than encoder.weights={recipe.encoder.weights}. Set "
            f"encoder.weights={teacher.name}"
        )
    return ""


def _stored(tensor: Tensor) -> Tensor:
    """As a bundle has it: of the encoder of a run, its bundle holds matrices in half precision."""
    return tensor.half() if tensor.is_floating_point() and tensor.ndim >= 2 else tensor


def _words(tokenizer: Tokenizer) -> str:
    return f"{len(tokenizer):,} tokens of kind {tokenizer.kind}"


def taught_words(
    teachers: Sequence[Teacher], captions: Sequence[str], initial: Tokenizer | None
) -> tuple[Tokenizer, str]:
    """The vocabulary of a new run with teachers, and a sentence on it.

    Args:
        teachers: one or more, that agree.
        captions: of the training part.
        initial: of the initial model, if ``initial.keep_words`` keeps its words.

    Raises:
        UsageError: the initial model has other words.
    """
    tokenizer = teachers[0].tokenizer
    if initial is not None and initial != tokenizer:
        raise UsageError(
            f"initial.keep_words keeps the words of the initial model ({_words(initial)}), but "
            f"the teacher {teachers[0].name} has others ({_words(tokenizer)}): set "
            "initial.keep_words=false"
        )
    unknown = words = 0
    for caption in captions:
        ids = tokenizer.encode(caption)
        unknown, words = unknown + ids.count(UNK), words + len(ids)
    share = unknown / max(1, words)
    return tokenizer, (
        f"the vocabulary is that of the teachers ({_words(tokenizer)}); {share:.1%} of the words "
        "of the training captions are not in it"
    )


def identity_of(teachers: Sequence[Teacher]) -> dict[str, Any]:
    """What ``run.json`` holds of them, by which a run with others is refused; empty for none."""
    models = [{"model": one.name, "sha256": one.record.sha256} for one in teachers]
    return {"teachers": models} if models else {}


def signature_of(recipe: Recipe, teachers: Sequence[Teacher]) -> str:
    """The signature of the objective, with the hashes of the teachers; "" if there is none."""
    signature = recipe.training.objective.signature
    if not teachers:
        return signature
    named = "+".join(f"{Path(one.name).name}@{one.record.sha256[:_DIGITS]}" for one in teachers)
    return f"{signature}|teachers:{named}".lstrip("|")
