"""Scoring in parts: whatever the parts, the scores are those of one pass, bit for bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negah.errors import DataError
from negah.metrics import METRICS, Accumulator, DocumentFrequencies, Scores, score

#: Without METEOR, which may not be installed.
OWN = [metric for metric in METRICS if metric != "METEOR"]

captions = st.lists(st.sampled_from(["A", "dog", "dogs", "runs.", "It's"]), max_size=6).map(
    " ".join
)
corpora = st.lists(
    st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=8
)


def _same(one: Scores, other: Scores) -> None:
    assert one.values == other.values
    assert one.signatures == other.signatures
    assert one.names == other.names
    assert one.warnings == other.warnings
    assert one.diversity == other.diversity
    for metric in one.values:
        np.testing.assert_array_equal(one.per_image[metric], other.per_image[metric])
    assert one.intervals(resamples=10) == other.intervals(resamples=10)


def _through_json(accumulator: Accumulator) -> Accumulator:
    return Accumulator.from_state_dict(json.loads(json.dumps(accumulator.state_dict())))


@settings(max_examples=25)
@given(corpora, st.integers(0, 8), st.integers(0, 8))
def test_parts_in_order_equal_one_pass(
    corpus: list[tuple[str, list[str]]], first: int, second: int
) -> None:
    hypotheses, references = [one for one, _ in corpus], [row for _, row in corpus]
    parts = [slice(0, min(first, second)), slice(min(first, second), max(first, second))]
    parts.append(slice(max(first, second), None))
    whole = Accumulator(metrics=OWN)
    for part in parts:
        one = Accumulator(metrics=OWN)
        if hypotheses[part]:
            one.add(hypotheses[part], references[part])
        whole.merge(_through_json(one))
    _same(whole.scores(), score(hypotheses, references, metrics=OWN))


@settings(max_examples=25)
@given(corpora, st.randoms(use_true_random=False))
def test_parts_with_names_equal_one_pass_in_any_order(
    corpus: list[tuple[str, list[str]]], random: Any
) -> None:
    names = [f"{index}.jpg" for index in range(len(corpus))]
    hypotheses = dict(zip(names, (one for one, _ in corpus), strict=True))
    references = dict(zip(names, (row for _, row in corpus), strict=True))
    random.shuffle(names)
    parts = [Accumulator(metrics=OWN) for _ in range(3)]
    for name in names:
        random.choice(parts).add({name: hypotheses[name]}, {name: references[name]})
    random.shuffle(parts)
    for other in parts[1:]:
        parts[0].merge(other)
    in_order = {name: references[name] for name in sorted(references)}
    _same(parts[0].scores(), score(hypotheses, in_order, metrics=OWN))


def test_options_are_those_of_score() -> None:
    frequencies = DocumentFrequencies.of([["a dog"], ["a cat"], ["the sea"]])
    options: dict[str, Any] = {
        "metrics": ["BLEU-1", "CIDEr-D"],
        "frequencies": frequencies,
        "tokenised": True,
        "reference_length": "average",
        "training": ["a dog"],
    }
    accumulator = Accumulator(**options)
    accumulator.add(["a dog", "a cat"], [["a dog", "dogs"], ["cats"]])
    again = Accumulator.from_state_dict(
        accumulator.state_dict(), frequencies=frequencies, training=["a dog"]
    )
    expected = score(["a dog", "a cat"], [["a dog", "dogs"], ["cats"]], **options)
    _same(accumulator.scores(), expected)
    _same(again.scores(), expected)
    with pytest.raises(DataError, match="not the state"):
        Accumulator.from_state_dict(accumulator.state_dict())


def test_misuse_is_refused_and_changes_nothing() -> None:
    accumulator = Accumulator(metrics=["BLEU-1"])
    with pytest.raises(DataError, match="no images"):
        accumulator.scores()
    accumulator.add({"a": "x"}, {"a": ["x"]})
    twin = Accumulator(metrics=["BLEU-1"])
    twin.add({"b": "x", "a": "y"}, {"a": ["x"], "b": ["y"]})
    nameless = Accumulator(metrics=["BLEU-1"])
    nameless.add(["x"], [["x"]])
    other = Accumulator(metrics=["BLEU-2"])
    cases: list[tuple[Any, str]] = [
        (lambda: accumulator.add({"a": "x"}, {"a": ["x"]}), "added before, such as a"),
        (lambda: accumulator.add(["x"], [["x"]]), "with names"),
        (lambda: accumulator.add({"b": "x"}, {"c": ["x"]}), "no hypothesis"),
        (lambda: accumulator.add({"b": 1}, {"b": ["x"]}), "a caption is a text"),
        (lambda: accumulator.merge(twin), "added before"),
        (lambda: accumulator.merge(nameless), "with names"),
        (lambda: accumulator.merge(other), "accumulators with different settings"),
        (lambda: nameless.add("x", [["x"]]), "one string"),
    ]
    for action, message in cases:
        with pytest.raises(DataError, match=message):
            action()
    assert len(accumulator) == 1
    assert accumulator.scores().names == ("a",)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"hypotheses": ["x"]},
        {"hypotheses": [[1]]},
        {"hypotheses": []},
        {"references": [[]]},
        {"references": [["x"]]},
        {"references": 3},
        {"names": ["a", "b"]},
        {"names": [1]},
        {"measures": {}},
        {"measures": None},
        {"measures": {"metrics": 3, "tokenised": False, "reference_length": "closest"}},
    ],
)
def test_a_damaged_state_is_refused(change: dict[str, Any]) -> None:
    accumulator = Accumulator(metrics=["BLEU-1"])
    accumulator.add({"a": "x"}, {"a": ["x"]})
    with pytest.raises(DataError, match="not the state of an accumulator"):
        Accumulator.from_state_dict({**accumulator.state_dict(), **change})
