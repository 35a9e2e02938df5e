"""Confidence intervals by resampling images.

The percentile bootstrap (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993): draw
as many images as there are, with replacement, score that set, and repeat. Every metric here is a
function of statistics summed over images, so a resample is a product of counts with them and
no caption is scored twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from negah.errors import UsageError

FloatArray = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval, in the unit of its score."""

    low: float
    high: float


def draw(images: int, resamples: int, seed: int) -> FloatArray:
    """How often each image stands in each resample: float64 (resamples, images).

    Raises:
        UsageError: fewer than 1 image or 1 resample.
    """
    if images < 1 or resamples < 1:
        raise UsageError(
            f"a bootstrap takes 1 image and 1 resample or more, not {images} and {resamples}"
        )
    generator = np.random.default_rng(seed)
    counts = np.empty((resamples, images))
    for row in counts:
        row[:] = np.bincount(generator.integers(images, size=images), minlength=images)
    return counts


def interval(
    counts: FloatArray,
    statistics: npt.NDArray[np.integer] | FloatArray,
    score: Callable[[FloatArray], FloatArray],
    level: float = 0.95,
) -> list[Interval]:
    """The interval of every score that follows from summed statistics.

    Args:
        counts: resamples as :func:`draw` gives them, (S, N).
        statistics: of each image, (N, K).
        score: from sums of statistics (S, K) to scores (S, M).
        level: share of the resamples inside the interval, in (0, 1).

    Returns:
        One interval for each of the M scores.

    Raises:
        UsageError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"the level of a confidence interval lies between 0 and 1, not {level}")
    scores = score(counts @ statistics.astype(np.float64))
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
