"""What a training reads, batch by batch, and what it is validated on.

Photos or clips as they are stored, clips made of photos, or those beside clips of storyboards.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from negah.data import Example
from negah.text import Tokenizer
from negah.training.features import BLANK_FOLDER, Views
from negah.training.inputs import Mirrored, ReadBatch, Stored
from negah.training.montage import Montage
from negah.training.recipe import Recipe
from negah.training.storyboards import Boards, Mixture, StoryboardReaders
from negah.training.validation import Validation, Validations, validation_options


def readers(
    recipe: Recipe,
    training: Sequence[Example],
    held_out: Sequence[Example],
    views: Views,
    features: Path,
    tokenizer: Tokenizer,
    grid: tuple[int, int],
    boards: Boards | None,
) -> tuple[ReadBatch, Validations]:
    """What reads the features of a training batch, and what is validated on."""
    o = recipe.training
    options = validation_options(recipe.decoding, o.validation_beam)
    stored = Validation(held_out, Stored(views["plain"], held_out), tokenizer, options)
    if recipe.clips.montage is None:
        return Mirrored(views, training), Validations({"": stored})
    learning, dev = (
        Montage(
            views, part, recipe.clips, features / BLANK_FOLDER,
            flips=o.flips, training=part is training, seed=o.seed,
        )
        for part in (training, held_out)
    )  # fmt: skip
    found = {"": stored, "montage": Validation(held_out, dev.held_out, tokenizer, options)}
    if boards is None:
        return learning.learn, Validations(found)
    drawn = StoryboardReaders(boards, views, recipe.clips, grid, o.seed)
    if drawn.dev is not None:
        examples = [Example(b.name, Path(b.name), b.captions, "dev") for b in drawn.dev.boards]
        found["storyboards"] = Validation(examples, drawn.dev.held_out, tokenizer, options)
    return Mixture(learning.learn, drawn.train, len(training)), Validations(found)
