"""ROUGE-L, an F-measure over the longest common subsequence.

Paper: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004. As in the COCO
caption evaluation, beta is 1.2, and the best precision and the best recall over the references
are taken apart, so they may come from different references.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from negah.arrays import DoubleArray
from negah.metrics.captions import Tokenised, starts
from negah.metrics.lcs import common_subsequences
from negah.metrics.metric import CaptionSet, MeanMetric
from negah.metrics.references import Matched, TokenisedReferences
from negah.metrics.result import MeanScore
from negah.metrics.settings import Settings

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
        DataError: the inputs do not fit together, see :mod:`negah.metrics.captions`.
    """
    prepared = TokenisedReferences(references, max_order=1)
    return rouge_l_score(prepared, prepared.match(hypotheses), beta)


def rouge_l_score(
    references: TokenisedReferences, matched: Matched, beta: float = BETA
) -> MeanScore:
    """ROUGE-L of hypotheses that were matched with their references; see :func:`rouge_l`."""
    hypotheses_D, references_D = references.beside(matched)
    common_D = common_subsequences(
        matched.captions, hypotheses_D, references.captions, references_D
    )
    firsts_H = starts(references.sizes_N[matched.images_H])
    # a caption without words shares nothing with any reference, so 0 / 0 is taken as 0 / 1
    lengths_D = np.maximum(1, references.captions.lengths_M[references_D])
    precision = np.maximum.reduceat(common_D, firsts_H) / np.maximum(1, matched.captions.lengths_M)
    recall = np.maximum.reduceat(common_D / lengths_D, firsts_H)
    below = recall + beta**2 * precision
    above = (1 + beta**2) * precision * recall
    return MeanScore(np.divide(above, below, out=np.zeros_like(below), where=below > 0))


class RougeL(MeanMetric):
    """ROUGE-L on the scale of 100."""

    names = ("ROUGE-L",)

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """Always."""
        return True

    def values(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image, float64 (N,)."""
        return 100 * rouge_l_score(self.references.numbered, captions.matched).per_caption

    def signature(self, name: str) -> str:
        """With the weight of recall."""
        return f"{name}|beta:{BETA:g}"
