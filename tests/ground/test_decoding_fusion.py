"""Fused models against one model whose probabilities are the mean of theirs."""

from __future__ import annotations

import numpy as np
import pytest

from decoding_models import CandidateModel, TableModel, decode
from negah.decoding import DecodingOptions, FusedStepModel, Streams
from negah.errors import UsageError

PHOTOS = (0, 1, 2)


def streams(models: int) -> Streams:
    return Streams((PHOTOS,) * models, (None,) * models)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("method", ["beam", "sample"])
def test_fused_models_choose_as_their_mean_would(count: int, method: str) -> None:
    models = [TableModel.random(seed, vocabulary=8) for seed in range(count)]
    mean = np.log(np.mean([np.exp(model.table.astype(np.float64)) for model in models], axis=0))
    alone = TableModel(mean.astype(np.float32))
    options = DecodingOptions.parse(
        {
            "method": method,
            "n_best": 2,
            "max_length": 6,
            **({"beam": 4} if method == "beam" else {}),
        },
        where="test",
    )
    expected = decode(alone, PHOTOS, options, tokens=alone.tokens)
    found = decode(FusedStepModel(models), streams(count), options, tokens=alone.tokens)
    for one, other in zip(found, expected, strict=True):
        assert [h.tokens for h in one] == [h.tokens for h in other]
        for fused, single in zip(one, other, strict=True):
            np.testing.assert_allclose(fused.logprobs, single.logprobs, atol=1e-5)
            # the evidence is that of the first model, which reads the same words
            np.testing.assert_array_equal(fused.evidence["gate"], single.evidence["gate"])


def test_a_model_fused_with_itself_is_itself() -> None:
    model = TableModel.random(5)
    options = DecodingOptions(beam=3, max_length=6)
    alone = decode(model, PHOTOS, options)
    fused = decode(FusedStepModel([model, model]), streams(2), options)
    assert [best.tokens for best, *_ in fused] == [best.tokens for best, *_ in alone]


def test_what_cannot_be_fused() -> None:
    model, small = TableModel.random(0), TableModel.random(0, vocabulary=7)
    options = DecodingOptions(max_length=3)
    with pytest.raises(UsageError, match="two models or more, not 1"):
        FusedStepModel([model])
    with pytest.raises(UsageError, match="of the same clips"):
        Streams(((0, 1), (0,)), (None, None))
    with pytest.raises(UsageError, match="must be started with Streams of the same number"):
        decode(FusedStepModel([model, model]), streams(3), options)
    with pytest.raises(UsageError, match="a mask for each stream"):
        decode(
            FusedStepModel([model, model]), streams(2), options, real_frames=np.ones((3, 1), bool)
        )
    with pytest.raises(UsageError, match="the same vocabulary"):
        decode(FusedStepModel([model, small]), streams(2), options)
    with pytest.raises(UsageError, match="score all words"):
        decode(FusedStepModel([model, CandidateModel(model, 4)]), streams(2), options)
