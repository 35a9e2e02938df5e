"""Greedy and beam search against exhaustive and plain oracles, on models with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import negah.decoding
from decoding_models import (
    NEVER,
    CandidateModel,
    RenumberedModel,
    SpelledModel,
    TableModel,
    Words,
    decode,
    every_caption,
    plain_beam_search,
    repeats,
    says_twice,
    score,
)
from negah.decoding import DecodingOptions, Step, sequence_score
from negah.errors import NegahError, UsageError
from negah.text import EOS


def check_against_the_model(model, photo, hypothesis, options):
    """Log-probabilities, score and evidence are those of reading the caption word by word."""
    words = hypothesis.tokens
    expected = model.logprobs_of(photo, words, finished=hypothesis.finished)
    assert list(hypothesis.logprobs) == expected
    assert hypothesis.score == score(expected, options.length_normalisation)
    assert hypothesis.score == sequence_score(hypothesis.logprobs, options.length_normalisation)
    evidence = model.evidence_of(photo, words)
    assert hypothesis.evidence.keys() == evidence.keys()
    for name, values in evidence.items():
        assert hypothesis.evidence[name].dtype == np.float32
        np.testing.assert_array_equal(hypothesis.evidence[name], values)


@st.composite
def searches(draw):
    beam = draw(st.integers(1, 7))
    return DecodingOptions(
        method="beam",
        beam=beam,
        n_best=draw(st.integers(1, beam)),
        length_normalisation=draw(st.sampled_from([0.0, 0.5, 0.7, 1.0, 1.5])),
        patience=draw(st.sampled_from([1.0, 1.5, 100.0])),
        min_length=draw(st.integers(0, 3)),
        max_length=draw(st.integers(3, 8)),
        no_repeat_ngram=draw(st.integers(0, 3)),
        banned=draw(st.sampled_from([(), ("w4",), ("w5", "w8")])),
    )


@given(options=searches(), seed=st.integers(0, 10**6), levels=st.sampled_from([None, 1, 2]))
@settings(max_examples=150, deadline=None)
def test_search_equals_a_plain_one_and_the_model(options, seed, levels):
    model = TableModel.random(seed, photos=3, vocabulary=10, levels=levels)
    found = decode(model, [0, 1, 2], options, tokens=model.tokens)
    for photo, hypotheses in enumerate(found):
        expected = plain_beam_search(model, photo, options)
        assert [(h.score, h.tokens, h.finished) for h in hypotheses] == expected
        for hypothesis in hypotheses:
            check_against_the_model(model, photo, hypothesis, options)
            assert not set(NEVER) & set(hypothesis.tokens)
            assert EOS not in hypothesis.tokens
            assert options.min_length <= len(hypothesis.tokens) <= options.max_length
            assert hypothesis.finished or len(hypothesis.tokens) == options.max_length
            assert not repeats(hypothesis.tokens, options.no_repeat_ngram)


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"min_length": 0},
        {"min_length": 3},
        {"no_repeat_ngram": 1},
        {"no_repeat_ngram": 2},
        {"banned": ("w5",)},
        {"required": ("w6",)},
        {"required": ("w4", "w7")},
        {"required": ("w4", "w7", "w5")},
        {"required": ("w5",), "banned": ("w6",), "no_repeat_ngram": 1, "min_length": 2},
    ],
)
def test_a_beam_wide_enough_finds_the_best_of_all_captions(alpha, values):
    options = DecodingOptions(
        beam=700, n_best=5, max_length=3, length_normalisation=alpha, patience=4, **values
    )
    model = TableModel.random(5, photos=4, vocabulary=8)
    found = decode(model, range(4), options, tokens=model.tokens)
    for photo, hypotheses in enumerate(found):
        best = every_caption(model, photo, options)[:5]
        finished = [(h.score, h.tokens) for h in hypotheses if h.finished]
        assert [s for s, _ in finished] == [s for s, _ in best]
        assert finished == best
        assert all(set(options.required) <= {model.tokens[t] for t in h.tokens} for h in hypotheses)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(5))
def test_greedy_equals_a_beam_of_one_and_the_likeliest_word_each_time(seed, alpha):
    model = TableModel.random(seed, photos=6)
    options = DecodingOptions(method="greedy", length_normalisation=alpha, max_length=7)
    greedy = decode(model, range(6), options)
    assert model.reorders == 0
    beam = decode(model, range(6), options.model_copy(update={"method": "beam", "beam": 1}))
    for photo in range(6):
        words = []
        while len(words) <= 7:
            logprobs = model.next_logprobs(photo, words).copy()
            logprobs[list(NEVER)] = -np.inf
            if not words:
                logprobs[EOS] = -np.inf
            words.append(int(logprobs.argmax()))
            if words[-1] == EOS:
                break
        expected = words[:-1] if EOS in words else words[:7]
        assert list(greedy[photo][0].tokens) == expected
        assert greedy[photo][0].tokens == beam[photo][0].tokens
        assert greedy[photo][0].logprobs == beam[photo][0].logprobs


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.tokens, a.logprobs, a.score, a.finished) == (
            b.tokens,
            b.logprobs,
            b.score,
            b.finished,
        )
        for name in a.evidence:
            np.testing.assert_array_equal(a.evidence[name], b.evidence[name])


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(method="greedy"),
        DecodingOptions(beam=4, n_best=4, no_repeat_ngram=2),
        DecodingOptions(beam=4, n_best=3, required=("w6", "w9"), max_length=9),
        DecodingOptions(beam=2, patience=3.0, length_normalisation=0.0),
    ],
)
def test_a_batch_equals_one_at_a_time(options):
    model = TableModel.random(1, photos=8, vocabulary=12)
    batch = decode(model, range(8), options, tokens=model.tokens)
    for photo in range(8):
        same(batch[photo], decode(model, [photo], options, tokens=model.tokens)[0])
    backwards = decode(model, range(7, -1, -1), options, tokens=model.tokens)
    for photo in range(8):
        same(batch[photo], backwards[7 - photo])


@pytest.mark.parametrize("number", [10, 14])
@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(method="greedy"),
        DecodingOptions(beam=3, n_best=3, min_length=4, no_repeat_ngram=2, max_length=6),
        DecodingOptions(beam=3, banned=("w4", "w9"), max_length=6),
    ],
)
def test_candidates_equal_the_whole_vocabulary(options, number):
    model = TableModel.random(2, photos=5, vocabulary=14, levels=2)
    some = decode(CandidateModel(model, number), range(5), options, tokens=model.tokens)
    for one, other in zip(some, decode(model, range(5), options, tokens=model.tokens), strict=True):
        same(one, other)


def test_a_realistic_size_equals_the_plain_search():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(4, 1, 1, 3500)) * 3 + rng.normal(size=(1, 1, 3500, 1))[..., 0:1, :]
    logits[..., EOS] += 6
    table = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    table = np.broadcast_to(table.astype(np.float32), (4, 3500, 3500, 3500))
    model = TableModel(table)
    options = DecodingOptions(beam=5, n_best=5, max_length=6, no_repeat_ngram=1)
    for photo, hypotheses in enumerate(decode(model, range(4), options)):
        expected = plain_beam_search(model, photo, options)
        assert [(h.tokens, h.finished) for h in hypotheses] == [item[1:] for item in expected]


@given(
    seed=st.integers(0, 10**6),
    required=st.lists(st.integers(4, 15), min_size=1, max_size=4, unique=True),
    room=st.integers(0, 4),
    ngram=st.integers(0, 2),
)
@settings(max_examples=60, deadline=None)
def test_required_words_stand_in_every_caption(seed, required, room, ngram):
    model = TableModel.random(seed, photos=3, vocabulary=16)
    options = DecodingOptions(
        beam=len(required) + 2,
        n_best=2,
        max_length=len(required) + room,
        no_repeat_ngram=ngram,
        required=tuple(model.tokens[i] for i in required),
    )
    for photo, hypotheses in enumerate(decode(model, range(3), options, tokens=model.tokens)):
        assert hypotheses
        for hypothesis in hypotheses:
            assert set(required) <= set(hypothesis.tokens)
            assert len(hypothesis.tokens) <= options.max_length
            assert not repeats(hypothesis.tokens, ngram)
            check_against_the_model(model, photo, hypothesis, options)


@given(options=searches(), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_no_content_word_stands_twice(options, seed):
    options = DecodingOptions.parse(
        {**options.model_dump(), "banned": (), "no_repeat_content": True}, where="options"
    )
    model = SpelledModel.random(seed, photos=2, vocabulary=14)
    found = decode(model, [0, 1], options, tokens=model.tokens)
    for photo, hypotheses in enumerate(found):
        expected = plain_beam_search(model, photo, options)
        assert [(h.score, h.tokens, h.finished) for h in hypotheses] == expected
        for hypothesis in hypotheses:
            assert not says_twice(model, hypothesis.tokens)
    some = decode(CandidateModel(model, 14), [0, 1], options, tokens=model.tokens)
    assert all(not says_twice(model, h.tokens) for hypotheses in some for h in hypotheses)


def test_the_best_caption_without_a_content_word_twice():
    options = DecodingOptions(
        beam=1024, n_best=5, max_length=3, patience=100, no_repeat_content=True
    )
    model = SpelledModel.random(3, photos=1, vocabulary=10)
    (found,) = decode(model, [0], options, tokens=model.tokens)
    best = [item for item in every_caption(model, 0, options) if item[1]][:5]
    assert [(h.score, h.tokens) for h in found] == best
    (free,) = decode(
        model, [0], options.model_copy(update={"no_repeat_content": False}), tokens=model.tokens
    )
    assert any(says_twice(model, h.tokens) for h in free)


def test_pieces_of_words_may_come_twice():
    class Pieces(Words):
        def decode(self, ids):
            return "".join(self.tokens[i] for i in ids)

    model = SpelledModel.random(0, photos=1, vocabulary=10)
    options = DecodingOptions(no_repeat_content=True)
    with pytest.raises(UsageError, match="whole words, and this model's has subwords"):
        negah.decoding.decode(model, [0], options, vocabulary=Pieces(model.tokens))


def test_a_word_that_comes_anyway_costs_nothing():
    model = TableModel.random(4, photos=1)
    free = decode(model, [0], DecodingOptions(beam=200, max_length=4), tokens=model.tokens)[0][0]
    wanted = model.tokens[free.tokens[0]]
    options = DecodingOptions(beam=200, max_length=4, required=(wanted,))
    same([free], decode(model, [0], options, tokens=model.tokens)[0])


def test_one_step_per_word_serves_the_whole_batch():
    model = TableModel.random(0, photos=6)
    decode(model, range(6), DecodingOptions(beam=4, max_length=5))
    assert model.steps[0] == (6, 1)
    assert {rows for _, rows in model.steps[1:]} == {4}
    assert len(model.steps) <= 6


class CarryingModel(CandidateModel):
    """One that gives everything, and cannot let go of photos."""

    def step(self, state, tokens):
        return self.dense.step(state, tokens)


@pytest.mark.parametrize("method", ["beam", "greedy", "sample"])
def test_photos_that_are_done_take_no_more_steps(method):
    model, options = TableModel.random(5, photos=9), DecodingOptions(method=method, max_length=12)
    found = decode(model, range(9), options)
    photos = [photos for photos, _ in model.steps]
    assert photos == sorted(photos, reverse=True)
    assert 0 < photos[-1] < 9
    carrying = CarryingModel(TableModel.random(5, photos=9), 0)
    for alone, carried in zip(found, decode(carrying, range(9), options), strict=True):
        same(alone, carried)
    assert {photos for photos, _ in carrying.dense.steps} == {9}


def chain(*words, certainty=0.99, vocabulary=8):
    """A model that all but surely says ``words`` and ends."""
    odds = np.full((1, vocabulary, vocabulary, vocabulary), (1 - certainty) / (vocabulary - 1))
    for before, after in zip((1, *words), (*words, EOS), strict=True):
        odds[0, :, before] = (1 - certainty) / (vocabulary - 1)
        odds[0, :, before, after] = certainty
    return TableModel(np.log(odds).astype(np.float32))


def test_a_sure_caption_stops_the_search_early():
    model = chain(4, 5, 6)
    (found,) = decode(model, [0], DecodingOptions(beam=3, patience=100, max_length=20))
    assert found[0].tokens == (4, 5, 6)
    assert len(model.steps) < 8


@pytest.mark.parametrize(("method", "beam"), [("greedy", 1), ("beam", 3)])
def test_max_length_leaves_room_for_the_end_token(method, beam):
    options = DecodingOptions(method=method, beam=beam, max_length=3)
    whole = decode(chain(4, 5, 6), [0], options)[0][0]
    assert (whole.tokens, whole.finished, len(whole.logprobs)) == ((4, 5, 6), True, 4)
    cut = decode(chain(4, 5, 6, 7), [0], DecodingOptions(method="greedy", max_length=3))[0][0]
    assert (cut.tokens, cut.finished, len(cut.logprobs)) == ((4, 5, 6), False, 3)


def test_the_caption_may_be_empty_if_allowed():
    model = chain()
    empty = decode(model, [0], DecodingOptions(method="greedy", min_length=0))[0][0]
    assert (empty.tokens, empty.finished, len(empty.logprobs)) == ((), True, 1)
    assert empty.evidence["regions"].shape == (0, 1, 2)
    assert decode(model, [0], DecodingOptions(method="greedy"))[0][0].tokens


def test_equal_words_are_decided_by_the_lower_id():
    model = TableModel(np.full((1, 9, 9, 9), -np.log(9), np.float32))
    options = DecodingOptions(beam=3, n_best=3, min_length=2, max_length=2)
    found = decode(model, [0], options)[0]
    assert [h.tokens for h in found] == [(4, 4), (5, 4), (6, 4)]


def test_finished_captions_rank_before_those_cut_off():
    model = chain(4, 5, 6, 7, certainty=0.6)
    options = DecodingOptions(beam=6, n_best=6, max_length=2)
    finished = [h.finished for h in decode(model, [0], options)[0]]
    assert finished == sorted(finished, reverse=True)
    assert not all(finished)


def test_few_possible_captions_give_fewer_than_n_best():
    model = TableModel.random(0, photos=1, vocabulary=5)
    options = DecodingOptions(beam=10, n_best=10, max_length=3, patience=10)
    found = decode(model, [0], options)[0]
    assert [h.tokens for h in sorted(found, key=lambda h: len(h.tokens))] == [
        (4,),
        (4, 4),
        (4, 4, 4),
    ]


def test_no_photos_give_no_captions():
    assert decode(TableModel.random(0), [], DecodingOptions()) == []


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_options_that_forbid_every_caption_are_refused(method):
    model = TableModel.random(0, vocabulary=6)
    options = DecodingOptions(method=method, banned=("w4", "w5"))
    with pytest.raises(
        UsageError, match="allow no caption of photo 0 of the batch: ban fewer words"
    ):
        decode(model, [0, 1], options, tokens=model.tokens)


def test_required_words_need_the_whole_vocabulary():
    model = TableModel.random(0)
    options = DecodingOptions(required=("w4",))
    with pytest.raises(UsageError, match="require no words"):
        decode(CandidateModel(model, 6), [0], options, tokens=model.tokens)


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
def test_a_diverged_model_is_told(method):
    table = TableModel.random(0).table.copy()
    table[1, :, :, 5] = np.nan
    with pytest.raises(NegahError, match="not numbers"):
        decode(TableModel(table), [0, 1, 2], DecodingOptions(method=method))


def test_photo_ids_must_fit_the_batch():
    with pytest.raises(UsageError, match="1 photo_ids for 2 photos"):
        decode(TableModel.random(0), [0, 1], DecodingOptions(), photo_ids=[3])


def test_a_model_without_evidence():
    class Blind(TableModel):
        def step(self, state, tokens):
            step = super().step(state, tokens)
            return Step(step.logprobs, step.state, {})

    model = Blind(TableModel.random(0).table)
    assert decode(model, [0], DecodingOptions())[0][0].evidence == {}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "values",
    [
        {"method": "greedy"},
        {"beam": 4, "n_best": 3},
        {"beam": 5, "min_length": 3, "no_repeat_ngram": 2},
        {"beam": 6, "banned": ("w5",), "required": ("w4", "w7")},
    ],
    ids=str,
)
def test_special_tokens_may_have_any_ids(seed, values):
    """Other ids for the same tokens, in any order, give the same captions."""
    model = TableModel.random(seed, photos=3, vocabulary=11)
    options = DecodingOptions(max_length=6, **values)
    order = np.random.default_rng(seed).permutation(len(model.tokens))
    other = RenumberedModel(model, order)
    expected = decode(model, range(3), options, tokens=model.tokens)
    found = negah.decoding.decode(other, range(3), options, vocabulary=other.vocabulary)
    for one, same_one in zip(expected, found, strict=True):
        renamed = [tuple(int(order[token]) for token in h.tokens) for h in one]
        assert [h.tokens for h in same_one] == renamed
        assert [h.logprobs for h in same_one] == [h.logprobs for h in one]
        assert [h.finished for h in same_one] == [h.finished for h in one]


def test_all_pieces_that_are_spelled_alike_are_banned():
    model = TableModel.random(3, vocabulary=9)
    tokens = (*model.tokens[:4], "dog", "cat", "dog", "cat", "dog")
    found = decode(
        model, range(3), DecodingOptions(beam=4, n_best=4, banned=("dog",)), tokens=tokens
    )
    words = {token for captions in found for h in captions for token in h.tokens}
    assert words
    assert words <= {5, 7}
