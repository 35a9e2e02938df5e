"""BLEU, the geometric mean of clipped n-gram precisions times a brevity penalty.

Paper: K. Papineni, S. Roukos, T. Ward, W.-J. Zhu, "BLEU: a method for automatic evaluation of
machine translation", ACL 2002. Where the paper leaves a choice, this follows the COCO
caption evaluation: the reference length nearest to the hypothesis, the shorter of two that are
equally near; no smoothing but two constants that keep 0/0 away. Written from the paper, and
compared with that evaluation's numbers in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray
from negah.errors import UnknownNameError
from negah.metrics.captions import Tokenised, starts
from negah.metrics.metric import CaptionSet, Metric, ReferenceSet
from negah.metrics.ngrams import MAX_ORDER
from negah.metrics.references import Matched, TokenisedReferences
from negah.metrics.settings import ReferenceLength, Settings

# Added to numerator and denominator of every fraction; they change the corpus score by less than
# 1e-9, but make up the whole score of a caption without a matching n-gram.
_ABOVE, _BELOW = 1e-15, 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class BleuScore:
    """BLEU-1 to BLEU-``max_order``, in [0, 1].

    Attributes:
        corpus: the scores of the corpus, from its summed statistics; not a mean over captions.
        per_caption: each caption as a corpus of its own, float64 (N, max_order).
        statistics: float64 (N, 2 + 2 * max_order): hypothesis length, reference length, clipped
            matches by order, n-grams by order. Sums over any choice of captions give their
            score by :func:`bleu_of`.
    """

    corpus: tuple[float, ...]
    per_caption: DoubleArray
    statistics: DoubleArray


def bleu(
    hypotheses: Sequence[Tokenised],
    references: Sequence[Sequence[Tokenised]],
    max_order: int = 4,
    reference_length: ReferenceLength = "closest",
) -> BleuScore:
    """BLEU of one tokenised hypothesis for each of N images against its references.

    Args:
        hypotheses: N tokenised captions.
        references: for each of them the tokenised references of its image.
        max_order: longest n-gram.
        reference_length: what the brevity penalty compares a hypothesis with: the reference
            ``"closest"`` to it in length, the ``"shortest"``, or their ``"average"`` length.

    Raises:
        DataError: the inputs do not fit together, see :mod:`negah.metrics.captions`.
        UnknownNameError: no such ``reference_length``.
    """
    prepared = TokenisedReferences(references, max_order=max_order)
    return bleu_score(prepared, prepared.match(hypotheses), reference_length)


def bleu_score(
    references: TokenisedReferences, matched: Matched, reference_length: ReferenceLength
) -> BleuScore:
    """BLEU of hypotheses that were matched with their references; see :func:`bleu`."""
    lengths_H = matched.captions.lengths_M
    totals = np.maximum(0, lengths_H[:, None] - np.arange(references.max_order))
    statistics = np.column_stack(
        [
            lengths_H,
            _reference_lengths(references, matched, reference_length),
            references.clipped_matches(matched),
            totals,
        ]
    ).astype(np.float64)
    corpus = bleu_of(statistics.sum(axis=0))
    return BleuScore(tuple(map(float, corpus)), bleu_of(statistics), statistics)


def bleu_of(statistics: npt.NDArray[np.integer] | DoubleArray) -> DoubleArray:
    """BLEU-1 to BLEU-n, float64 (..., n), from statistics (..., 2 + 2n) or sums of them."""
    values = statistics.astype(np.float64)
    orders = values.shape[-1] // 2 - 1
    lengths, reference_lengths = values[..., :1], values[..., 1:2]
    matches, totals = values[..., 2 : 2 + orders], values[..., 2 + orders :]
    # BLEU-k = penalty * (p_1 * ... * p_k) ** (1 / k)
    products = np.cumprod((matches + _ABOVE) / (totals + _BELOW), axis=-1)
    means = products ** (1 / np.arange(1, orders + 1))
    ratios = (lengths + _ABOVE) / (reference_lengths + _BELOW)
    return means * np.exp(np.minimum(0.0, 1 - 1 / ratios))


class Bleu(Metric):
    """BLEU-1 to BLEU-4 on the scale of 100."""

    names = tuple(f"BLEU-{order}" for order in range(1, MAX_ORDER + 1))

    def __init__(self, references: ReferenceSet) -> None:
        self._references = references

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """Always."""
        return True

    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """Lengths, matches and numbers of n-grams, float64 (N, 10); see :class:`BleuScore`."""
        length = self._references.settings.reference_length
        return bleu_score(self._references.numbered, captions.matched, length).statistics

    @classmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The scores of each order."""
        scores = 100 * bleu_of(sums)
        return {name: scores[..., order] for order, name in enumerate(cls.names)}

    def signature(self, name: str) -> str:
        """With the reference length."""
        return f"{name}|reflen:{self._references.settings.reference_length}|smooth:none"


def _reference_lengths(
    references: TokenisedReferences, matched: Matched, which: ReferenceLength
) -> DoubleArray:
    hypotheses_D, references_D = references.beside(matched)
    lengths_D = references.captions.lengths_M[references_D]
    sizes_H = references.sizes_N[matched.images_H]
    firsts_H = starts(sizes_H)
    if which == "average":
        return np.add.reduceat(lengths_D, firsts_H) / sizes_H
    if which == "shortest":
        return np.minimum.reduceat(lengths_D, firsts_H).astype(np.float64)
    if which != "closest":
        raise UnknownNameError("reference length", which, get_args(ReferenceLength))
    # ordered by distance first, then by length
    beyond = int(lengths_D.max()) + 1
    distances_D = np.abs(lengths_D - matched.captions.lengths_M[hypotheses_D])
    nearest = np.minimum.reduceat(distances_D * beyond + lengths_D, firsts_H)
    return (nearest % beyond).astype(np.float64)
