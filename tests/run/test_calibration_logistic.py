"""The logistic regression against its optimum, and areas under curves against counting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from negah.calibration.logistic import (
    auc,
    bootstrap_interval,
    calibration_error,
    cross_validated,
    fit_logistic,
    folds_of,
    sigmoid,
)

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_the_fit_is_the_optimum(penalty: float) -> None:
    """Where the loss is strictly convex, only the optimum has no slope."""
    columns_ND = RANDOM.normal(size=(300, 5)) * [1, 10, 0.1, 1, 1]
    truth_N = (columns_ND[:, 0] + RANDOM.normal(size=300) > 0.5).astype(np.float64)
    weights_D, intercept = fit_logistic(columns_ND, truth_N, penalty)
    chance_N = 1 / (1 + np.exp(-(columns_ND @ weights_D + intercept)))
    np.testing.assert_allclose(columns_ND.T @ (truth_N - chance_N), penalty * weights_D, atol=1e-5)
    assert chance_N.mean() == pytest.approx(truth_N.mean(), abs=1e-5)


def test_without_columns_that_tell_anything_it_is_the_share() -> None:
    truth_N = np.array([1.0] * 3 + [0.0] * 9)
    weights_D, intercept = fit_logistic(np.zeros((12, 2)), truth_N, 1.0)
    assert weights_D.tolist() == [0, 0]
    assert intercept == pytest.approx(math.log(3 / 9), abs=1e-5)


def test_what_can_be_told_apart_keeps_finite_weights() -> None:
    columns_ND = np.array([[-1.0], [-2.0], [1.0], [2.0]])
    weights_D, intercept = fit_logistic(columns_ND, np.array([0.0, 0, 1, 1]), 1e-3)
    assert 1 < weights_D[0] < 100
    assert abs(intercept) < 1e-6


def test_auc_counts_pairs() -> None:
    truth_N = (RANDOM.random(60) < 0.4).astype(np.float64)
    scores_N = RANDOM.integers(0, 8, 60).astype(np.float64)  # with ties
    pairs = scores_N[truth_N > 0][:, None] - scores_N[truth_N == 0]
    assert auc(truth_N, scores_N) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert math.isnan(auc(np.ones(3), scores_N[:3]))


def test_calibration_error() -> None:
    chance_N = np.repeat([0.2, 0.8], 50)
    truth_N = np.concatenate([np.arange(50) < 10, np.arange(50) < 40]).astype(np.float64)
    assert calibration_error(truth_N, chance_N, bins=2) == pytest.approx(0)
    assert calibration_error(truth_N, np.full(100, 0.9)) == pytest.approx(0.4)


def test_cross_validation_keeps_groups_together_and_fits_to_the_others() -> None:
    groups_N = np.repeat(np.arange(30), 4)
    folds_N = folds_of(groups_N)
    assert all(len(set(folds_N[groups_N == one].tolist())) == 1 for one in range(30))
    assert np.bincount(folds_N).tolist() == [12] * 10
    # a column that tells the group itself helps nobody whose group is held out
    columns_ND = (groups_N[:, None] == np.arange(30)).astype(np.float64)
    truth_N = (groups_N % 2).astype(np.float64)
    chance_N, _ = cross_validated(columns_ND, truth_N, folds_N, [0.1, 10.0])
    assert auc(truth_N, chance_N) < 0.7
    telling_ND = truth_N[:, None] + RANDOM.normal(size=(120, 1))
    chance_N, penalty = cross_validated(telling_ND, truth_N, folds_N, [0.1, 1e6])
    assert penalty == 0.1
    held_N = folds_N == 3
    weights_D, intercept = fit_logistic(telling_ND[~held_N], truth_N[~held_N], penalty)
    np.testing.assert_allclose(
        chance_N[held_N], sigmoid(telling_ND[held_N] @ weights_D + intercept)
    )


def test_the_interval_is_of_groups() -> None:
    groups_N = np.repeat(np.arange(50), 20)
    values_N = np.repeat(RANDOM.normal(size=50), 20)
    low, high = bootstrap_interval(lambda some: float(values_N[some].mean()), groups_N)
    # of 50 values, not of 1,000
    error = values_N.std() / math.sqrt(50)
    assert low == pytest.approx(values_N.mean() - 1.96 * error, abs=error / 2)
    assert high == pytest.approx(values_N.mean() + 1.96 * error, abs=error / 2)
