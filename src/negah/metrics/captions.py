"""Tokenised captions: validation, and captions as arrays of word ids.

A caption is a sequence of tokens, or one string of tokens with spaces between them, as the COCO
caption evaluation's tokenizer gives it. Raw sentences go through :func:`negah.metrics.score`.
Metrics compute on numbers: every distinct word gets an id, and all captions are concatenated in one
array.

Axes: T tokens of all captions, M captions, N images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray, IntArray
from negah.errors import DataError
from negah.text.stems import stemmed

#: A tokenised caption as given: a sequence of tokens, or a string with spaces between tokens.
Tokenised = str | Sequence[str]
#: A tokenised caption as words.
Tokens = tuple[str, ...]


#: Captions converted to ids at a time.
_PART = 1 << 13


def as_tokens(caption: Tokenised) -> Tokens:
    """The tokens of a caption; a string is split at white space."""
    return tuple(caption.split()) if isinstance(caption, str) else tuple(caption)


def stems_of(caption: Tokenised) -> Tokens:
    """The stems of a caption's tokens, as CIDEr's paper takes them."""
    return stemmed(as_tokens(caption))


class WordIds(dict[str, int]):
    """Words by id, in order of first occurrence; looking up a new word adds it."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


@dataclass(frozen=True, eq=False)
class Captions:
    """Captions as concatenated word ids.

    Attributes:
        ids_T: every token, int64.
        lengths_M: number of tokens of each caption, int64.
    """

    ids_T: IntArray
    lengths_M: IntArray

    @classmethod
    def of(cls, captions: Iterable[Tokenised], vocabulary: WordIds) -> Captions:
        """Number the words of each caption; new words are added to ``vocabulary``."""
        ids: list[IntArray] = []
        lengths: list[IntArray] = []
        every = iter(captions)
        # in parts, so that the tokens of all captions are never in memory at the same time
        while part := list(islice(every, _PART)):
            tokens = [row.split() if isinstance(row, str) else row for row in part]
            lengths.append(np.fromiter(map(len, tokens), np.int64, len(tokens)))
            words = map(vocabulary.__getitem__, chain.from_iterable(tokens))
            ids.append(np.fromiter(words, np.int64, lengths[-1].sum()))
        if not lengths:
            return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
        return cls(np.concatenate(ids), np.concatenate(lengths))

    def __len__(self) -> int:
        return len(self.lengths_M)

    @cached_property
    def starts(self) -> IntArray:
        """Where each caption begins in ``ids_T``, int64 (M,)."""
        return starts(self.lengths_M)

    @cached_property
    def owners(self) -> IntArray:
        """The caption of each token, int64 (T,)."""
        return np.repeat(np.arange(len(self)), self.lengths_M)

    def ids(self, caption: int) -> IntArray:
        """The tokens of one caption."""
        start = self.starts[caption]
        return self.ids_T[start : start + self.lengths_M[caption]]

    def spell(self, vocabulary: WordIds) -> list[Tokens]:
        """The words of each caption."""
        words = list(vocabulary)
        spelt = [words[number] for number in self.ids_T.tolist()]
        ends = np.cumsum(self.lengths_M).tolist()
        return [tuple(spelt[first:end]) for first, end in pairwise([0, *ends])]


def starts(lengths: IntArray) -> IntArray:
    """The start of each of several concatenated runs."""
    return np.cumsum(lengths) - lengths


def totals(owners: IntArray, amounts: npt.NDArray[Any], size: int) -> DoubleArray:
    """The sum of the amounts of each owner, float64 (size,)."""
    # for no amounts at all, NumPy gives integers
    return np.bincount(owners, amounts, minlength=size).astype(np.float64, copy=False)


def spread(firsts: IntArray, lengths: IntArray) -> IntArray:
    """The numbers ``first, first + 1, ...`` of each run, one run after the other."""
    return np.repeat(firsts - starts(lengths), lengths) + np.arange(lengths.sum())


def check_lengths(hypotheses: Sequence[object], images: int) -> None:
    """Refuse anything but one hypothesis for each image.

    Raises:
        DataError: the numbers differ, or the hypotheses are a single string.
    """
    if isinstance(hypotheses, str):
        raise DataError(
            f"the hypotheses are one string, {hypotheses!r:.60}; give a list of captions, one for"
            " each image"
        )
    if len(hypotheses) != images:
        raise DataError(
            f"{len(hypotheses)} hypotheses for the references of {images} images;"
            " give exactly one hypothesis for each image"
        )


def check_references(references: Sequence[Sequence[object]]) -> None:
    """Refuse references that are not a list of captions for each image.

    Raises:
        DataError: no images, an image without references, or a string instead of a list of
            references.
    """
    if not len(references):
        raise DataError("there are no images to score; give at least one with its references")
    for index, captions in enumerate(references):
        if isinstance(captions, str):
            raise DataError(
                f"the references of image {index} are one string, {captions!r:.60}; give a list"
                " of captions, also where it holds only one"
            )
        if not len(captions):
            raise DataError(
                f"image {index} has no references; give it at least one, or leave the image out"
            )
