"""Confidence intervals by resampling images.

The percentile bootstrap (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993): draw
as many images as there are, with replacement, score that sample, and repeat. Every metric here is a
function of statistics summed over images, so a resample is a product of counts with them and no
caption is scored twice.

Axes: N images, K statistics of an image, S resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import UsageError

#: Numbers drawn at a time: 32 MB of them.
BLOCK = 1 << 22


class Interval(NamedTuple):
    """A confidence interval, in the unit of its score."""

    low: float
    high: float


def resample(statistics_NK: DoubleArray, resamples: int, seed: int) -> DoubleArray:
    """The statistics summed over each of ``resamples`` draws of N images: float64 (S, K).

    Raises:
        UsageError: fewer than 1 image or 1 resample.
    """
    images = len(statistics_NK)
    if images < 1 or resamples < 1:
        raise UsageError(
            f"a bootstrap takes 1 image and 1 resample or more, not {images} and {resamples}"
        )
    generator = np.random.default_rng(seed)
    sums_SK = np.empty((resamples, statistics_NK.shape[1]))
    step = max(1, BLOCK // images)
    for first in range(0, resamples, step):
        # how often each image occurs in each resample
        counts_SN = np.stack(
            [
                np.bincount(generator.integers(images, size=images), minlength=images)
                for _ in range(first, min(first + step, resamples))
            ]
        )
        sums_SK[first : first + step] = counts_SN.astype(np.float64) @ statistics_NK
    return sums_SK


def percentiles(scores_S: DoubleArray, level: float) -> Interval:
    """The interval that holds the share ``level`` of the resampled scores.

    Raises:
        UsageError: ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UsageError(f"the level of a confidence interval lies between 0 and 1, not {level}")
    low, high = np.quantile(scores_S, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
