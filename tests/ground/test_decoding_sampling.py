"""Sampling: frequencies, support, seeds, and the constraints that hold for every draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoding_models import NEVER, CandidateModel, TableModel, decode, repeats
from negah.decoding import DecodingOptions, sequence_score
from negah.text import EOS

PHOTOS, EACH = 20, 250


def first_words(model, **values):
    """The first words of 5,000 captions of photo 0, and what the model gives for them."""
    options = DecodingOptions(method="sample", n_best=EACH, max_length=1, **values)
    found = decode(model, [0] * PHOTOS, options)
    logprobs = model.next_logprobs(0, ()).astype(np.float64)
    logprobs[[*NEVER, EOS]] = -np.inf
    return np.array([h.tokens[0] for captions in found for h in captions]), logprobs


def chi_square(drawn, odds):
    expected = odds / odds.sum() * len(drawn)
    counts = np.bincount(drawn, minlength=len(odds))
    assert not counts[expected == 0].any()
    possible = expected > 0
    return (((counts - expected)[possible]) ** 2 / expected[possible]).sum(), possible.sum() - 1


#: 99.9th percentiles of the chi-square distribution by degrees of freedom
#: (NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.4).
CRITICAL = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 5: 20.515, 6: 22.458, 7: 24.322}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_those_of_the_softmax(temperature):
    model = TableModel.random(3, photos=1, vocabulary=12, spread=1.0)
    drawn, logprobs = first_words(model, temperature=temperature)
    statistic, freedom = chi_square(drawn, np.exp(logprobs / temperature))
    assert freedom == 7
    assert statistic < CRITICAL[7]


@pytest.mark.parametrize("candidates", [False, True])
@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ({"top_k": 1}, 1),
        ({"top_k": 3}, 3),
        ({"top_k": 99}, 5),
        ({"top_p": 0.4}, 1),
        ({"top_p": 0.5}, 2),
        ({"top_p": 0.75}, 3),
        ({"top_p": 1.0}, 5),
        ({"top_k": 2, "top_p": 0.6}, 1),
        ({"top_k": 2, "top_p": 0.9}, 2),
        ({"top_p": 0.75, "temperature": 0.25}, 1),
    ],
)
def test_top_k_and_top_p_keep_the_likeliest(values, kept, candidates):
    odds = np.array([0, 0, 0, 0, 0.06, 0.45, 0.05, 0.25, 0.19])
    with np.errstate(divide="ignore"):
        table = np.log(np.broadcast_to(odds, (1, 9, 9, 9))).astype(np.float32)
    model = TableModel(table)
    options = DecodingOptions(method="sample", n_best=EACH, max_length=1, **values)
    run = CandidateModel(model, 9) if candidates else model
    found = decode(run, [0] * PHOTOS, options)
    drawn = np.array([h.tokens[0] for captions in found for h in captions])
    likeliest = [5, 7, 8, 4, 6][:kept]
    assert set(drawn) == set(likeliest)
    shaped = np.zeros(9)
    shaped[likeliest] = odds[likeliest] ** (1 / values.get("temperature", 1.0))
    statistic, freedom = chi_square(drawn, shaped)
    assert freedom == kept - 1
    assert statistic < CRITICAL.get(freedom, 1e-9)


def test_among_equals_top_k_keeps_the_lower_ids():
    model = TableModel(np.full((1, 9, 9, 9), -np.log(9), np.float32))
    assert set(first_words(model, top_k=2)[0]) == {4, 5}
    assert set(first_words(model, top_p=0.5)[0]) == {4, 5, 6}


@given(
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.1, 1.0, 3.0]),
    top_k=st.sampled_from([None, 1, 4]),
    top_p=st.sampled_from([None, 0.3, 0.9]),
    ngram=st.integers(0, 2),
    min_length=st.integers(0, 4),
)
@settings(max_examples=80, deadline=None)
def test_every_draw_obeys_the_options(seed, temperature, top_k, top_p, ngram, min_length):
    model = TableModel.random(seed, photos=3, vocabulary=12)
    options = DecodingOptions(
        method="sample",
        n_best=4,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        no_repeat_ngram=ngram,
        min_length=min_length,
        max_length=6,
        banned=("w7",),
    )
    for photo, captions in enumerate(decode(model, range(3), options, tokens=model.tokens)):
        assert len(captions) == 4
        ranks = [(not h.finished, -h.score) for h in captions]
        assert ranks == sorted(ranks)
        for caption in captions:
            words = caption.tokens
            assert not {*NEVER, EOS, model.tokens.index("w7")} & set(words)
            assert min_length <= len(words) <= 6
            assert caption.finished or len(words) == 6
            assert not repeats(words, ngram)
            expected = model.logprobs_of(photo, words, finished=caption.finished)
            assert list(caption.logprobs) == expected
            assert caption.score == sequence_score(caption.logprobs, 0.7)
            for name, values in model.evidence_of(photo, words).items():
                np.testing.assert_array_equal(caption.evidence[name], values)


def words_of(found):
    return [[h.tokens for h in captions] for captions in found]


def test_a_seed_repeats_and_another_does_not():
    model = TableModel.random(0, photos=5, vocabulary=30, spread=1.0)
    options = DecodingOptions(method="sample", seed=1)
    again = decode(model, range(5), options)
    assert words_of(decode(model, range(5), options)) == words_of(again)
    other = options.model_copy(update={"seed": 2})
    assert words_of(decode(model, range(5), other)) != words_of(again)


def test_a_batch_equals_one_at_a_time():
    model = TableModel.random(0, photos=5, vocabulary=30, spread=1.0)
    options = DecodingOptions(method="sample", n_best=3, top_p=0.95)
    batch = decode(model, range(5), options, photo_ids=[10, 11, 12, 13, 14])
    alone = [decode(model, [i], options, photo_ids=[10 + i])[0] for i in range(5)]
    assert words_of(batch) == words_of(alone)


def test_more_captions_keep_those_drawn_before():
    model = TableModel.random(0, photos=2, vocabulary=30, spread=1.0)
    few = decode(model, [0, 1], DecodingOptions(method="sample", n_best=2))
    many = decode(model, [0, 1], DecodingOptions(method="sample", n_best=6))
    for some, more in zip(words_of(few), words_of(many), strict=True):
        assert set(some) < set(more)


def test_equal_photos_get_draws_of_their_own():
    model = TableModel.random(0, photos=1, vocabulary=30, spread=1.0)
    found = words_of(decode(model, [0] * 10, DecodingOptions(method="sample")))
    assert len({captions[0] for captions in found}) > 5


def test_a_low_temperature_is_greedy():
    model = TableModel.random(0, photos=5, vocabulary=20)
    cold = DecodingOptions(method="sample", temperature=0.01)
    greedy = DecodingOptions(method="greedy")
    assert words_of(decode(model, range(5), cold)) == words_of(decode(model, range(5), greedy))
