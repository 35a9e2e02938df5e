"""Teachers of a distillation: compatibility with the recipe, vocabulary, and identity.

Teachers use the features and the vocabulary of the student, so encoder, frames and vocabulary must
be the same. Encoders are compared by weights and preprocessing; a new run uses the vocabulary of
its teachers. Checkpoints do not contain the weights of teachers; ``run.json`` contains their
hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from negah.errors import UsageError
from negah.models import CaptionModel, Encoder
from negah.models.backbones import equal_in_bundles
from negah.text import UNK, Tokenizer
from negah.training.provenance import InitialRun
from negah.training.recipe import Recipe

#: Number of digits of a hash in the signature of the objective; ``run.json`` contains all.
_DIGITS = 12
#: Buffers of batch normalisation that no output depends on; a bundle does not contain them.
_COUNTS = "num_batches_tracked"


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A trained caption model on whose probabilities a student is trained.

    :func:`negah.export.teachers.open_teachers` opens those of a recipe.

    Attributes:
        name: as given: a folder, or the name of a bundled model.
        record: its record in ``run.json``, with the hash of its weights.
        captioner: frozen, in evaluation mode.
        tokenizer: its tokenizer.
        encoder: its encoder.
        blocks: the stored weights of the encoder, named as by :meth:`Encoder.by_block`.
        frames: number of frames of a clip; 1 for photos.
    """

    name: str
    record: InitialRun
    captioner: CaptionModel
    tokenizer: Tokenizer
    encoder: Encoder
    blocks: Mapping[str, Tensor]
    frames: int


def check_teachers(recipe: Recipe, encoder: Encoder, teachers: Sequence[Teacher]) -> None:
    """Refuse teachers that are not those of the recipe, or do not fit it.

    Args:
        recipe: of the training.
        encoder: of the recipe, with its weights.
        teachers: one for each of ``teacher_models`` of the objective.

    Raises:
        UsageError: other teachers, or another encoder, number of frames or vocabulary; the message
            states the difference and what to set.
    """
    wanted = recipe.training.objective.teacher_models
    given = [teacher.name for teacher in teachers]
    if list(wanted) != given:
        raise UsageError(
            f"recipe {recipe.name}: training.objective has the teachers "
            f"{', '.join(wanted) or 'none'}, but the training was given "
            f"{', '.join(given) or 'none'}. Open those of the recipe: "
            "teachers=open_teachers(recipe), with negah.export.teachers.open_teachers"
        )
    if not teachers:
        return
    if recipe.encoder.trainable_blocks:
        raise UsageError(
            f"recipe {recipe.name}: the teachers need the encoder that they were trained on, but "
            "this recipe trains it: set encoder.trainable_blocks=0"
        )
    first = teachers[0]
    for other in teachers[1:]:
        if other.tokenizer != first.tokenizer:
            raise UsageError(
                f"the teachers have different vocabularies: {first.name} {_size(first.tokenizer)}, "
                f"{other.name} {_size(other.tokenizer)}. Probabilities can only be averaged over "
                "the same vocabulary: train the teachers on the same captions with the same text "
                "options, or name only teachers with the same vocabulary"
            )
    why = f"the vocabulary is that of the teacher {first.name}"
    recipe.text.refuse_another(first.tokenizer, why, "name another teacher")
    for teacher in teachers:
        difference = _difference(recipe, encoder, teacher)
        if difference:
            raise UsageError(
                f"the teacher {teacher.name} was trained on other features than those of recipe "
                f"{recipe.name}: {difference}, train the teacher on the encoder of this recipe, or "
                "leave it out"
            )


def _difference(recipe: Recipe, encoder: Encoder, teacher: Teacher) -> str:
    """The first difference between the features, and what to set; "" if there is none."""
    known = teacher.encoder
    for option, theirs, own in (
        ("encoder.name", known.name, encoder.name),
        ("encoder.size", known.preprocessing.height, encoder.preprocessing.height),
        ("encoder.stream", known.options.stream, encoder.options.stream),
        ("encoder.motion_step", known.options.motion, encoder.options.motion),
        ("clips.frames", teacher.frames, recipe.clips.frames),
    ):
        if theirs != own:
            return f"it has {option}={theirs}, the recipe {own}. Set {option}={theirs}"
    if known.grid != encoder.grid:
        theirs, own = (f"{rows} x {columns}" for rows, columns in (known.grid, encoder.grid))
        return f"it has {theirs} regions, the recipe {own}. Set encoder.pool={known.pool}"
    blocks = encoder.by_block()
    same = (
        key in blocks and equal_in_bundles(blocks[key], tensor)
        for key, tensor in teacher.blocks.items()
        if not key.endswith(_COUNTS)
    )
    if known.preprocessing != encoder.preprocessing or not all(same):
        return (
            f"the weights of its encoder differ from encoder.weights={recipe.encoder.weights}. Set "
            f"encoder.weights={teacher.name}"
        )
    return ""


def _size(tokenizer: Tokenizer) -> str:
    return f"{len(tokenizer):,} tokens of kind {tokenizer.kind}"


def taught_words(
    teachers: Sequence[Teacher], captions: Sequence[str], initial: Tokenizer | None
) -> tuple[Tokenizer, str]:
    """The tokenizer of a new run with teachers, and a message about it.

    Args:
        teachers: one or more, with the same tokenizer.
        captions: of the training part.
        initial: the tokenizer of the initial model, if ``initial.keep_words`` is set.

    Raises:
        UsageError: the initial model has another vocabulary.
    """
    tokenizer = teachers[0].tokenizer
    if initial is not None and initial != tokenizer:
        raise UsageError(
            f"initial.keep_words keeps the vocabulary of the initial model ({_size(initial)}), but "
            f"the teacher {teachers[0].name} has another one ({_size(tokenizer)}): set "
            "initial.keep_words=false"
        )
    unknown = words = 0
    for caption in captions:
        ids = tokenizer.encode(caption)
        unknown, words = unknown + ids.count(UNK), words + len(ids)
    share = unknown / max(1, words)
    return tokenizer, (
        f"the vocabulary is that of the teachers ({_size(tokenizer)}); {share:.1%} of the words "
        "of the training captions are not in it"
    )


def identity_of(teachers: Sequence[Teacher]) -> dict[str, Any]:
    """The entry of ``run.json`` that prevents resuming with other teachers; empty for none."""
    models = [{"model": one.name, "sha256": one.record.sha256} for one in teachers]
    return {"teachers": models} if models else {}


def signature_of(recipe: Recipe, teachers: Sequence[Teacher]) -> str:
    """The signature of the objective, including names and hashes of the teachers; may be ""."""
    signature = recipe.training.objective.signature
    if not teachers:
        return signature
    named = "+".join(f"{Path(one.name).name}@{one.record.sha256[:_DIGITS]}" for one in teachers)
    return f"{signature}|teachers:{named}".lstrip("|")
