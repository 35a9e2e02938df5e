"""Paired significance tests between two systems.

Both tests use the two systems' captions of the same images. The paired bootstrap (P. Koehn,
"Statistical significance tests for machine translation evaluation", EMNLP 2004) resamples images;
its p-value is the share of resamples whose difference deviates from its mean by at least the
measured difference (the shifted bootstrap of B. Efron and R. Tibshirani, 1993). Approximate
randomisation (E. Noreen, 1989; S. Riezler, J. Maxwell, ACL workshop 2005) swaps the two captions of
each image at random and assumes no normal distribution. Only sums of statistics are drawn, so 5,000
images and 1,000 resamples take well under a second.

Axes: N images, K statistics of an image, S resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError, UsageError
from negah.metrics.bootstrap import percentiles, resample

#: Relative tolerance for sums of the same numbers in another order.
_ROUNDING = 1e-12
#: Numbers drawn at a time: 32 MB of them.
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of two systems by one metric on the same images.

    Attributes:
        a: the score of the first.
        b: the score of the second.
        difference: ``a - b``.
        low: lower end of the paired bootstrap interval of the difference.
        high: its upper end.
        p_bootstrap: two-sided p-value of the paired bootstrap, in (0, 1].
        p_randomisation: two-sided p-value of approximate randomisation, in (0, 1]; report this one
            if the two disagree.
        same: whether both have the same statistics on every image, as two equal files of
            captions have.
        lower_is_better: whether the lower score is the better one.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float
    same: bool
    lower_is_better: bool = False

    @property
    def first_is_better(self) -> bool:
        """Whether the first system has the better score, however small the difference."""
        return self.difference < 0 if self.lower_is_better else self.difference > 0

    def to_dict(self) -> dict[str, float | bool]:
        """JSON-ready; ``lower_is_better`` is included if it is true."""
        found = asdict(self)
        if not self.lower_is_better:
            del found["lower_is_better"]
        return found


def compare(
    a_NK: DoubleArray,
    b_NK: DoubleArray,
    score: Callable[[DoubleArray], DoubleArray],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Test whether two systems differ by a metric.

    Args:
        a_NK: the statistics of the first system on each image.
        b_NK: those of the second, on the same images in the same order.
        score: from sums of statistics (..., K) to scores (...).
        level: share of the resampled differences inside the interval, in (0, 1).
        resamples: number of resamples and of random swaps. The smallest possible p-value is ``1 /
            (resamples + 1)``.
        seed: the same seed gives the same numbers.

    Raises:
        DataError: the shapes differ.
        UsageError: fewer than 1 image or 1 resample, or ``level`` out of range.
    """
    found = compare_scores(
        a_NK, b_NK, lambda sums: {"": score(sums)}, level=level, resamples=resamples, seed=seed
    )
    return found[""]


def compare_scores(
    a_NK: DoubleArray,
    b_NK: DoubleArray,
    score: Callable[[DoubleArray], Mapping[str, DoubleArray]],
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """As :func:`compare`, for several scores by name that use the same statistics."""
    if a_NK.shape != b_NK.shape:
        raise DataError(
            f"two systems are compared on the same images, and these have statistics of shape"
            f" {a_NK.shape} and {b_NK.shape}"
        )
    a, b = (score(statistics.sum(axis=0)) for statistics in (a_NK, b_NK))
    sums = resample(np.concatenate([a_NK, b_NK], axis=1), resamples, seed)
    columns = a_NK.shape[1]
    drawn_a, drawn_b = score(sums[:, :columns]), score(sums[:, columns:])
    tossed = swapped(a_NK, b_NK, score, resamples, seed)
    same = bool(np.allclose(a_NK, b_NK, rtol=_ROUNDING, atol=_ROUNDING))
    return {
        name: _comparison(
            float(a[name]), float(b[name]), drawn_a[name] - drawn_b[name], tossed[name], level, same
        )
        for name in a
    }


def _comparison(
    a: float, b: float, drawn_S: DoubleArray, tossed_S: DoubleArray, level: float, same: bool
) -> Comparison:
    """The comparison from the differences of resampled and of swapped sets."""
    interval = percentiles(drawn_S, level)
    # tolerance for equality with the measured difference
    bound = abs(a - b) - _ROUNDING * max(abs(a), abs(b))
    return Comparison(
        a=a,
        b=b,
        difference=a - b,
        low=interval.low,
        high=interval.high,
        p_bootstrap=_share(np.abs(drawn_S - drawn_S.mean()) >= bound),
        p_randomisation=_share(np.abs(tossed_S) >= bound),
        same=same,
    )


def swapped(
    a_NK: DoubleArray,
    b_NK: DoubleArray,
    score: Callable[[DoubleArray], Mapping[str, DoubleArray]],
    resamples: int,
    seed: int,
) -> dict[str, DoubleArray]:
    """The differences of scores after random swaps of captions, float64 (S,).

    Raises:
        UsageError: fewer than 1 resample.
    """
    if resamples < 1:
        raise UsageError(f"a test takes 1 resample or more, not {resamples}")
    # a separate random stream: the bootstrap uses the seed itself
    generator = np.random.default_rng([seed, 1])
    middle_K = (a_NK + b_NK).sum(axis=0) / 2
    halves_NK = (a_NK - b_NK) / 2
    step = max(1, _BLOCK // len(a_NK))
    found: dict[str, list[DoubleArray]] = {}
    for first in range(0, resamples, step):
        rows = min(step, resamples - first)
        signs_SN = 2.0 * generator.integers(2, size=(rows, len(a_NK)), dtype=np.int8) - 1
        shift_SK = signs_SN @ halves_NK
        above, below = score(middle_K + shift_SK), score(middle_K - shift_SK)
        for name, scores_S in above.items():
            found.setdefault(name, []).append(scores_S - below[name])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _share(extreme_S: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    """The p-value: the measured value counts as one of the draws, so it is never 0."""
    return float((1 + extreme_S.sum()) / (1 + len(extreme_S)))
