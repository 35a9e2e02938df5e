"""Initialisation with pretrained word vectors: ``text.vectors`` of a recipe.

They are copied into the captioner's embedding table, which is then trained or frozen. A resumed run
has them in its checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from negah.data import Example
from negah.errors import UsageError
from negah.models import CaptionModel
from negah.text import SPECIALS, Tokenizer
from negah.text.vectors import read_vectors, vector_coverage, vector_size, vector_table
from negah.training.recipe import Recipe


def check_vectors(recipe: Recipe) -> None:
    """Refuse vectors that do not fit the model, before any other work.

    Raises:
        UsageError: no such file, or vectors of another width than the table.
        DataError: the file does not begin with a vector.
        MissingExtraError: the package is not installed.
    """
    if not recipe.text.vectors:
        return
    width = recipe.model.table_width
    if width is None:
        raise UsageError(
            f"text.vectors={recipe.text.vectors}: model.kind={recipe.model.kind} has no embedding "
            f"table of known width (embedding_size, word_size): set text.vectors=''"
        )
    found = vector_size(recipe.text.vectors, size=width)
    if found != width:
        raise UsageError(
            f"text.vectors={recipe.text.vectors} have {found} numbers, and the table of words has "
            f"{width}. Set model.word_size={found} (a learned map projects them to "
            f"model.embedding_size), or model.embedding_size={found}."
        )


def start_from_vectors(
    captioner: CaptionModel, recipe: Recipe, tokenizer: Tokenizer, training: Sequence[Example]
) -> str:
    """Fill the table of a captioner.

    Words without a vector (see :func:`negah.text.vectors.vector_table`) are initialised at random
    from the recipe's seed; with ``vectors_frozen`` they are frozen, too.

    Args:
        captioner: with fresh weights.
        recipe: with ``text.vectors``.
        tokenizer: of words.
        training: examples whose captions are counted.

    Returns:
        a sentence on how many words have a vector.
    """
    text = recipe.text
    table = captioner.embedding
    vectors = read_vectors(
        text.vectors, tokenizer.tokens[len(SPECIALS) :], size=table.embedding_dim
    )
    table_VW = vector_table(vectors, tokenizer.tokens, seed=recipe.training.seed)
    table.fill(table_VW, frozen=text.vectors_frozen)
    captions = (caption for example in training for caption in example.captions)
    covered = vector_coverage(vectors, tokenizer, captions)
    kept = "frozen" if text.vectors_frozen else "learning on"
    return f"word vectors from {text.vectors} ({table.embedding_dim} numbers, {kept}): {covered}"
