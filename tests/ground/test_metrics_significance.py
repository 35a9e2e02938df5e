"""Intervals and paired tests: exact where draws can be listed, uniform where nothing differs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from negah.arrays import DoubleArray
from negah.errors import DataError, UsageError
from negah.metrics import bleu, compare
from negah.metrics.bleu import bleu_of
from negah.metrics.bootstrap import percentiles, resample
from negah.metrics.significance import swapped


class Mean(NamedTuple):
    """A system scored by the mean over images."""

    statistics_NK: DoubleArray
    score: Callable[[DoubleArray], DoubleArray]


def _means(*systems: list[float] | DoubleArray) -> tuple[Mean, ...]:
    return tuple(
        Mean(
            np.stack([scores, np.ones(len(scores))], axis=1),
            lambda sums: sums[..., 0] / sums[..., 1],
        )
        for scores in (np.asarray(values, dtype=float) for values in systems)
    )


def test_resamples_are_draws_with_replacement() -> None:
    counts = resample(np.eye(5), 2000, seed=0)
    assert counts.sum(axis=1).tolist() == [5.0] * 2000
    assert counts.mean(axis=0) == pytest.approx([1] * 5, abs=0.1)
    # of 5 draws from 5, the number of one image is binomial
    assert (counts == 0).mean() == pytest.approx((4 / 5) ** 5, abs=0.02)
    np.testing.assert_array_equal(counts, resample(np.eye(5), 2000, seed=0))


def test_drawing_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = np.random.default_rng(0).normal(size=(7, 2))
    whole = resample(statistics, 20, seed=1)
    monkeypatch.setattr("negah.metrics.bootstrap.BLOCK", 21)
    np.testing.assert_allclose(resample(statistics, 20, seed=1), whole, rtol=1e-12)


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    """For 2,000 values the bootstrap of a mean agrees with 1.96 standard errors."""
    values = np.random.default_rng(0).normal(50, 10, size=(2000, 1))
    found = percentiles(resample(values, 1000, seed=0)[:, 0] / 2000, 0.95)
    error = 1.96 * values.std() / 2000**0.5
    assert found.low == pytest.approx(values.mean() - error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + error, abs=0.1 * error)


def test_randomisation_agrees_with_all_swaps_of_few_images() -> None:
    """BLEU-2 of 8 images: the p-value of the 256 possible swaps, listed one by one."""
    references = [[f"a b c d {i}", f"b c d {i} e"] for i in range(8)]
    good = [f"a b c {i}" for i in range(8)]
    bad = [f"a b c {i}" if i % 4 == 0 else f"c b {i} x" for i in range(8)]
    a, b = (bleu(captions, references, max_order=2).statistics for captions in (good, bad))

    def second(sums: DoubleArray) -> DoubleArray:
        return bleu_of(sums)[..., 1]

    found = compare(a, b, second, resamples=20_000, seed=0)
    extreme = 0
    for swap in itertools.product([False, True], repeat=8):
        chosen = np.array(swap)[:, None]
        sums = [np.where(chosen, *pair).sum(axis=0) for pair in ((a, b), (b, a))]
        difference = second(sums[0]) - second(sums[1])
        extreme += abs(difference) >= found.difference - 1e-12
    assert found.a == pytest.approx(float(second(a.sum(axis=0))))
    assert found.difference == found.a - found.b > 0
    assert found.p_randomisation == pytest.approx(extreme / 256, abs=0.01)


def test_a_resample_scores_what_was_drawn() -> None:
    """The interval of the difference, from sets of images put together one by one."""
    generator = np.random.default_rng(3)
    references = [[f"a b c d {i}"] for i in range(6)]
    systems = [
        [" ".join(generator.choice(list("abcdx"), size=5)) for _ in range(6)] for _ in range(2)
    ]
    a, b = (bleu(captions, references, max_order=1).statistics for captions in systems)
    differences = []
    for counts in resample(np.eye(6), 50, seed=9).astype(int):
        chosen = np.repeat(np.arange(6), counts)
        one, other = (
            bleu([captions[i] for i in chosen], [references[i] for i in chosen], 1).corpus[0]
            for captions in systems
        )
        differences.append(one - other)
    found = compare(a, b, lambda sums: bleu_of(sums)[..., 0], resamples=50, seed=9, level=0.8)
    assert (found.low, found.high) == pytest.approx(np.quantile(differences, [0.1, 0.9]))


def test_p_values_are_uniform_where_two_systems_are_alike() -> None:
    """Of 300 pairs of systems of equal quality, 5% are called different at 5%, and so on."""
    generator = np.random.default_rng(0)
    bootstrap, randomisation = [], []
    for seed in range(300):
        quality = generator.normal(50, 10, size=60)
        a, b = _means(*(quality + generator.normal(0, 5, size=60) for _ in range(2)))
        found = compare(a.statistics_NK, b.statistics_NK, a.score, resamples=200, seed=seed)
        bootstrap.append(found.p_bootstrap)
        randomisation.append(found.p_randomisation)
    for values in (bootstrap, randomisation):
        # the greatest distance from the uniform law; 1.63 / sqrt(300) is passed once in a hundred
        ordered = np.sort(values)
        steps = np.arange(301) / 300
        distance = max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1]))
        assert distance < 1.63 / 300**0.5
        assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_intervals_of_differences_hold_the_truth() -> None:
    """A true difference of 1: 95% of the intervals hold it."""
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        quality = generator.normal(50, 10, size=80)
        a, b = _means(quality + generator.normal(1, 3, 80), quality + generator.normal(0, 3, 80))
        found = compare(a.statistics_NK, b.statistics_NK, a.score, resamples=200, seed=seed)
        hits += found.low <= 1 <= found.high
    assert hits / 200 == pytest.approx(0.95, abs=0.035)


def test_a_real_difference_is_found_and_pairing_helps() -> None:
    generator = np.random.default_rng(2)
    quality = generator.normal(50, 20, size=500)
    a, b = _means(quality + 1 + generator.normal(0, 2, 500), quality)
    found = compare(a.statistics_NK, b.statistics_NK, a.score)
    assert found.low < 1 < found.high
    assert found.high - found.low < 0.6
    # nothing drawn was as extreme: the smallest value that 1,000 draws can give
    assert found.p_randomisation == pytest.approx(1 / 1001)
    assert found.p_bootstrap == pytest.approx(1 / 1001)
    back = compare(b.statistics_NK, a.statistics_NK, a.score)
    assert back.difference == -found.difference
    assert back.p_randomisation == found.p_randomisation


def test_a_system_beside_itself() -> None:
    (a,) = _means([0.1, 0.7, 0.2])
    found = compare(a.statistics_NK, a.statistics_NK, a.score)
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert (found.p_bootstrap, found.p_randomisation) == (1, 1)
    assert found.same
    # the same score of the set, and other ones on the images
    (b,) = _means([0.7, 0.1, 0.2])
    turned = compare(a.statistics_NK, b.statistics_NK, a.score)
    assert turned.difference == pytest.approx(0)
    assert not turned.same
    assert set(found.to_dict()) >= {"a", "b", "p_randomisation"}


def test_swaps_keep_the_sum_of_both() -> None:
    a, b = _means([1, 2, 3], [4, 5, 9])
    (differences,) = swapped(
        a.statistics_NK, b.statistics_NK, lambda sums: {"mean": a.score(sums)}, 100, seed=0
    ).values()
    # three coins: the differences are (+-3 +-3 +-6) / 3
    assert {round(value) for value in differences} == {-4, -2, 0, 2, 4}


def test_misuse_is_refused() -> None:
    a, b = _means([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match="same images"):
        compare(a.statistics_NK, b.statistics_NK, a.score)
    with pytest.raises(UsageError, match="resample"):
        compare(a.statistics_NK, a.statistics_NK, a.score, resamples=0)
    with pytest.raises(UsageError, match="resample"):
        swapped(a.statistics_NK, a.statistics_NK, lambda sums: {"": a.score(sums)}, 0, seed=0)
    with pytest.raises(UsageError, match="level"):
        compare(a.statistics_NK, a.statistics_NK, a.score, level=95)
