"""Prepared references, and the n-grams that hypotheses share with them.

BLEU and CIDEr both need the n-grams that a hypothesis shares with the references of its image, and
their counts. These are computed once for both, for all captions together, by sorting and binary
search.

Axes: N images, R references of all images, H hypotheses, G different n-grams of one order,
P pairs of an image and an n-gram of its references, E pairs of a reference and an n-gram in it,
S pairs of a hypothesis and an n-gram in it, D pairs of a hypothesis and a reference of its image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from negah.arrays import DoubleArray, IntArray
from negah.metrics.captions import (
    Captions,
    Tokenised,
    Tokens,
    WordIds,
    check_lengths,
    check_references,
    spread,
    starts,
    totals,
)
from negah.metrics.ngrams import MAX_ORDER, NgramTable, Occurrences, count_ngrams, positions, runs


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """The n-grams of one order in the references.

    Attributes:
        keys_P: image times G plus n-gram, ascending.
        firsts_P: where the pair's references begin in the arrays of E.
        sizes_P: how many references of the image have the n-gram.
        most_P: how often it stands in the one of them that has it most often.
        references_E: which reference.
        counts_E: how often the n-gram stands in it.
    """

    keys_P: IntArray
    firsts_P: IntArray
    sizes_P: IntArray
    most_P: IntArray
    references_E: IntArray
    counts_E: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """The n-grams of one order that hypotheses share with their references.

    Attributes:
        hypotheses_S: which hypothesis, ascending.
        grams_S: which n-gram, in the hypotheses' own table.
        counts_S: how often it stands there.
        pairs_S: the pair of image and n-gram in the references; -1 where they lack it.
    """

    hypotheses_S: IntArray
    grams_S: IntArray
    counts_S: IntArray
    pairs_S: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Hypotheses matched with the references of their images.

    Attributes:
        captions: the hypotheses.
        images_H: the image of each hypothesis.
        table: the hypotheses' n-grams.
        orders: the n-grams shared with the references, by order.
    """

    captions: Captions
    images_H: IntArray
    table: NgramTable
    orders: tuple[Shared, ...]


