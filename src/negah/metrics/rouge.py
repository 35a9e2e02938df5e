"""ROUGE-L, an F-measure over the longest common subsequence.

Paper: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. As in the COCO
caption evaluation, beta is 1.2, and the best precision and the best recall over the references
are taken apart, so they may come from different references.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from negah.metrics.ngrams import Tokenised, Tokens, checked
from negah.metrics.result import MeanScore

BETA = 1.2


def rouge_l(
    hypotheses: Sequence[Tokenised], references: Sequence[Sequence[Tokenised]], beta: float = BETA
) -> MeanScore:
    """ROUGE-L of one tokenised hypothesis for each of N images, in [0, 1].

    Args:
        hypotheses: N tokenised captions.
        references: for each of them the tokenised references of its image.
        beta: weight of recall against precision.

    Raises:
        DataError: the inputs do not fit together, see :func:`negah.metrics.ngrams.checked`.
    """
    scores = [
        _score(hypothesis, captions, beta)
        for hypothesis, captions in zip(*checked(hypotheses, references), strict=True)
    ]
    return MeanScore(np.array(scores))


def longest_common_subsequence(first: Tokens, second: Tokens) -> int:
    """Its length, by bits: one addition of integers for each token of ``second``.

    H. Hyyrö, "Bit-parallel LCS-length computation revisited", 2004.
    """
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    ones = (1 << len(first)) - 1
    row = ones
    for token in second:
        hits = row & places.get(token, 0)
        row = (row + hits | row - hits) & ones
    return len(first) - row.bit_count()


def _score(hypothesis: Tokens, references: list[Tokens], beta: float) -> float:
    precision = recall = 0.0
    for caption in references:
        common = longest_common_subsequence(hypothesis, caption)
        if common:
            precision = max(precision, common / len(hypothesis))
            recall = max(recall, common / len(caption))
    if not precision:
        return 0.0
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
