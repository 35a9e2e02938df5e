"""CIDEr-D, the consensus of a caption with its references, in tf-idf weighted n-grams.

Paper: R. Vedantam, C. L. Zitnick, D. Parikh, "CIDEr: consensus-based image description
evaluation", CVPR 2015, whose CIDEr-D clips the counts and punishes a difference in length. The
COCO caption evaluation prints it as "CIDEr", and this follows its choices: n-grams of 1 to 4
words, no stemming, raw counts for tf, sigma 6, times 10, and the number of bigrams as the length.

Two consequences surprise: with a single image, or images that all share their references,
every idf and so every score is 0; and a score depends on the whole set of images.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from negah.errors import DataError
from negah.metrics.ngrams import (
    NgramCounts,
    Tokenised,
    Tokens,
    as_tokens,
    check_lengths,
    checked_references,
    count_ngrams,
)
from negah.metrics.result import MeanScore

MAX_ORDER = 4
SIGMA = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class DocumentFrequencies:
    """In the references of how many images each n-gram stands.

    Attributes:
        counts: number of images by n-gram (a tuple of tokens); 0 for those not in it.
        images: number of images counted.
    """

    counts: Mapping[Tokens, int]
    images: int

    def __post_init__(self) -> None:
        if self.images < 1:
            raise DataError(f"document frequencies count 1 image or more, not {self.images}")

    @classmethod
    def of(cls, references: Sequence[Sequence[Tokenised]], max_order: int = MAX_ORDER) -> Self:
        """Count them in the tokenised references of each image.

        Raises:
            DataError: no images, or one without references.
        """
        counted = [
            [count_ngrams(caption, max_order) for caption in captions]
            for captions in checked_references(references)
        ]
        return cls._of_counts(counted)

    @classmethod
    def _of_counts(cls, references: list[list[NgramCounts]]) -> Self:
        counts: Counter[Tokens] = Counter()
        for captions in references:
            counts.update(set().union(*captions))
        return cls(counts, len(references))

    def idf(self, ngram: Tokens) -> float:
        """``log(images / max(1, count))``, natural; 0 for an n-gram that every image has."""
        return math.log(self.images) - math.log(max(1, self.counts.get(ngram, 0)))


def cider_d(
    hypotheses: Sequence[Tokenised],
    references: Sequence[Sequence[Tokenised]],
    *,
    frequencies: DocumentFrequencies | None = None,
    max_order: int = MAX_ORDER,
    sigma: float = SIGMA,
) -> MeanScore:
    """CIDEr-D of one tokenised hypothesis for each of N images, in [0, 10].

    To score many sets of hypotheses against the same references, keep a :class:`CiderD`.

    Args:
        hypotheses: N tokenised captions.
        references: for each of them the tokenised references of its image.
        frequencies: a table made before, from these or other references; by default it is
            counted in ``references``.
        max_order: longest n-gram.
        sigma: width of the length penalty, in bigrams.

    Raises:
        DataError: the inputs do not fit together.
    """
    scorer = CiderD(references, frequencies=frequencies, max_order=max_order, sigma=sigma)
    return scorer.score(hypotheses)


class CiderD:
    """CIDEr-D against references that are prepared once; arguments as in :func:`cider_d`."""

    def __init__(
        self,
        references: Sequence[Sequence[Tokenised]],
        *,
        frequencies: DocumentFrequencies | None = None,
        max_order: int = MAX_ORDER,
        sigma: float = SIGMA,
    ) -> None:
        counted = [
            [count_ngrams(caption, max_order) for caption in captions]
            for captions in checked_references(references)
        ]
        self.frequencies = frequencies or DocumentFrequencies._of_counts(counted)
        self.max_order = max_order
        self.sigma = sigma
        self._weights = _Weights(self.frequencies)
        self._references = [
            [_Vector(counts, self._weights, max_order) for counts in row] for row in counted
        ]

    def score(self, hypotheses: Sequence[Tokenised]) -> MeanScore:
        """The scores of one tokenised hypothesis for each image, in [0, 10].

        Raises:
            DataError: not as many hypotheses as images.
        """
        check_lengths(hypotheses, self._references)
        scores = []
        for caption, references in zip(hypotheses, self._references, strict=True):
            counts = count_ngrams(as_tokens(caption), self.max_order)
            hypothesis = _Vector(counts, self._weights, self.max_order)
            similarities = [
                _similarity(hypothesis, reference, self._weights, self.sigma)
                for reference in references
            ]
            scores.append(10 * sum(similarities) / len(similarities))
        return MeanScore(np.array(scores))


class _Weights(dict[Tokens, float]):
    """The idf of n-grams, each worked out once."""

    def __init__(self, frequencies: DocumentFrequencies) -> None:
        super().__init__()
        self._frequencies = frequencies

    def __missing__(self, ngram: Tokens) -> float:
        weight = self[ngram] = self._frequencies.idf(ngram)
        return weight


class _Vector:
    """The tf-idf vectors of one caption, one for each order, by their counts and lengths."""

    __slots__ = ("bigrams", "counts", "norms")

    def __init__(self, counts: NgramCounts, weights: _Weights, max_order: int) -> None:
        squares = [0.0] * max_order
        bigrams = 0
        for ngram, count in counts.items():
            squares[len(ngram) - 1] += (count * weights[ngram]) ** 2
            if len(ngram) == 2:
                bigrams += count
        self.counts = counts
        self.norms = [math.sqrt(square) for square in squares]
        self.bigrams = bigrams


def _similarity(hypothesis: _Vector, reference: _Vector, weights: _Weights, sigma: float) -> float:
    """Mean over the orders of min(h, r) . r / (|h| |r|), times exp(-(l_h - l_r)^2 / 2 sigma^2)."""
    products = [0.0] * len(hypothesis.norms)
    other = reference.counts
    for ngram, count in hypothesis.counts.items():
        if ngram in other:
            allowed = other[ngram]
            products[len(ngram) - 1] += min(count, allowed) * allowed * weights[ngram] ** 2
    cosines = (
        product / (norm * other_norm)
        for product, norm, other_norm in zip(
            products, hypothesis.norms, reference.norms, strict=True
        )
        if norm and other_norm
    )
    difference = hypothesis.bigrams - reference.bigrams
    return sum(cosines) / len(products) * math.exp(-(difference**2) / (2 * sigma**2))
