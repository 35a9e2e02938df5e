"""What every metric reads: tokenised captions, checked, and the n-grams in them.

A caption is a sequence of tokens, or one string of tokens with spaces between them, as the
COCO caption evaluation's tokenizer gives it. Raw sentences go through
:func:`negah.metrics.score_captions`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from negah.errors import DataError

#: A tokenised caption as given: a sequence of tokens, or a string with spaces between tokens.
Tokenised = str | Sequence[str]
#: A tokenised caption as the metrics hold it.
Tokens = tuple[str, ...]
#: Counts of the n-grams of one caption, of every order from 1 up.
NgramCounts = Counter[Tokens]


def as_tokens(caption: Tokenised) -> Tokens:
    """The tokens of a caption; a string is split at white space."""
    return tuple(caption.split()) if isinstance(caption, str) else tuple(caption)


def count_ngrams(tokens: Tokens, max_order: int) -> NgramCounts:
    """How often each n-gram of 1 to ``max_order`` tokens stands in ``tokens``."""
    return Counter(
        tokens[start : start + order]
        for order in range(1, max_order + 1)
        for start in range(len(tokens) - order + 1)
    )


def checked(
    hypotheses: Sequence[Tokenised], references: Sequence[Sequence[Tokenised]]
) -> tuple[list[Tokens], list[list[Tokens]]]:
    """One hypothesis and its references for each image, as tokens.

    Raises:
        DataError: no images, different numbers of hypotheses and references, an image without
            references, or a plain string where a list of references is due.
    """
    check_lengths(hypotheses, references)
    return [as_tokens(caption) for caption in hypotheses], checked_references(references)


def check_lengths(hypotheses: Sequence[object], references: Sequence[object]) -> None:
    """Refuse anything but one hypothesis for each image.

    Raises:
        DataError: the numbers differ, or the hypotheses are one plain string.
    """
    if isinstance(hypotheses, str):
        raise DataError(
            f"the hypotheses are one string, {hypotheses!r:.60}; give a list of captions, one for"
            " each image"
        )
    if len(hypotheses) != len(references):
        raise DataError(
            f"{len(hypotheses)} hypotheses for the references of {len(references)} images;"
            " give exactly one hypothesis for each image"
        )


def checked_references(references: Sequence[Sequence[Tokenised]]) -> list[list[Tokens]]:
    """The references of each image, as tokens.

    Raises:
        DataError: no images, an image without references, or a plain string where a list of
            references is due.
    """
    if not len(references):
        raise DataError("there are no images to score; give at least one with its references")
    found = []
    for index, captions in enumerate(references):
        if isinstance(captions, str):
            raise DataError(
                f"the references of image {index} are one string, {captions!r:.60}; give a list"
                " of captions, also where it holds only one"
            )
        if not len(captions):
            raise DataError(f"image {index} has no references; give it at least one, or leave it")
        found.append([as_tokens(caption) for caption in captions])
    return found
