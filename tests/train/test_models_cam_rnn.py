"""CAM-RNN against its equations, and what follows from them.

Axes: B photos, K captions of each, T words, F frames, R regions, C channels, D hidden size,
S phrase lengths, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="models need the train extra")

import torch
from torch import Tensor

from cam_rnn_reference import Reference, Word
from negah.errors import UnknownNameError, UsageError
from negah.models import CamRnn, CamRnnOptions, build_captioner, captioner_options
from negah.models.caption_model import StepOutput, expand_captions
from negah.models.concepts import Concepts

PHOTOS, CAPTIONS, REGIONS, CHANNELS, VOCABULARY = 2, 3, 6, 5, 9
SIZES = {
    "embedding_size": 4,
    "hidden_size": 5,
    "visual_size": 6,
    "attention_size": 3,
    "phrase_size": 4,
}
#: The paper's ablations (None-, Frame-, Visual-, VT- and CAM-RNN).
ABLATIONS: dict[str, dict[str, Any]] = {
    "none": {"visual": "mean", "text_attention": False, "gate": False},
    "frame": {"visual": "frames", "text_attention": False, "gate": False},
    "visual": {"visual": "regions", "text_attention": False, "gate": False},
    "vt": {"visual": "regions", "text_attention": True, "gate": False},
    "cam": {"visual": "regions", "text_attention": True, "gate": True},
}
#: <SOS> and words, padded; photo 1 has two captions only, one of them shorter.
INPUTS_BKT = torch.tensor(
    [
        [[1, 4, 5, 6, 7, 4], [1, 8, 8, 5, 0, 0], [1, 3, 0, 0, 0, 0]],
        [[1, 7, 4, 4, 6, 0], [1, 5, 6, 0, 0, 0], [0, 0, 0, 0, 0, 0]],
    ]
)
COUNTS_BKT = INPUTS_BKT != 0

CASES = [
    *[
        pytest.param(frames, {**parts, "region_query": query}, id=f"{name}-F{frames}-{query}")
        for name, parts in ABLATIONS.items()
        for frames in (1, 4)
        for query in ("none", "hidden")
        if query == "none" or parts["visual"] == "regions"
    ],
    *[
        pytest.param(4, {"phrases": phrases, "cell": cell}, id=f"S{phrases}-{cell}")
        for phrases in (1, 2, 3)
        for cell in ("lstm", "gru", "gru-no-reset", "rnn")
    ],
    *[
        pytest.param(4, {**parts, "visual_input": False}, id=f"{name}-word-input")
        for name, parts in ABLATIONS.items()
    ],
    pytest.param(1, {"visual": "mean", "gate": True}, id="gate-without-attention"),
    pytest.param(1, {"tie_embeddings": True}, id="tied"),
    *[pytest.param(frames, {"concepts": True}, id=f"concepts-F{frames}") for frames in (1, 4)],
]


def make(options: dict[str, Any], seed: int = 0) -> CamRnn:
    """A double-precision CAM-RNN whose weights are large enough for the weights to differ."""
    torch.manual_seed(seed)
    concepts = Concepts(CHANNELS, ("dog", "cat", "sea"))
    model = build_captioner(
        CamRnnOptions(**{**SIZES, **options}),
        channels=CHANNELS,
        vocabulary_size=VOCABULARY,
        concepts=concepts,
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.7)
        concepts.layer.bias -= 3  # of six regions, or every word is there
    if model.concepts is not None:
        tokens = ("<PAD>", "<SOS>", "<EOS>", "<UNK>", "red", "sea", "dog", "of", "cat")
        model.concepts.find_words(tokens, torch.tensor([0.2, 0.01, 0.5]))
    assert isinstance(model, CamRnn)
    return model.eval()


def features(frames: int, photos: int = PHOTOS) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(photos, frames, REGIONS, CHANNELS, dtype=torch.float64, generator=generator)


@torch.no_grad()
def walk(
    model: CamRnn, features_BFRC: Tensor, inputs_BKT: Tensor, real_BF: Tensor | None = None
) -> list[StepOutput]:
    """Step through captions side by side."""
    memory, state = model.start(features_BFRC, real_BF)
    state = expand_captions(state, inputs_BKT.shape[1])
    outputs = []
    for t in range(inputs_BKT.shape[2]):
        # a caption that has ended goes on with any word, as a beam does
        outputs.append(model.step(memory, state, inputs_BKT[..., t].clamp_min(1)))
        state = outputs[-1].state
    return outputs


def agrees(step: StepOutput, b: int, k: int, word: Word) -> None:
    def close(ours: Tensor, theirs: Any) -> None:
        np.testing.assert_allclose(ours[b, k].numpy(), theirs, rtol=0, atol=1e-10)

    close(step.logits, word.logits)
    expected = {
        "gate": word.gate,
        "regions": np.stack(word.regions) if word.regions else None,
        "frames": word.frames,
        "phrases": word.phrases,
    }
    expected = {name: value for name, value in expected.items() if value is not None}
    assert step.evidence.keys() == expected.keys()
    for name, value in expected.items():
        close(step.evidence[name], value)


@pytest.mark.parametrize(("frames", "options"), CASES)
def test_step_and_forward_follow_the_equations(frames: int, options: dict[str, Any]) -> None:
    model = make(options)
    features_BFRC = features(frames)
    weights = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    steps = walk(model, features_BFRC, INPUTS_BKT)
    with torch.no_grad():
        logits_NV = model(features_BFRC, INPUTS_BKT, COUNTS_BKT)
    expected: dict[tuple[int, int, int], Word] = {}
    for b in range(PHOTOS):
        for k in range(CAPTIONS):
            reference = Reference(weights, model.options, features_BFRC[b].numpy())
            for t in range(int(COUNTS_BKT[b, k].sum())):
                expected[t, b, k] = reference.read(int(INPUTS_BKT[b, k, t]))
                agrees(steps[t], b, k, expected[t, b, k])
    assert len(logits_NV) == len(expected)
    for logits_V, place in zip(logits_NV.numpy(), sorted(expected), strict=True):
        np.testing.assert_allclose(logits_V, expected[place].logits, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("query", ["none", "hidden"])
def test_evidence_is_a_distribution(name: str, query: str) -> None:
    model = make({**ABLATIONS[name], "region_query": query})
    for t, step in enumerate(walk(model, features(4), INPUTS_BKT)):
        for kind, weights in step.evidence.items():
            assert weights.min() >= 0
            assert weights.max() <= 1
            if kind != "gate":
                torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        if "phrases" in step.evidence:  # phrases longer than the history do not exist
            assert (step.evidence["phrases"][..., t + 1 :] == 0).all()
            assert (step.evidence["phrases"][..., : t + 1] > 0).all()


@pytest.mark.parametrize("name", ABLATIONS)
@pytest.mark.parametrize("query", ["none", "hidden"])
def test_padded_frames_change_nothing(name: str, query: str) -> None:
    model = make({**ABLATIONS[name], "region_query": query})
    features_BFRC = features(5)
    real_BF = torch.tensor([[True] * 2 + [False] * 3, [True] * 5])
    padded = walk(model, features_BFRC, INPUTS_BKT, real_BF)
    alone = walk(model, features_BFRC[:1, :2], INPUTS_BKT[:1])
    logits_NV = model(features_BFRC, INPUTS_BKT, COUNTS_BKT, real_BF)
    first_N = (torch.zeros_like(INPUTS_BKT) + torch.tensor([1, 0])[:, None, None]).movedim(2, 0)
    ours_NV = logits_NV[first_N[COUNTS_BKT.movedim(2, 0)] == 1]
    torch.testing.assert_close(
        ours_NV, model(features_BFRC[:1, :2], INPUTS_BKT[:1], COUNTS_BKT[:1])
    )
    for with_padding, without in zip(padded, alone, strict=True):
        torch.testing.assert_close(with_padding.logits[:1], without.logits, rtol=0, atol=1e-12)
        for kind, weights in without.evidence.items():
            real = with_padding.evidence[kind][:1]
            if kind == "frames":
                assert (real[..., 2:] == 0).all()
                real = real[..., :2]
            elif kind == "regions":
                real = real[:, :, :2]
            torch.testing.assert_close(real, weights, rtol=0, atol=1e-12)


def test_a_closed_gate_makes_the_picture_irrelevant() -> None:
    """With gate 0 the word is tanh(W_p [0; E; h]) alone; with gate 1 the picture shows."""
    model = make({"visual_input": False})
    assert model.gate is not None
    assert model.text is not None
    tokens_BK = torch.tensor([[4], [4]])
    memory, state = model.start(features(3))
    state = {name: tensor[:1].expand_as(tensor) for name, tensor in state.items()}  # one history
    with torch.no_grad():
        model.gate.weight.zero_()
        for bias, expected in ((-1e4, 0.0), (1e4, 1.0)):
            model.gate.bias.fill_(bias)
            step = model.step(memory, state, tokens_BK)
            assert (step.evidence["gate"] == expected).all()
            apart = (step.logits[0] - step.logits[1]).abs().max()
            assert apart < 1e-12 if expected == 0.0 else apart > 1e-2
            if expected == 0.0:
                history = step.state["history"]
                text, _ = model.text(model.embedding(history), history != 0, state["h"])
                nothing = torch.zeros(2, 1, SIZES["visual_size"], dtype=torch.float64)
                merged = model.merge(torch.cat([nothing, text, step.state["h"]], -1)).tanh()
                torch.testing.assert_close(step.logits, model.output(merged))


def test_captions_of_a_photo_do_not_touch_each_other() -> None:
    model = make({})
    together = walk(model, features(2), INPUTS_BKT)
    for k in range(CAPTIONS):
        alone = walk(model, features(2), INPUTS_BKT[:, k : k + 1])
        for one, many in zip(alone, together, strict=True):
            torch.testing.assert_close(one.logits[:, 0], many.logits[:, k], rtol=0, atol=1e-12)


def test_words_that_do_not_count_have_no_influence() -> None:
    """Neither what stands behind the end of a caption, nor captions that are missing."""
    model = make({})
    garbage = torch.where(COUNTS_BKT, INPUTS_BKT, 7)
    torch.testing.assert_close(
        model(features(1), garbage, COUNTS_BKT), model(features(1), INPUTS_BKT, COUNTS_BKT)
    )


def test_every_weight_learns_from_a_clip() -> None:
    """No part is built and then left out. One frame alone has no use for (2) and U_r of (1)."""
    for frames, used in ((1, False), (3, True)):
        model = make({})
        model(features(frames), INPUTS_BKT, COUNTS_BKT).logsumexp(-1).sum().backward()
        for name, parameter in model.named_parameters():
            learns = parameter.grad is not None and bool(parameter.grad.any())
            needs_frames = name == "regions.previous" or name.startswith("frames.")
            assert learns == (used or not needs_frames), name


def test_the_padding_word_is_zero_and_stays_so() -> None:
    model = build_captioner(CamRnnOptions(**SIZES), channels=CHANNELS, vocabulary_size=VOCABULARY)
    assert isinstance(model, CamRnn)
    assert not model.embedding.weight[0].any()
    model(features(1).float(), INPUTS_BKT, COUNTS_BKT).sum().backward()
    assert model.embedding.weight.grad is not None
    assert not model.embedding.weight.grad[0].any()


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"visual": "mean", "text_attention": False}, UsageError, "gate needs a text feature"),
        ({"phrases": 0}, UsageError, "phrases"),
        ({"hidden": 3}, UsageError, "hidden_size"),
        ({"kind": "cam-rn"}, UnknownNameError, "cam-rnn"),
        ({"kind": 3}, UsageError, "show-tell"),
    ],
)
def test_refused_options(values: dict[str, Any], error: type[UsageError], words: str) -> None:
    with pytest.raises(error, match=words):
        captioner_options({"kind": "cam-rnn", **values})
