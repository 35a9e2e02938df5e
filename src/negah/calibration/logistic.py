"""Logistic regression with an L2 penalty, and metrics of probabilities.

Axes: N observations, D columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from negah.arrays import DoubleArray, IntArray

_STEPS = 30
_FOLDS = 10


def fit_logistic(
    columns_ND: DoubleArray, truth_N: DoubleArray, penalty: float
) -> tuple[DoubleArray, float]:
    """The weights of maximum likelihood, with a penalty of ``penalty`` / 2 x their squared norm.

    Args:
        columns_ND: what is known of each observation.
        truth_N: 0 or 1.
        penalty: of the weights, above 0; the intercept has none.

    Returns:
        The D weights, and the intercept.
    """
    full_NE = np.concatenate([columns_ND, np.ones((len(columns_ND), 1))], axis=1)
    ridge_E = np.full(full_NE.shape[1], penalty)
    ridge_E[-1] = 1e-6  # where all observations are alike, it would grow without end
    weights_E = np.zeros(full_NE.shape[1])
    loss = np.inf
    for _ in range(_STEPS):
        chance_N = sigmoid(full_NE @ weights_E)
        slope_E = full_NE.T @ (truth_N - chance_N) - ridge_E * weights_E
        bend_EE = (full_NE * (chance_N * (1 - chance_N))[:, None]).T @ full_NE
        step_E = np.linalg.solve(bend_EE + np.diag(ridge_E), slope_E)
        while True:  # Newton's whole step may overshoot
            new = _loss(full_NE, truth_N, ridge_E, weights_E + step_E)
            if new <= loss or np.abs(step_E).max() < 1e-9:
                break
            step_E = step_E / 2
        weights_E, loss = weights_E + step_E, new
        if np.abs(step_E).max() < 1e-7:
            break
    return weights_E[:-1], float(weights_E[-1])


def _loss(
    full_NE: DoubleArray, truth_N: DoubleArray, ridge_E: DoubleArray, weights_E: DoubleArray
) -> float:
    total_N = full_NE @ weights_E
    likelihood = (truth_N * total_N - np.logaddexp(0, total_N)).sum()
    return float(0.5 * (ridge_E * weights_E**2).sum() - likelihood)


def sigmoid(values_N: DoubleArray) -> DoubleArray:
    """1 / (1 + exp(-x)), without overflow."""
    chance_N: DoubleArray = 1 / (1 + np.exp(-np.clip(values_N, -30, 30)))
    return chance_N


def folds_of(groups_N: IntArray, seed: int = 0) -> IntArray:
    """The fold of each observation; those of one group stay together."""
    different, place_N = np.unique(groups_N, return_inverse=True)
    folds = np.arange(len(different)) % min(_FOLDS, len(different))
    folds_N: IntArray = np.random.default_rng(seed).permutation(folds)[place_N]
    return folds_N


def cross_validated(
    columns_ND: DoubleArray, truth_N: DoubleArray, folds_N: IntArray, penalties: Sequence[float]
) -> tuple[DoubleArray, float]:
    """The probability of each observation by a fit to the other folds, and the best penalty.

    Args:
        columns_ND: as in :func:`fit_logistic`.
        truth_N: likewise.
        folds_N: of each observation.
        penalties: that are tried; the one with the highest likelihood is taken.
    """
    best = -np.inf, np.zeros(len(truth_N)), penalties[0]
    for penalty in penalties:
        chance_N = np.zeros(len(truth_N))
        for fold in np.unique(folds_N):
            held_N = folds_N == fold
            weights_D, intercept = fit_logistic(columns_ND[~held_N], truth_N[~held_N], penalty)
            chance_N[held_N] = sigmoid(columns_ND[held_N] @ weights_D + intercept)
        likelihood = np.log(np.where(truth_N > 0, chance_N, 1 - chance_N)).sum()
        if likelihood > best[0]:
            best = likelihood, chance_N, penalty
    return best[1], best[2]


def auc(truth_N: DoubleArray, scores_N: DoubleArray) -> float:
    """The area under the ROC curve: how often a true one scores above a false one; ties half.

    NaN where all are true, or all are false.
    """
    _, place_N, count = np.unique(scores_N, return_inverse=True, return_counts=True)
    ranks_N = (np.cumsum(count) - (count - 1) / 2)[place_N]
    true = truth_N.sum()
    false = len(truth_N) - true
    if not true or not false:
        return float("nan")
    return float((ranks_N[truth_N > 0].sum() - true * (true + 1) / 2) / (true * false))


class Bin(NamedTuple):
    """Observations of about one probability.

    Attributes:
        said: the mean of their probabilities.
        true: the share of them that is true.
        n: how many.
    """

    said: float
    true: float
    n: int


def calibration_bins(truth_N: DoubleArray, chance_N: DoubleArray, bins: int = 10) -> list[Bin]:
    """The calibration curve: observations in the order of their probability, in equal numbers.

    Args:
        truth_N: 0 or 1.
        chance_N: the probability of each.
        bins: maximum number; fewer if there are fewer observations.
    """
    # of equal probabilities no part may get the true ones and another the false
    _, place_N, count = np.unique(chance_N, return_inverse=True, return_counts=True)
    truth_N = (np.bincount(place_N, truth_N) / count)[place_N]
    order_N = np.argsort(chance_N, kind="stable")
    return [
        Bin(float(chance_N[part].mean()), float(truth_N[part].mean()), len(part))
        for part in np.array_split(order_N, bins)
        if len(part)
    ]


def calibration_error(truth_N: DoubleArray, chance_N: DoubleArray, bins: int = 10) -> float:
    """The expected calibration error: |mean probability - share that is true|, over equal bins.

    M. P. Naeini, G. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI 2015; bins of equal numbers (:func:`calibration_bins`), so that none is empty.
    """
    found = calibration_bins(truth_N, chance_N, bins)
    gaps = [one.n * abs(one.true - one.said) for one in found]
    return float(sum(gaps) / len(truth_N)) if gaps else float("nan")


def bootstrap_interval(
    statistic: Callable[[IntArray], float], groups_N: IntArray, *, samples: int = 300, seed: int = 0
) -> tuple[float, float]:
    """The 95% interval of a statistic, from resampled groups (bootstrap, percentiles).

    Args:
        statistic: of the observations with these places; NaN is left out.
        groups_N: the group of each observation, such as its photo.
        samples: how many are drawn.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    order_N = np.argsort(groups_N, kind="stable")
    different, first = np.unique(groups_N[order_N], return_index=True)
    members = np.split(order_N, first[1:])
    values = [
        statistic(np.concatenate([members[one] for one in drawn]))
        for drawn in random.integers(0, len(different), (samples, len(different)))
    ]
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
