"""Options of decoding: defaults, contradictions, and words that the vocabulary does not know."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from decoding_models import TableModel, Words, decode
from negah.decoding import Constraints, DecodingOptions
from negah.decoding.constraints import share_beam
from negah.errors import UsageError
from negah.text import EOS, PAD, SOS, UNK

TOKENS = ("<PAD>", "<SOS>", "<EOS>", "<UNK>", "a", "cat", "dog", "runs")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_best": 4}, "n_best 4 is more than beam 3: raise beam or lower n_best"),
        ({"method": "greedy", "n_best": 2}, "use method 'beam' or n_best 1"),
        ({"top_p": 0.9}, "top_p 0.9 has no effect on method 'beam': use method 'sample' or leave"),
        ({"method": "greedy", "top_k": 5}, "top_k 5 has no effect on method 'greedy'"),
        ({"temperature": 0.5}, "temperature 0.5 has no effect on method 'beam'"),
        ({"min_length": 9, "max_length": 8}, "min_length 9 is more than max_length 8"),
        ({"required": ("a", "b"), "max_length": 1}, "2 required words do not fit into max_length"),
        ({"required": ("a",), "method": "sample"}, "use method 'beam'"),
        ({"required": ("a",), "method": "greedy"}, "use method 'beam'"),
        ({"required": ("a", "b", "c")}, "3 required words need a beam of at least 4, not 3"),
        ({"required": ("a",), "banned": ("a",)}, "'a' cannot be both required and banned"),
        ({"beam": 0}, "greater than or equal to 1"),
        ({"temperature": 0.0, "method": "sample"}, "greater than or equal to 0.01"),
        ({"top_p": 1.1, "method": "sample"}, "less than or equal to 1"),
        ({"method": "bem"}, "'greedy', 'beam' or 'sample'"),
        ({"bem": 3}, "Did you mean 'beam'"),
    ],
)
def test_contradictions_are_refused_with_what_to_change(values, message):
    with pytest.raises(UsageError, match="decoding: ") as caught:
        DecodingOptions.parse(values, where="decoding")
    assert message in str(caught.value)


def test_every_contradiction_is_named_at_once():
    with pytest.raises(ValidationError, match=r"(?s)n_best 4.*top_p 0\.5"):
        DecodingOptions(n_best=4, top_p=0.5)


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_saved_options_come_back(method):
    options = DecodingOptions(method=method, banned=("cat",), seed=3)
    assert DecodingOptions.parse(options.model_dump(mode="json"), where="bundle") == options


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ({"method": "greedy"}, 1),
        ({"method": "greedy", "beam": 5}, 1),
        ({"beam": 5}, 5),
        ({"method": "sample", "n_best": 7}, 7),
    ],
)
def test_width(values, width):
    """Hypotheses that are alive for each photo at a time."""
    options = DecodingOptions(max_length=3, **values)
    model = TableModel.random(0, vocabulary=12)
    decode(model, [0], options)
    assert {rows for _, rows in model.steps[1:]} == {width}


def test_words_become_ids():
    options = DecodingOptions(banned=("runs", "a"), required=("dog", "dog"), no_repeat_ngram=2)
    constraints = Constraints.from_options(options, Words(TOKENS))
    assert constraints.banned == (PAD, SOS, UNK, 4, 7)
    assert constraints.required == (6,)
    assert constraints.no_repeat_ngram == 2
    assert constraints.min_length == 1


def test_banks_take_turns_in_the_beam():
    totals = np.array([[-1.0, -2.0, -3.0, -4.0, -4.0, -9.0, -np.inf]])
    tokens = np.array([[4, 5, 6, 8, 7, 9, 4]])
    banks = np.array([[0, 0, 0, 1, 1, 2, 2]])
    order = share_beam(totals, tokens, np.zeros_like(tokens), banks)
    # Bank 2, 1, 0; then the second of each: bank 2 has only what is impossible.
    assert order.tolist() == [[5, 4, 0, 3, 1, 2, 6]]


def test_one_bank_is_a_plain_ranking():
    totals = np.array([[-1.0, -0.5, -1.0, -1.0]])
    tokens, parents = np.array([[7, 9, 5, 5]]), np.array([[0, 0, 2, 1]])
    assert share_beam(totals, tokens, parents, np.zeros_like(tokens)).tolist() == [[1, 3, 2, 0]]


def test_without_words_no_vocabulary_is_needed():
    assert Constraints.from_options(DecodingOptions(), Words()).banned == (PAD, SOS, UNK)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"banned": ("dogs",)}, ["banned word 'dogs'", "nearest is 'dog'", "4 words"]),
        ({"required": ("Cat",)}, ["required word 'Cat'", "nearest is 'cat'"]),
        ({"banned": ("<EOS>",)}, ["banned word '<EOS>'"]),
        ({"required": ("<UNK>",)}, ["required word '<UNK>'"]),
        ({"required": ("a dog",)}, ["required word 'a dog'", "single words"]),
    ],
)
def test_unknown_words_are_refused_with_the_nearest(values, parts):
    with pytest.raises(UsageError) as caught:
        Constraints.from_options(DecodingOptions(**values), Words(TOKENS))
    assert all(part in str(caught.value) for part in parts)


def test_words_without_a_vocabulary_are_refused():
    with pytest.raises(UsageError, match="0 words of this model's vocabulary"):
        Constraints.from_options(DecodingOptions(banned=("a",)), Words())


def test_the_end_token_is_never_banned():
    assert EOS not in Constraints.from_options(DecodingOptions(banned=("a",)), Words(TOKENS)).banned
