"""What holds for every captioner: one step at a time equals all at once, and it can learn.

Axes: B photos, K captions of each, T words, V vocabulary, D hidden size, L layers.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from decoding_models import decode

pytest.importorskip("torch", reason="models need the train extra")

import torch
from torch import Tensor
from torch.nn import functional as F

from negah.decoding import DecodingOptions
from negah.errors import UsageError
from negah.models import CaptionModel, build_captioner, captioner_options, flatten_words
from negah.models.adapter import TorchStepModel
from negah.models.caption_model import expand_captions, reorder_state, steps_in_use
from negah.text import EOS, PAD
from negah.training.padding import pad_captions

REGIONS, CHANNELS, VOCABULARY = 4, 8, 12
MODELS: dict[str, dict[str, Any]] = {
    "cam-rnn": {"kind": "cam-rnn", "visual_size": 16, "attention_size": 8, "phrase_size": 8},
    "cam-rnn-gru": {
        "kind": "cam-rnn",
        "visual_size": 8,
        "attention_size": 8,
        "phrase_size": 8,
        "cell": "gru",
    },
    **{
        f"show-tell-{cell}-{layers}": {"kind": "show-tell", "cell": cell, "layers": layers}
        for cell, layers in (("lstm", 1), ("lstm", 2), ("gru", 2), ("gru-no-reset", 2), ("rnn", 3))
    },
}
#: Captions of three photos: ragged in length and in number.
CAPTIONS = [
    [[4, 5, 6, 7, 8, 9], [10, 11, 4], [5]],
    [[11, 10, 9, 9], [7, 7]],
    [[6, 5, 4, 11, 10, 6]],
]


def make(name: str, **more: Any) -> CaptionModel:
    torch.manual_seed(0)
    options = {"embedding_size": 16, "hidden_size": 16, **MODELS[name], **more}
    return build_captioner(
        captioner_options(options), channels=CHANNELS, vocabulary_size=VOCABULARY
    ).eval()


def features(frames: int = 1) -> Tensor:
    return torch.randn(3, frames, REGIONS, CHANNELS, generator=torch.Generator().manual_seed(1))


def batch() -> tuple[Tensor, Tensor]:
    inputs, targets = pad_captions(CAPTIONS)
    return torch.from_numpy(inputs), torch.from_numpy(targets)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_teacher_forcing_equals_stepping(name: str, frames: int) -> None:
    model = make(name).double()
    features_BFRC = features(frames).double()
    real_BF = None if frames == 1 else torch.tensor([[True] * 3, [True, True, False], [True] * 3])
    inputs_BKT, targets_BKT = batch()
    counts_BKT = targets_BKT != PAD
    at_once_NV = model(features_BFRC, inputs_BKT, counts_BKT, real_BF).log_softmax(-1)
    memory, state = model.start(features_BFRC, real_BF)
    state = expand_captions(state, inputs_BKT.shape[1])
    steps = []
    for t in range(inputs_BKT.shape[2]):
        output = model.step(memory, state, inputs_BKT[..., t].clamp_min(1))
        state = output.state
        steps.append(output.logits.log_softmax(-1))
    logprobs_BKTV = torch.stack(steps, dim=2)
    one_by_one_NV = flatten_words(logprobs_BKTV, counts_BKT)
    torch.testing.assert_close(at_once_NV, one_by_one_NV, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["cam-rnn", "show-tell-lstm-1"])
def test_a_batch_is_learnt_by_heart(name: str) -> None:
    """Until greedy decoding gives back one caption of each photo, word for word."""
    model = make(name, dropout=0.0, embedding_size=24, hidden_size=24)
    captions = [photo[:1] for photo in CAPTIONS]
    inputs_BKT, targets_BKT = map(torch.from_numpy, pad_captions(captions))
    counts_BKT = targets_BKT != PAD
    targets_N = flatten_words(targets_BKT, counts_BKT)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for _ in range(60):
        loss = F.cross_entropy(model(features(), inputs_BKT, counts_BKT), targets_N)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    model.eval()
    found = decode(TorchStepModel(model), features(), DecodingOptions(method="greedy"))
    assert [list(best.tokens) for best, *_ in found] == [photo[0] for photo in captions]
    assert all(best.finished for best, *_ in found)


@given(
    arrays.arrays(
        np.bool_,
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 6)),
    )
)
@settings(max_examples=60, deadline=None)
def test_steps_in_use_against_a_count(counts: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    """Any pattern: a step's width reaches the last caption that still runs then or later."""
    expected = []
    for t in range(counts.shape[2]):
        running = [k for k in range(counts.shape[1]) if counts[:, k, t:].any()]
        if running:
            expected.append((t, max(running) + 1))
    assert list(steps_in_use(torch.from_numpy(counts))) == expected


