"""BLEU, the geometric mean of clipped n-gram precisions times a brevity penalty.

Paper: K. Papineni, S. Roukos, T. Ward, W.-J. Zhu, "BLEU: a method for automatic evaluation of
machine translation", ACL 2002. Where the paper leaves a choice, this follows the COCO
caption evaluation: the reference length nearest to the hypothesis, the shorter of two that are
equally near; no smoothing but two constants that keep 0/0 away. Written from the paper, and
compared with that evaluation's numbers in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negah.metrics.ngrams import Tokenised, Tokens, checked, count_ngrams

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# What is added above and below every fraction; the corpus score depends on them by less
# than 1e-9, that of one caption without a matching n-gram by all of its value.
_ABOVE, _BELOW = 1e-15, 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class BleuScore:
    """BLEU-1 to BLEU-``max_order``, in [0, 1].

    Attributes:
        corpus: the scores of the corpus, from its summed statistics; not a mean over captions.
        per_caption: each caption as a corpus of its own, float64 (N, max_order).
        statistics: int64 (N, 2 + 2 * max_order): hypothesis length, reference length, clipped
            matches by order, n-grams by order. Sums over any choice of captions give their
            score by :func:`bleu_of`.
    """

    corpus: tuple[float, ...]
    per_caption: FloatArray
    statistics: IntArray


def bleu(
    hypotheses: Sequence[Tokenised], references: Sequence[Sequence[Tokenised]], max_order: int = 4
) -> BleuScore:
    """BLEU of one tokenised hypothesis for each of N images against its references.

    Raises:
        DataError: the inputs do not fit together, see :func:`negah.metrics.ngrams.checked`.
    """
    statistics = np.array(
        [
            _statistics(hypothesis, captions, max_order)
            for hypothesis, captions in zip(*checked(hypotheses, references), strict=True)
        ],
        dtype=np.int64,
    )
    corpus = bleu_of(statistics.sum(axis=0))
    return BleuScore(tuple(map(float, corpus)), bleu_of(statistics), statistics)


def bleu_of(statistics: npt.NDArray[np.integer] | FloatArray) -> FloatArray:
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


def _statistics(hypothesis: Tokens, references: list[Tokens], max_order: int) -> list[int]:
    length = len(hypothesis)
    nearest = min((len(caption) for caption in references), key=lambda n: (abs(n - length), n))
    counts = [count_ngrams(caption, max_order) for caption in references]
    matches = [0] * max_order
    for ngram, count in count_ngrams(hypothesis, max_order).items():
        allowed = max(reference[ngram] for reference in counts)
        matches[len(ngram) - 1] += min(count, allowed)
    totals = [max(0, length - order) for order in range(max_order)]
    return [length, nearest, *matches, *totals]
