"""Initialisation of words that are unknown to the initial model from similar known words.

Similar are words of the same stem; else, with word vectors, the word of highest cosine; else all
words, whose mean is used. From the mean, a new word starts with about an average probability, and
the predictions of the others hardly change (J. Hewitt, "Initializing New Word Embeddings for
Pretrained Language Models", 2021). Rows with equal initial values diverge at the first step, since
each has its own targets: no noise is added.

Axes: N new words, W known words, E numbers of a vector.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from negah.arrays import FloatArray
from negah.text import SPECIALS, Tokenizer, WordTokenizer
from negah.text.vectors import Vectors

#: Minimum length of a stem that indicates related words ("one" has the stem "on").
_SHORTEST_STEM = 3


@dataclass(frozen=True, slots=True)
class WordMatch:
    """The sources of the rows of a vocabulary.

    Attributes:
        known: the initial model's id of each word that it knows, by id.
        near: the initial model's ids of the words similar to a new one, by id.
        far: ids of new words without similar ones.
        others: the initial model's ids of all its words without specials.
    """

    known: dict[int, int]
    near: dict[int, list[int]]
    far: list[int]
    others: list[int]

    def fill(self, own: Tensor, initial: Tensor, *, new_words: bool) -> None:
        """Fill a parameter whose first axis is the vocabulary, in place.

        Args:
            own: of the new captioner, with a row for each word.
            initial: of the initial model.
            new_words: whether rows of unknown words are filled, too.
        """
        own[list(self.known)] = initial[list(self.known.values())]
        if not new_words:
            return
        for word, rows in self.near.items():
            own[word] = initial[rows].mean(0)
        if self.far:
            own[self.far] = initial[self.others].mean(0)

    def describe(self, *, new_words: bool) -> str:
        """A sentence on the known words, and on the initialisation of the others."""
        total = len(self.known) + len(self.near) + len(self.far)
        if not new_words:
            return f"{len(self.known)} of {total} words are known"
        return (
            f"{len(self.known)} of {total} words are known, {len(self.near)} start from a similar "
            f"word, {len(self.far)} from the mean of all"
        )


def match_words(
    tokenizer: Tokenizer,
    initial: Tokenizer,
    vectors: Vectors | None = None,
    shown: Mapping[int, list[int]] | None = None,
) -> WordMatch:
    """Find each word of a vocabulary, or similar ones, in that of an initial model.

    Args:
        tokenizer: of the new captioner.
        initial: of the initial model.
        vectors: of words of both.
        shown: the initial model's ids of words matched to new words of another language; stems are
            not used then.
    """
    first = len(SPECIALS)
    ids = {token: number for number, token in enumerate(initial.tokens)}
    known = {i: ids[token] for i, token in enumerate(tokenizer.tokens) if token in ids}
    new = [i for i in range(len(tokenizer)) if i not in known]
    near: dict[int, list[int]] = {}
    if shown is not None:
        near = {number: rows for number, rows in shown.items() if number not in known}
    elif isinstance(tokenizer, WordTokenizer):
        stems_of = tokenizer.language.stems
        by_stem: Mapping[str, list[int]] = defaultdict(list)
        for stem, token in zip(
            stems_of(initial.tokens[first:]), initial.tokens[first:], strict=True
        ):
            by_stem[stem].append(ids[token])
        stems = dict(zip(new, stems_of(tokenizer.tokens[i] for i in new), strict=True))
        near = {
            i: by_stem[stem]
            for i, stem in stems.items()
            if stem in by_stem and len(stem) >= _SHORTEST_STEM
        }
        if vectors is not None:
            left = {i: tokenizer.tokens[i] for i in new if i not in near}
            near |= {
                i: [ids[token]] for i, token in _nearest(left, initial.tokens[first:], vectors)
            }
    far = [i for i in new if i not in near]
    return WordMatch(known, near, far, list(range(first, len(initial))))


def _nearest(
    wanted: Mapping[int, str], known: Iterable[str], vectors: Vectors
) -> Iterable[tuple[int, str]]:
    """The known word of highest cosine, for each requested word with a vector."""
    words = [word for word in known if word in vectors.rows]
    numbers = [i for i, word in wanted.items() if word in vectors.rows]
    if not words or not numbers:
        return []
    known_WE = _unit([vectors.rows[word] for word in words])
    wanted_NE = _unit([vectors.rows[wanted[i]] for i in numbers])
    best_N = (wanted_NE @ known_WE.T).argmax(1)
    return [(i, words[at]) for i, at in zip(numbers, best_N.tolist(), strict=True)]


def _unit(rows: list[FloatArray]) -> FloatArray:
    matrix: FloatArray = np.stack(rows)
    unit: FloatArray = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    return unit
