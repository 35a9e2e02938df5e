"""The loss, the rate, the running mean, the model's own words, and a start from other weights.

Axes: B photos, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs the train extra")

import torch
from torch import Tensor
from torch.nn import functional as F

from negah.errors import CheckpointError
from negah.files import write_json
from negah.models import (
    Encoder,
    EncoderOptions,
    captioner_options,
    flatten_words,
    load_encoder,
)
from negah.text import PAD, SOS, WordTokenizer
from negah.training import TrainingOptions
from negah.training.checkpoint import load_checkpoint, save_checkpoint
from negah.training.initial import read_run
from negah.training.learner import Learner, RunningMean, build_optimizer
from negah.training.objectives import Lesson
from negah.training.objectives.cross_entropy import mix_in_guesses
from tiny_training import forced_loss

VOCABULARY = 14
TARGETS_BKT = torch.tensor(
    [[[5, 6, 7, 8, 2], [9, 10, 2, 0, 0]], [[11, 12, 13, 2, 0], [0, 0, 0, 0, 0]]]
)
INPUTS_BKT = torch.tensor(
    [[[1, 5, 6, 7, 8], [1, 9, 10, 0, 0]], [[1, 11, 12, 13, 0], [0, 0, 0, 0, 0]]]
)
TOKENS = (INPUTS_BKT, TARGETS_BKT)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return load_encoder(EncoderOptions(name="efficientnet-lite0", weights="random", size=64))


def make(
    encoder: Encoder, kind: str = "cam-rnn", vocabulary: int = VOCABULARY, **options: Any
) -> Learner:
    small = {"embedding_size": 8, "hidden_size": 8, "dropout": 0.0}
    if kind == "cam-rnn":
        small |= {"visual_size": 8, "attention_size": 4, "phrase_size": 4}
    torch.manual_seed(1)
    model = captioner_options({"kind": kind, **small, **options})
    return Learner(model, encoder, vocabulary)


def trunk(encoder: Encoder) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, encoder.regions, encoder.channels, generator=generator)


@pytest.mark.parametrize("kind", ["cam-rnn", "show-tell"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_the_loss_is_cross_entropy(encoder: Encoder, kind: str, smoothing: float) -> None:
    """Of the words that count, over the whole vocabulary; padding has no part in it."""
    learner = make(encoder, kind).eval()
    loss = forced_loss(learner, trunk(encoder), TOKENS, smoothing=smoothing)
    counts_BKT = TARGETS_BKT != PAD
    logits_NV = learner.captioner(trunk(encoder)[:, None], INPUTS_BKT, counts_BKT)
    targets_N = flatten_words(TARGETS_BKT, counts_BKT)
    expected = F.cross_entropy(logits_NV, targets_N, label_smoothing=smoothing)
    torch.testing.assert_close(loss.value, expected)
    torch.testing.assert_close(loss.total, F.cross_entropy(logits_NV, targets_N, reduction="sum"))
    assert loss.count == 12
    assert not loss.total.requires_grad
    wider = F.pad(INPUTS_BKT, (0, 3, 0, 1)), F.pad(TARGETS_BKT, (0, 3, 0, 1))
    again = forced_loss(learner, trunk(encoder), wider, smoothing=smoothing)
    torch.testing.assert_close(again.value, loss.value)
    assert again.count == loss.count


class Inputs(torch.nn.Module):
    """Keeps what a captioner is asked to read; guesses ``likely`` each time."""

    def __init__(self, likely: dict[int, float]) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.logits_V = torch.full((VOCABULARY,), -torch.inf)
        for token, logit in likely.items():
            self.logits_V[token] = logit

    def forward(
        self, features: Tensor, inputs_BKT: Tensor, counts_BKT: Tensor, real_BF: Tensor | None
    ) -> Tensor:
        assert real_BF is None
        self.seen.append(inputs_BKT.clone())
        return self.logits_V.repeat(int(counts_BKT.sum()), 1)


def mixed(encoder: Encoder, share: float, likely: dict[int, float]) -> Tensor:
    learner, captioner = make(encoder), Inputs(likely)
    learner.captioner = captioner  # type: ignore[assignment]
    forced_loss(learner, trunk(encoder), TOKENS, own_words=share)
    assert torch.equal(captioner.seen[0], INPUTS_BKT)  # the caller's own tensor is untouched
    return captioner.seen[-1]


def test_no_own_words_without_scheduled_sampling(encoder: Encoder) -> None:
    learner = make(encoder)
    before = torch.get_rng_state()
    forced_loss(learner, trunk(encoder), TOKENS, smoothing=0.1)
    assert torch.equal(torch.get_rng_state(), before)  # not even a draw
    assert torch.equal(mixed(encoder, 0.0, {4: 0.0}), INPUTS_BKT)


def test_own_words_stand_where_a_true_word_stood(encoder: Encoder) -> None:
    """Share 1: every input but <SOS> and padding is a guess; its target stays."""
    replaced = mixed(encoder, 1.0, {4: 0.0})
    words = (INPUTS_BKT != PAD) & (INPUTS_BKT != SOS)
    assert (replaced[words] == 4).all()
    assert torch.equal(replaced[~words], INPUTS_BKT[~words])


def test_a_share_of_the_words_is_replaced(encoder: Encoder) -> None:
    learner = make(encoder)
    learner.captioner = Inputs({4: 0.0})  # type: ignore[assignment]
    inputs_BKT = torch.full((8, 5, 60), 7)
    lesson = Lesson(trunk(encoder), None, inputs_BKT, inputs_BKT, torch.arange(8))
    replaced = mix_in_guesses(learner.captioner, lesson, 0.3)
    assert (replaced[..., 0] == 7).all()
    share = float((replaced[..., 1:] == 4).float().mean())
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / (8 * 5 * 59)) ** 0.5  # four standard deviations


def test_own_words_are_words(encoder: Encoder) -> None:
    """A guess of <PAD> would leave phrase attention without a phrase: NaN with phrases=1."""
    replaced = mixed(encoder, 1.0, {PAD: 9.0, SOS: 9.0, 4: 0.0})
    words = (INPUTS_BKT != PAD) & (INPUTS_BKT != SOS)
    assert (replaced[words] == 4).all()
    learner = make(encoder, phrases=1)
    with torch.no_grad():
        learner.captioner.get_parameter("output.bias")[PAD] = 50.0
    loss = forced_loss(learner, trunk(encoder), TOKENS, smoothing=0.1, own_words=1.0)
    assert torch.isfinite(loss.value)


def test_the_first_guess_is_the_second_input(encoder: Encoder) -> None:
    """A model that is sure of the true words replaces them by themselves."""
    learner = make(encoder)
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.05)
    for _ in range(80):
        loss = forced_loss(learner, trunk(encoder), TOKENS)
        optimizer.zero_grad()
        loss.value.backward()
        optimizer.step()
    with torch.no_grad():
        learner.captioner.get_parameter("output.weight").mul_(20)
        learner.captioner.get_parameter("output.bias").mul_(20)
    lesson = Lesson(trunk(encoder)[:, None], None, *TOKENS, torch.arange(2))
    # the two captions of the first photo begin with different words: share them out by chance
    guessed = mix_in_guesses(learner.captioner, lesson, 1.0)
    assert set(guessed[0, :, 1].tolist()) <= {5, 9}
    assert torch.equal(guessed[0, :, 2:], INPUTS_BKT[0, :, 2:])
    assert torch.equal(guessed[1], INPUTS_BKT[1])


RATES = st.builds(
    TrainingOptions,
    warmup_steps=st.integers(0, 60),
    schedule=st.sampled_from(["constant", "cosine", "linear"]),
    final_rate=st.floats(0, 1),
)


@given(o=RATES, total=st.integers(1, 200))
@settings(max_examples=100, deadline=None)
def test_the_rate_rises_then_falls(o: TrainingOptions, total: int) -> None:
    rates = [o.rates.rate(step, total) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates[: o.warmup_steps])
    assert all(o.final_rate - 1e-9 <= rate <= 1 for rate in rates[o.warmup_steps :])
    warm, decay = rates[: o.warmup_steps], rates[o.warmup_steps :]
    assert all(later > earlier for earlier, later in pairwise(warm))
    assert all(later <= earlier for earlier, later in pairwise(decay))
    if decay:
        assert decay[0] == pytest.approx(1)
        if o.schedule == "constant":
            assert set(decay) == {1.0}


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("linear", 0, 0.1),  # warm-up: the first of ten steps
        ("linear", 9, 1.0),
        ("linear", 10, 1.0),
        ("linear", 60, 0.6),  # half-way between 1 and 0.2
        ("linear", 110, 0.2),
        ("cosine", 60, 0.6),
        ("cosine", 35, 0.2 + 0.8 * 0.5 * (1 + 2**-0.5)),
        ("cosine", 110, 0.2),
        ("constant", 109, 1.0),
    ],
)
def test_rates_by_hand(schedule: str, step: int, expected: float) -> None:
    o = TrainingOptions.parse(
        {"warmup_steps": 10, "schedule": schedule, "final_rate": 0.2}, where="test"
    )
    assert o.rates.rate(step, 110) == pytest.approx(expected)


def test_running_mean_in_closed_form(encoder: Encoder) -> None:
    """mean_n = w_0 prod d_i + sum_i w_i (1 - d_i) prod_{j > i} d_j, d_i = min(d, (1+i)/(10+i))."""
    learner = make(encoder)
    mean = RunningMean(learner, decay=0.6)
    name = "captioner.output.bias"
    parameter = learner.get_parameter(name)
    values = torch.randn(30, len(parameter), dtype=torch.float64)
    values[0] = parameter.detach().double()
    for step in range(29):
        with torch.no_grad():
            parameter.copy_(values[step + 1])
        mean.update(step)
    decays = [min(0.6, (1 + step) / (10 + step)) for step in range(29)]
    expected = values[0] * np.prod(decays)
    for i, decay in enumerate(decays):
        expected = expected + values[i + 1] * (1 - decay) * np.prod(decays[i + 1 :])
    torch.testing.assert_close(mean.state_dict()[name].double(), expected, rtol=1e-5, atol=1e-6)


def test_running_mean_is_lent_and_given_back(encoder: Encoder) -> None:
    learner = make(encoder, tie_embeddings=True)
    mean = RunningMean(learner, decay=0.5)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(1.0)
    mean.update(3)
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    with mean.applied():
        for name, tensor in mean.state_dict().items():
            assert torch.equal(learner.get_parameter(name), tensor)
            assert not torch.equal(tensor, before[name])
    assert all(torch.equal(before[name], t) for name, t in learner.state_dict().items())
    assert learner.captioner.output.weight is learner.captioner.embedding.weight  # type: ignore[union-attr]


def test_no_running_mean(encoder: Encoder) -> None:
    learner = make(encoder)
    mean = RunningMean(learner, decay=0.0)
    mean.update(0)
    with mean.applied():
        assert mean.state_dict() == {}
    mean.load_state_dict({})


def test_optimizer_groups() -> None:
    torch.manual_seed(0)
    encoder = load_encoder(
        EncoderOptions(name="efficientnet-lite0", weights="random", size=64, trainable_blocks=1)
    )
    learner = make(encoder)
    o = TrainingOptions(learning_rate=0.3, encoder_learning_rate=0.02, optimizer="adam")
    captioner, tail = build_optimizer(learner, o).param_groups
    assert (captioner["peak"], tail["peak"]) == (0.3, 0.02)
    assert len(captioner["params"]) == len(list(learner.captioner.parameters()))
    assert {id(p) for p in tail["params"]} == {id(p) for p in encoder.tail_blocks.parameters()}
    assert isinstance(build_optimizer(learner, o), torch.optim.Adam)
    assert isinstance(build_optimizer(learner, TrainingOptions()), torch.optim.AdamW)


OURS = WordTokenizer.build(["a dog runs and a bird sings"], min_count=1)
THEIRS = WordTokenizer.build(["two dogs run", "a dog runs", "a bird flies off"], min_count=1)


def other_run(folder: Path, learner: Learner) -> Path:
    THEIRS.save(folder / "tokenizer.json")
    save_checkpoint(folder / "best.safetensors", learner.state_dict(), {"epoch": 3})
    return folder / "best.safetensors"


@pytest.mark.parametrize("kind", ["cam-rnn", "show-tell"])
def test_start_from_another_vocabulary(encoder: Encoder, kind: str, tmp_path: Path) -> None:
    theirs = make(encoder, kind, len(THEIRS))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
    learner = make(encoder, kind, len(OURS))
    fresh = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    said = learner.start_from(read_run(other_run(tmp_path, theirs)), OURS)
    known = [word for word in OURS.tokens if word in THEIRS.tokens]
    assert {"a", "dog", "runs", "bird", "<EOS>"} <= set(known)
    assert f"{len(known)} of {len(OURS)} words are known" in said
    by_word = {f"captioner.{n}" for n in ("embedding.weight", "output.weight", "output.bias")}
    for name, tensor in learner.state_dict().items():
        source = theirs.state_dict()[name]
        if name not in by_word:
            assert torch.equal(tensor, source), name
            continue
        for i, word in enumerate(OURS.tokens):
            row = source[THEIRS.tokens.index(word)] if word in known else fresh[name][i]
            assert torch.equal(tensor[i], row), (name, word)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"hidden_size": 9}, "captioner"),
        ({"phrase_size": 5}, "captioner"),
        ({"gate": False}, "captioner.gate"),  # what they have and we do not
    ],
)
def test_start_from_weights_that_do_not_fit(
    encoder: Encoder, options: dict[str, Any], name: str, tmp_path: Path
) -> None:
    best = other_run(tmp_path, make(encoder, vocabulary=len(THEIRS)))
    learner = make(encoder, vocabulary=len(OURS), **options)
    fresh = {key: tensor.clone() for key, tensor in learner.state_dict().items()}
    with pytest.raises(CheckpointError, match=f"does not fit this recipe: {name}"):
        learner.start_from(read_run(best), OURS)
    assert all(torch.equal(fresh[key], tensor) for key, tensor in learner.state_dict().items())


def test_start_from_another_encoder(encoder: Encoder, tmp_path: Path) -> None:
    """Where the shapes agree by chance, the features still mean something else."""
    best = other_run(tmp_path, make(encoder, vocabulary=len(THEIRS)))
    learner = make(encoder, vocabulary=len(OURS))
    for name in ("efficientnet-lite2", "resnet50", encoder.name, encoder.options.name):
        write_json(tmp_path / "run.json", {"recipe": {"encoder": {"name": name}}})
        if name in (encoder.name, encoder.options.name):
            assert "words are known" in learner.start_from(read_run(best), OURS)
            continue
        with pytest.raises(CheckpointError, match=f"set encoder.name={name}"):
            learner.start_from(read_run(best), OURS)


@pytest.mark.parametrize("content", ["{", "[]", '{"recipe": 5}', '{"recipe": {}}'])
def test_start_from_a_damaged_run(encoder: Encoder, content: str, tmp_path: Path) -> None:
    best = other_run(tmp_path, make(encoder, vocabulary=len(THEIRS)))
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"run\.json.* damaged"):
        make(encoder, vocabulary=len(OURS)).start_from(read_run(best), OURS)


def test_start_from_says_what_is_new(encoder: Encoder, tmp_path: Path) -> None:
    """An ablation without the gate can start the full model."""
    best = other_run(tmp_path, make(encoder, vocabulary=len(THEIRS), gate=False))
    said = make(encoder, vocabulary=len(OURS)).start_from(read_run(best), OURS)
    assert "new in this recipe: captioner.gate.bias, captioner.gate.weight" in said


def test_checkpoints_hold_tensors_and_facts(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(3.0)[::2], "b": torch.tensor(7, dtype=torch.int64)}
    path = tmp_path / "deep" / "checkpoint.safetensors"
    save_checkpoint(path, tensors, {"loss": 0.1 + 0.2, "words": 3, "name": "é"})
    found, facts = load_checkpoint(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert facts == {"loss": 0.1 + 0.2, "words": 3, "name": "é"}
    assert [item.name for item in path.parent.iterdir()] == [path.name]  # no temporary file


@pytest.mark.parametrize("kind", ["empty", "cut", "text", "absent", "other"])
def test_damaged_checkpoints(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"a": torch.zeros(100)}, {})
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-50])
    elif kind == "text":
        path.write_text("hello")
    elif kind == "absent":
        path.unlink()
    else:
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, path)
    words = "not a checkpoint" if kind == "other" else "is damaged"
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)
