"""Variety of captions by hand-counted cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from negah.errors import DataError
from negah.metrics import DocumentFrequencies, diversity, self_cider


def test_counts() -> None:
    view = diversity(["a dog runs", "a dog sits", "a dog runs", ""])
    assert view.distinct_1 == pytest.approx(4 / 9)
    assert view.distinct_2 == pytest.approx(3 / 9)
    assert view.vocabulary == 4
    assert view.mean_length == pytest.approx(9 / 4)
    assert (view.most_common, view.identical) == ("a dog runs", 2 / 4)
    assert view.unique == 3 / 4
    assert view.repetitive == 0
    assert view.novel is None
    assert view.to_dict()["distinct_1"] == 4 / 9


@pytest.mark.parametrize(
    ("caption", "repetitive"),
    [
        ("a dog and a dog", True),
        ("a a dog", True),
        ("a dog and a cat", False),
        ("dog dog", True),
        ("dog", False),
        ("", False),
        # three times the same word is both, and counts once
        ("a a a", True),
    ],
)
def test_repetition_inside_a_caption(caption: str, repetitive: bool) -> None:
    # the neighbour ends and begins in the same word, which is no repetition
    assert diversity([caption, "z z"]).repetitive == (1 + repetitive) / 2
    assert diversity([caption, "dog"]).repetitive == repetitive / 2


def test_novel_captions() -> None:
    training = {("a", "dog"), ("a", "cat")}
    assert diversity(["a dog", "a cat runs", "a cat"], training).novel == pytest.approx(1 / 3)
    assert diversity(["a dog"], list(training)).novel == 0
    assert diversity(["a dog"], []).novel == 1


def test_nothing_to_look_at_is_refused() -> None:
    for wrong in ([], "a dog"):
        with pytest.raises(DataError, match="list of one or more captions"):
            diversity(wrong)


def test_captions_without_words() -> None:
    view = diversity(["", ""])
    assert (view.distinct_1, view.distinct_2, view.vocabulary) == (0, 0, 0)
    assert (view.identical, view.most_common) == (1, "")


# Words that stand in no reference weigh most; in these tables every word weighs the same.
FREQUENCIES = DocumentFrequencies.of([["z"], ["y"]])


def test_self_cider_goes_from_all_alike_to_nothing_in_common() -> None:
    alike = ["a b c d e"] * 4
    different = ["a b c d", "e f g h", "i j k l", "m n o p"]
    half = [*alike[:2], *different[2:]]
    found = self_cider([alike, different, half], FREQUENCIES).per_caption
    assert found[:2] == pytest.approx([0, 1], abs=1e-6)
    # two alike and two others: eigenvalues 2, 1, 1
    assert found[2] == pytest.approx(-math.log(2**0.5 / (2**0.5 + 2)) / math.log(4))


def test_self_cider_by_its_definition() -> None:
    """The kernel of three captions, from cosines worked out by hand."""
    captions = ["a b", "a c", "a b"]
    # unigrams share one word of two; bigrams agree or do not; there is no longer n-gram
    kernel = np.array([[2.0, 0.5, 2.0], [0.5, 2.0, 0.5], [2.0, 0.5, 2.0]]) / 4
    values = np.sqrt(np.maximum(0, np.linalg.eigvalsh(kernel)))
    expected = -math.log(values[-1] / values.sum()) / math.log(3)
    found = self_cider([captions], FREQUENCIES)
    assert found.corpus == pytest.approx(expected, abs=1e-6)


def test_self_cider_takes_any_number_of_captions() -> None:
    found = self_cider([["a b", "c d"], ["a", "a", "b", "c", "d"]], FREQUENCIES).per_caption
    assert found[0] == pytest.approx(1)
    assert 0 < found[1] < 1
    assert self_cider([["", ""]], FREQUENCIES).corpus == 0


def test_self_cider_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(DataError, match="image 1 has a single caption"):
        self_cider([["a", "b"], ["a"]], FREQUENCIES)
    with pytest.raises(DataError, match="of stems"):
        self_cider([["a", "b"]], DocumentFrequencies.of([["a"]], stems=True))
