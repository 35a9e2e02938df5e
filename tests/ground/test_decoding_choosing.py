"""Choosing among the candidates of a beam by what the picture supports, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from decoding_models import TableModel, decode
from negah.decoding import DecodingOptions, Support
from negah.errors import UsageError

BEAM = {"method": "beam", "beam": 6, "max_length": 5, "length_normalisation": 1.0}


def options(**more: object) -> DecodingOptions:
    return DecodingOptions.parse({**BEAM, **more}, where="options")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weight", [0.01, 0.75, 5.0])
def test_the_candidates_are_ranked_as_the_formula_says(seed: int, weight: float) -> None:
    model = TableModel.random(seed)
    words = tuple(model.tokens[index] for index in (4, 6, 8))
    probabilities = np.random.default_rng(seed).uniform(0, 1, (3, 3)).astype(np.float32)
    probabilities[0, 0] = 0.0  # is taken for 1e-4
    support = Support(words, probabilities)
    found = decode(
        model, range(3), options(support=weight, n_best=6), tokens=model.tokens, support=support
    )
    candidates = decode(model, range(3), options(n_best=6), tokens=model.tokens)
    for photo, (ours, those) in enumerate(zip(found, candidates, strict=True)):

        def score(one, photo=photo):
            total = sum(one.logprobs)
            for place, index in enumerate((4, 6, 8)):
                if index in one.tokens:
                    total += weight * np.log(np.clip(probabilities[photo, place], 1e-4, 1 - 1e-4))
            return one.finished, total / len(one.logprobs)

        expected = sorted(those, key=score, reverse=True)
        assert [one.tokens for one in ours] == [one.tokens for one in expected]
        first = decode(
            model, range(3), options(support=weight), tokens=model.tokens, support=support
        )
        assert [one.tokens for one in first[photo]] == [expected[0].tokens]


def test_without_weight_the_support_is_not_asked() -> None:
    model = TableModel.random(0)
    plain = decode(model, range(3), options(), tokens=model.tokens)
    support = Support((model.tokens[5],), np.full((3, 1), 0.5, np.float32))
    asked = decode(model, range(3), options(), tokens=model.tokens, support=support)
    assert [[one.tokens for one in of] for of in asked] == [
        [one.tokens for one in of] for of in plain
    ]


@pytest.mark.parametrize(
    ("support", "message"),
    [(None, "this one does not"), (Support(("zebra",), np.ones((3, 1), np.float32)), "zebra")],
)
def test_a_choice_without_support_is_refused(support: Support | None, message: str) -> None:
    model = TableModel.random(0)
    with pytest.raises(UsageError, match=message):
        decode(model, range(3), options(support=1.0), tokens=model.tokens, support=support)


@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_only_a_beam_has_candidates(method: str) -> None:
    with pytest.raises(UsageError, match="use method 'beam' or support 0"):
        DecodingOptions.parse({"method": method, "support": 0.5}, where="options")