def test_flatten_words_goes_by_step_then_photo_then_caption() -> None:
    shape = (2, 3, 4)
    values = torch.arange(24).reshape(shape)
    counts = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.6
    expected = [
        int(values[b, k, t]) for t, b, k in product(range(4), range(2), range(3)) if counts[b, k, t]
    ]
    assert flatten_words(values, counts).tolist() == expected
    wide = torch.stack([values, -values], dim=-1)
    assert flatten_words(wide, counts).tolist() == [[value, -value] for value in expected]


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_reordered_captions_go_on_where_their_parent_was(name: str) -> None:
    model = make(name)
    memory, state = model.start(features(2))
    state = expand_captions(state, 2)
    state = model.step(memory, state, torch.tensor([[4, 5], [6, 7], [8, 9]])).state
    parents_BK = torch.tensor([[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    tokens_BK = torch.tensor([[4, 5, 6], [7, 8, 9], [10, 11, 4]])
    together = model.step(memory, reorder_state(state, parents_BK), tokens_BK)
    for b, k in product(range(3), range(3)):
        parent = {n: v[b : b + 1, p : p + 1] for n, v in state.items() for p in [parents_BK[b, k]]}
        own = {n: v[b : b + 1] for n, v in memory.items()}
        alone = model.step(own, parent, tokens_BK[b : b + 1, k : k + 1])
        torch.testing.assert_close(together.logits[b, k], alone.logits[0, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["cam-rnn", "show-tell-lstm-2"])
def test_the_adapter_gives_the_captioners_numbers(name: str) -> None:
    model = make(name)
    adapter = TorchStepModel(model)
    tokens_BK = np.array([[1], [1], [1]])
    step = adapter.step(adapter.start(features().numpy()), tokens_BK)
    memory, state = model.start(features())
    output = model.step(memory, state, torch.from_numpy(tokens_BK))
    logprobs = output.logits.detach().log_softmax(-1).numpy()
    np.testing.assert_allclose(step.logprobs, logprobs, rtol=1e-6)
    np.testing.assert_allclose(np.exp(step.logprobs).sum(-1), 1, atol=1e-6)
    assert step.logprobs.dtype == np.float32
    assert step.candidates is None
    assert set(step.evidence) == set(output.evidence)
    for kind, weights in step.evidence.items():
        np.testing.assert_array_equal(weights, output.evidence[kind].detach().numpy())


def test_the_adapter_reports_the_best_candidates() -> None:
    model = make("cam-rnn")
    tokens_BK = np.array([[1], [1], [1]])
    full, few = TorchStepModel(model), TorchStepModel(model, candidates=4)
    every = full.step(full.start(features()), tokens_BK)
    best = few.step(few.start(features()), tokens_BK)
    assert best.candidates is not None
    assert best.candidates.shape == (3, 1, 4)
    np.testing.assert_array_equal(
        np.take_along_axis(every.logprobs, best.candidates, axis=2), best.logprobs
    )
    np.testing.assert_array_equal(best.logprobs, -np.sort(-every.logprobs, axis=2)[..., :4])
    options = DecodingOptions(beam=2)
    same = zip(
        decode(full, features(), options),
        decode(TorchStepModel(model, candidates=9), features(), options),
        strict=True,
    )
    assert all(one[0].tokens == other[0].tokens for one, other in same)


def test_the_adapter_refuses_training_mode_and_no_candidates() -> None:
    with pytest.raises(UsageError, match="training mode"):
        TorchStepModel(make("cam-rnn").train()).start(features())
    with pytest.raises(UsageError, match="1 or more"):
        TorchStepModel(make("cam-rnn"), candidates=0)


def test_the_end_can_be_the_first_thing_said() -> None:
    """A caption without words is <SOS> -> <EOS>: one word that counts."""
    inputs, targets = pad_captions([[[]]])
    assert targets.tolist() == [[[EOS]]]
    counts_BKT = torch.from_numpy(targets) != PAD
    logits_NV = make("cam-rnn")(features()[:1], torch.from_numpy(inputs), counts_BKT)
    assert logits_NV.shape == (1, VOCABULARY)


@pytest.mark.parametrize("layers", [1, 3])
def test_the_lstm_of_show_tell_remembers_at_first(layers: int) -> None:
    """Layer by layer, and nothing else begins anywhere but where PyTorch has it."""
    torch.manual_seed(0)
    options = captioner_options(
        {"kind": "show-tell", "layers": layers, "hidden_size": 24}, where="test"
    )
    network: Any = build_captioner(options, channels=CHANNELS, vocabulary_size=VOCABULARY)
    for layer in range(layers):
        bias = getattr(network.network, f"bias_ih_l{layer}").reshape(4, 24)
        assert torch.equal(bias[1], torch.ones(24))
        assert float(bias[[0, 2, 3]].detach().abs().max()) <= 24**-0.5 + 1e-6
