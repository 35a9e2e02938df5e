"""The adapter hands decoding the numbers of the PyTorch captioner."""

from __future__ import annotations

import numpy as np
import pytest

from decoding_models import decode
from negah.errors import UsageError

pytest.importorskip("torch", reason="the models are PyTorch's")

import torch

from negah.decoding import DecodingOptions
from negah.models import CaptionModel
from negah.models.adapter import TorchStepModel
from tiny_bundle import tiny_captioner, tiny_options

VOCABULARY, CHANNELS = 30, 12


def captioner(kind: str) -> CaptionModel:
    return tiny_captioner(tiny_options(kind), channels=CHANNELS, vocabulary_size=VOCABULARY)


@pytest.fixture
def features_BFRC() -> np.ndarray:  # noqa: N802
    return np.random.default_rng(0).standard_normal((3, 1, 4, CHANNELS), np.float32)


@pytest.mark.parametrize("kind", ["cam-rnn", "show-tell"])
@pytest.mark.parametrize("method", ["greedy", "beam"])
def test_candidates_give_the_captions_of_the_whole_vocabulary(
    features_BFRC: np.ndarray, kind: str, method: str
) -> None:
    options = DecodingOptions.model_validate({"method": method, "max_length": 6})
    model = captioner(kind)
    whole = decode(TorchStepModel(model), features_BFRC, options)
    best = decode(TorchStepModel(model, candidates=8), features_BFRC, options)
    for one, other in zip(whole, best, strict=True):
        assert one[0].tokens == other[0].tokens
        assert one[0].logprobs == pytest.approx(other[0].logprobs)
        assert set(one[0].evidence) == set(other[0].evidence)


def test_a_step_gives_float32_numpy_and_its_state_follows_the_parents(
    features_BFRC: np.ndarray,
) -> None:
    model = TorchStepModel(captioner("cam-rnn"), candidates=5)
    state = model.start(torch.from_numpy(features_BFRC))
    state = model.reorder(state, np.zeros((3, 2), np.int64))
    step = model.step(state, np.array([[4, 5], [6, 7], [8, 9]]))
    assert step.logprobs.dtype == np.float32
    assert step.logprobs.shape == (3, 2, 5)
    assert step.candidates is not None
    assert step.candidates.dtype == np.int64
    assert {name: array.dtype for name, array in step.evidence.items()} == dict.fromkeys(
        ("regions", "frames", "gate", "phrases"), np.float32
    )
    _, after = model.reorder(step.state, np.array([[1, 1], [0, 1], [1, 0]]))
    assert after["history"][:, :, -1].tolist() == [[5, 5], [6, 7], [9, 8]]


def test_training_mode_and_no_candidates_are_refused(features_BFRC: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"call captioner\.eval"):
        TorchStepModel(captioner("cam-rnn").train()).start(features_BFRC)
    with pytest.raises(UsageError, match="1 or more"):
        TorchStepModel(captioner("cam-rnn"), candidates=0)
