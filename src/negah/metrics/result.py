"""Results of metrics: a score for each image, and the sums that make the score of all.

Axes: N images, K statistics of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from negah.arrays import DoubleArray


@dataclass(frozen=True, slots=True, eq=False)
class MeanScore:
    """A score for each image and their mean.

    Attributes:
        per_caption: float64 (N,), one for each image, in the order given.
    """

    per_caption: DoubleArray

    @property
    def corpus(self) -> float:
        """The mean over the images."""
        return float(self.per_caption.mean())


@dataclass(frozen=True, slots=True, eq=False)
class Additive:
    """What a score follows from: statistics of images, and a function of their sums.

    Attributes:
        statistics_NK: float64 (N, K).
        score: from sums of statistics (..., K) to scores (...).
    """

    statistics_NK: DoubleArray
    score: Callable[[DoubleArray], DoubleArray]

    @classmethod
    def mean(cls, scores_N: DoubleArray) -> Additive:
        """A score that is the mean over images."""
        return cls(np.stack([scores_N, np.ones(len(scores_N))], axis=1), _quotient)


def _quotient(sums: DoubleArray) -> DoubleArray:
    quotient: DoubleArray = sums[..., 0] / sums[..., 1]
    return quotient