class TokenisedReferences:
    """The tokenised references of N images, numbered, with their n-grams counted.

    Args:
        references: for each image its tokenised captions.
        vocabulary: to number words with, and to add new ones to; by default an empty one.
        max_order: longest n-gram.
        tokenise: turns each caption into tokens, where they are not tokenised.

    Attributes:
        vocabulary: every word of the references and what was in it before.
        captions: all references, one image after the other.
        sizes_N: number of references of each image.
        firsts_N: the first reference of each image.
        table: the different n-grams of the references.

    Raises:
        DataError: see :func:`negah.metrics.captions.check_references`.
    """

    def __init__(
        self,
        references: Sequence[Sequence[Tokenised]],
        *,
        vocabulary: WordIds | None = None,
        max_order: int = MAX_ORDER,
        tokenise: Callable[[Tokenised], Tokens] | None = None,
    ) -> None:
        check_references(references)
        self.vocabulary = WordIds() if vocabulary is None else vocabulary
        self.max_order = max_order
        self.sizes_N = np.array([len(row) for row in references], dtype=np.int64)
        self.firsts_N = starts(self.sizes_N)
        every: Iterable[Tokenised] = chain.from_iterable(references)
        if tokenise is not None:
            every = map(tokenise, every)
        self.captions = Captions.of(every, self.vocabulary)
        self.table, occurrences = count_ngrams(self.captions, len(self.vocabulary), max_order)
        images_R = np.repeat(np.arange(len(self)), self.sizes_N)
        self._orders = [
            self._order(found, images_R, size)
            for found, size in zip(occurrences, self.table.sizes, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.sizes_N)

    def _order(self, found: Occurrences, images_R: IntArray, size: int) -> _Order:
        # one sort groups by image, then n-gram, then reference
        widest = int(self.sizes_N.max())
        images = images_R[found.captions]
        within = found.captions - self.firsts_N[images]
        wide = (images * size + found.grams) * widest + within
        wide.sort()
        firsts_E, counts_E = runs(wide)
        pair_E, within_E = np.divmod(wide[firsts_E], widest)
        firsts_P, sizes_P = runs(pair_E)
        keys_P = pair_E[firsts_P]
        images_P = keys_P // max(size, 1)
        return _Order(
            keys_P=keys_P,
            firsts_P=firsts_P,
            sizes_P=sizes_P,
            most_P=np.maximum.reduceat(counts_E, firsts_P) if len(firsts_P) else firsts_P,
            references_E=within_E + np.repeat(self.firsts_N[images_P], sizes_P),
            counts_E=counts_E,
        )

    def image_counts(self) -> tuple[IntArray, ...]:
        """The number of images with each n-gram of ``table``, by order, int64 (G,)."""
        return tuple(
            np.bincount(order.keys_P % max(size, 1), minlength=size)
            for order, size in zip(self._orders, self.table.sizes, strict=True)
        )

    def match(self, hypotheses: Sequence[Tokenised], images: IntArray | None = None) -> Matched:
        """Match tokenised hypotheses with the references.

        Args:
            hypotheses: H captions.
            images: of which image each is, (H,); by default there is one for each image, in order.

        Raises:
            DataError: without ``images``, there are not as many hypotheses as images.
        """
        if images is None:
            check_lengths(hypotheses, len(self))
            images = np.arange(len(self))
        # a copy, so that words of hypotheses do not stay in the vocabulary
        vocabulary = WordIds(self.vocabulary)
        captions = Captions.of(hypotheses, vocabulary)
        table, occurrences = count_ngrams(captions, len(vocabulary), self.max_order)
        places = self.table.find(table)
        orders = []
        for order, found, size, own_size, place in zip(
            self._orders, occurrences, self.table.sizes, table.sizes, places, strict=True
        ):
            wide = np.sort(found.captions * own_size + found.grams)
            firsts_S, counts_S = runs(wide)
            hypotheses_S, grams_S = np.divmod(wide[firsts_S], max(own_size, 1))
            place_S = place[grams_S]
            pairs_S = positions(order.keys_P, images[hypotheses_S] * size + place_S)
            pairs_S[place_S < 0] = -1
            orders.append(Shared(hypotheses_S, grams_S, counts_S, pairs_S))
        return Matched(captions, images, table, tuple(orders))

    def clipped_matches(self, matched: Matched) -> DoubleArray:
        """How many n-grams of each hypothesis match, float64 (H, max_order).

        An n-gram counts no more often than in the reference that has it most often.
        """
        columns = []
        for order, shared in zip(self._orders, matched.orders, strict=True):
            hit = shared.pairs_S >= 0
            allowed = order.most_P[shared.pairs_S[hit]]
            matches = np.minimum(shared.counts_S[hit], allowed)
            columns.append(totals(shared.hypotheses_S[hit], matches, len(matched.captions)))
        return np.stack(columns, axis=1)

    def occurrences(self) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """By order: reference, n-gram of ``table`` and count, for all E."""
        for order, size in zip(self._orders, self.table.sizes, strict=True):
            grams_E = np.repeat(order.keys_P % max(size, 1), order.sizes_P)
            yield order.references_E, grams_E, order.counts_E

    def common(self, matched: Matched) -> Iterator[tuple[IntArray, IntArray, IntArray, IntArray]]:
        """By order, for each n-gram that a hypothesis and a reference of its image have in common.

        Yields:
            The row of the hypothesis' n-gram in its :class:`Shared`, the hypothesis, the
            reference, and how often the n-gram stands in the reference.
        """
        for order, shared in zip(self._orders, matched.orders, strict=True):
            rows = np.flatnonzero(shared.pairs_S >= 0)
            pairs = shared.pairs_S[rows]
            sizes = order.sizes_P[pairs]
            entries = spread(order.firsts_P[pairs], sizes)
            rows = np.repeat(rows, sizes)
            yield (
                rows,
                shared.hypotheses_S[rows],
                order.references_E[entries],
                order.counts_E[entries],
            )

    def beside(self, matched: Matched) -> tuple[IntArray, IntArray]:
        """All pairs of a hypothesis and a reference of its image: both int64 (D,), by
        hypothesis."""
        sizes_H = self.sizes_N[matched.images_H]
        hypotheses_D = np.repeat(np.arange(len(sizes_H)), sizes_H)
        return hypotheses_D, spread(self.firsts_N[matched.images_H], sizes_H)
