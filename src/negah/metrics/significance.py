"""Is one system better than another, or were the images kind to it? Paired tests.

Both tests take the two systems' captions of the same images. The paired bootstrap (P. Koehn,
"Statistical significance tests for machine translation evaluation", EMNLP 2004) draws images
anew; its p-value counts how often the difference strays from its own mean by as much as was
measured (the shifted bootstrap of B. Efron and R. Tibshirani, 1993). Approximate randomisation
(E. Noreen, 1989; S. Riezler, J. Maxwell, ACL workshop 2005) swaps the two captions of each image
by the toss of a coin and asks for no normal law. Only sums of statistics are drawn, so
5,000 images and 1,000 resamples take well under a second.

Axes: N images, K statistics of an image, S resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError, UsageError
from negah.metrics.bootstrap import percentiles, resample

#: Sums of the same numbers in another order may differ by this share of the scores.
_ROUNDING = 1e-12
#: Numbers drawn at a time: 32 MB of them.
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems by one metric, on the same images.

    Attributes:
        a: the score of the first.
        b: the score of the second.
        difference: ``a - b``.
        low: of the difference, lower end of the paired bootstrap interval.
        high: its upper end.
        p_bootstrap: two-sided p-value of the paired bootstrap, in (0, 1].
        p_randomisation: two-sided p-value of approximate randomisation, in (0, 1]; the one to
            report where the two disagree.
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
        """Whether the first system has the better score, by however little."""
        return self.difference < 0 if self.lower_is_better else self.difference > 0

    def to_dict(self) -> dict[str, float | bool]:
        """JSON-ready; ``lower_is_better`` is there where it is true."""
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
        resamples: how often images are drawn, and coins tossed. The smallest p-value that can
            come out is ``1 / (resamples + 1)``.
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
    """The same for several scores by name that follow from the same statistics."""
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
    """What follows from the differences of scores of drawn sets, and of sets with swaps."""
    interval = percentiles(drawn_S, level)
    # what counts as equal to the measured difference
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
    """The differences of scores when captions change sides by the toss of a coin, float64 (S,).

    Raises:
        UsageError: fewer than 1 resample.
    """
    if resamples < 1:
        raise UsageError(f"a test takes 1 resample or more, not {resamples}")
    # a stream of its own: the bootstrap draws from the seed alone
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
    """The p-value: what was measured counts as one of the draws, so it is never 0."""
    return float((1 + extreme_S.sum()) / (1 + len(extreme_S)))
