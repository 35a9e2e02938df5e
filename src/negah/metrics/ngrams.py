"""N-grams as integers: tables of distinct n-grams, and their counts in each caption.

An n-gram is the pair of the n-gram before its last word and that word, so the n-grams of one order
form one sorted array of integers, and all look-ups are done in one binary search. N-grams are never
stored as strings, and there are no hash collisions.

Axes: M captions, G different n-grams of one order, E pairs of a caption and an n-gram in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from negah.arrays import IntArray
from negah.metrics.captions import Captions

#: BLEU and CIDEr count n-grams of one to four words.
MAX_ORDER = 4


@dataclass(frozen=True, slots=True, eq=False)
class NgramTable:
    """The different n-grams of some captions, of order 1 up.

    Attributes:
        words: size of the vocabulary; the n-grams of order 1 are its ids.
        keys: for each order from 2 up, int64 (G,), ascending: the place of the n-gram without
            its last word in the order before, times ``words``, plus the last word's id.
    """

    words: int
    keys: tuple[IntArray, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """G of each order."""
        return (self.words, *map(len, self.keys))

    def find(self, other: NgramTable) -> list[IntArray]:
        """The index of each n-gram of ``other`` in this table, by order; -1 if it is missing.

        Both must use the same word ids; ids beyond this table's vocabulary are unknown words.
        """
        known = np.arange(other.words)
        places = [np.where(known < self.words, known, -1)]
        for own_keys, other_keys in zip(self.keys, other.keys, strict=True):
            before, last = np.divmod(other_keys, other.words)
            before = places[-1][before]
            wanted = before * self.words + last
            found = positions(own_keys, wanted)
            places.append(np.where((before >= 0) & (last < self.words), found, -1))
        return places


@dataclass(frozen=True, slots=True, eq=False)
class Occurrences:
    """The n-grams of one order at their places in the captions.

    Attributes:
        captions: the caption of each n-gram, ascending, int64.
        grams: which n-gram it is, int64.
    """

    captions: IntArray
    grams: IntArray


def count_ngrams(
    captions: Captions, words: int, max_order: int
) -> tuple[NgramTable, list[Occurrences]]:
    """All n-grams of 1 to ``max_order`` words.

    Args:
        captions: their ids must be below ``words``.
        words: size of the vocabulary.
        max_order: longest n-gram.
    """
    windows = np.arange(len(captions.ids_T))
    ends_T = np.repeat(captions.starts + captions.lengths_M, captions.lengths_M)
    grams = captions.ids_T
    keys: list[IntArray] = []
    occurrences = [Occurrences(captions.owners, grams)]
    for order in range(2, max_order + 1):
        fits = windows + order <= ends_T[windows]
        windows = windows[fits]
        wide = grams[fits] * words + captions.ids_T[windows + order - 1]
        different, grams = np.unique(wide, return_inverse=True)
        keys.append(different)
        occurrences.append(Occurrences(captions.owners[windows], grams))
    return NgramTable(words, tuple(keys)), occurrences


def runs(ascending: IntArray) -> tuple[IntArray, IntArray]:
    """The first index of each run of equal numbers, and the length of each run."""
    if not len(ascending):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    firsts = np.flatnonzero(np.concatenate(([True], ascending[1:] != ascending[:-1])))
    return firsts, np.diff(firsts, append=len(ascending))


def positions(ascending: IntArray, wanted: IntArray) -> IntArray:
    """The index of each wanted number in ``ascending``; -1 if it is missing."""
    if not len(ascending):
        return np.full(len(wanted), -1)
    found = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[found] == wanted, found, -1)
