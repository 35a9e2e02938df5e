"""Operations of softmax and sigmoid, counted by executing them; NumPy is the oracle of values.

Axes: N classes.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.errors import UsageError
from negah.studies.output_layer.counting import (
    Counted,
    OperationCounts,
    count_operations,
    sigmoid,
    softmax,
)

scores = st.floats(-50, 50, allow_nan=False)


def test_the_worked_example() -> None:
    """20 classes: 20/19/20 for softmax, 1/1/1 for one sigmoid."""
    counts = count_operations(20)
    assert counts["softmax"].text() == "20 / 19 / 20"
    assert counts["sigmoid"].text() == "1 / 1 / 1"
    assert counts["sigmoids"].text() == "20 / 20 / 20"


@given(st.integers(1, 300))
def test_counts_of_any_number_of_classes(classes: int) -> None:
    counts = count_operations(classes)
    assert counts["softmax"] == OperationCounts(classes, classes - 1, classes)
    assert counts["sigmoid"] == OperationCounts(1, 1, 1, negations=1)
    assert counts["sigmoids"] == OperationCounts(classes, classes, classes, negations=classes)


@given(st.lists(scores, min_size=1, max_size=60))
def test_values_and_counts_of_any_scores(given_N: list[float]) -> None:
    tally = OperationCounts()
    counted = softmax([Counted(score, tally) for score in given_N])
    exponentials_N = np.exp(np.array(given_N))
    np.testing.assert_allclose(
        [number.value for number in counted], exponentials_N / exponentials_N.sum(), rtol=1e-13
    )
    assert tally == OperationCounts(len(given_N), len(given_N) - 1, len(given_N))


@given(scores)
def test_a_sigmoid_is_a_softmax_of_two_classes_one_of_them_at_zero(score: float) -> None:
    tally = OperationCounts()
    value = sigmoid(Counted(score, tally)).value
    assert value == pytest.approx(1 / (1 + np.exp(-score)), rel=1e-14)
    two = softmax([Counted(score, tally), Counted(0.0, tally)])
    assert value == pytest.approx(two[0].value, rel=1e-13)


def test_plain_numbers_may_stand_on_either_side() -> None:
    tally = OperationCounts()
    number = Counted(4.0, tally)
    results = [1 + number, number + 1, 2 / number, number / 2, -number]
    assert [result.value for result in results] == [5, 5, 0.5, 2, -4]
    assert tally == OperationCounts(additions=2, divisions=2, negations=1)


def test_no_classes() -> None:
    with pytest.raises(UsageError, match="1 class or more, not 0"):
        count_operations(0)
