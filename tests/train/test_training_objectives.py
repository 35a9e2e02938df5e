"""Objectives: unlikelihood in closed form, chance that resumes, names in a recipe.

Axes: B photos, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch
from torch import Tensor

from negah.errors import TrainingError
from negah.models import CaptionModel, flatten_words
from negah.text import CharTokenizer
from negah.training import Recipe, load_recipe
from negah.training.objectives import (
    OBJECTIVES,
    Lesson,
    Loss,
    ObjectiveOptions,
    Setting,
)
from negah.training.objectives.cross_entropy import forced_logprobs, smoothed
from negah.training.objectives.unlikelihood import UnlikelihoodOptions, repetition
from tiny_training import run_training, store_noise, tiny_dataset, tiny_recipe

#: "a b a c <EOS>" and "a a <EOS>"; "b <EOS>" of another photo.
TARGETS_BKT = torch.tensor([[[4, 5, 4, 6, 2], [4, 4, 2, 0, 0]], [[5, 2, 0, 0, 0], [0, 0, 0, 0, 0]]])
COUNTS_BKT = TARGETS_BKT != 0


def by_hand(logprobs_BKTV: Tensor) -> float:
    """Equation (4) word by word, over sets."""
    total, words = 0.0, 0
    for b, k, t in COUNTS_BKT.nonzero().tolist():
        caption = TARGETS_BKT[b, k].tolist()
        candidates = set(caption[:t]) - {caption[t]}
        words += 1
        for word in candidates:
            total -= math.log(1 - math.exp(float(logprobs_BKTV[b, k, t, word])))
    return total / words


def test_unlikelihood_of_what_was_said_in_closed_form() -> None:
    random = torch.Generator().manual_seed(0)
    logprobs_BKTV = torch.randn(*TARGETS_BKT.shape, 7, generator=random).double().log_softmax(-1)
    found = repetition(flatten_words(logprobs_BKTV, COUNTS_BKT), TARGETS_BKT)
    assert found.item() == pytest.approx(by_hand(logprobs_BKTV), rel=1e-9)


def test_a_word_is_counted_once_and_never_itself() -> None:
    """Uniform over 7 words: of 10 words, the candidates are 0 1 1 2 3, 0 0 1, 0 1."""
    logprobs_NV = torch.full((10, 7), -math.log(7))
    expected = -9 * math.log(6 / 7) / 10
    assert repetition(logprobs_NV, TARGETS_BKT).item() == pytest.approx(expected, rel=1e-5)


def test_what_is_certain_has_a_finite_loss() -> None:
    logits_NV = torch.zeros(10, 7)
    logits_NV[:, 4] = 80.0
    logits_NV.requires_grad_()
    loss = repetition(logits_NV.log_softmax(-1), TARGETS_BKT)
    loss.backward()
    assert torch.isfinite(loss)
    assert logits_NV.grad is not None
    assert torch.isfinite(logits_NV.grad).all()


class Fixed(torch.nn.Module):
    """A captioner that says the same of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.logits_V = torch.nn.Parameter(torch.linspace(-1, 1, 7))

    def forward(self, *given: Tensor | None) -> Tensor:
        counts_BKT = given[2]
        assert counts_BKT is not None
        return self.logits_V.expand(int(counts_BKT.sum()), -1)


def lesson(step: int = 0, process: int = 0) -> Lesson:
    features = torch.zeros(2, 1, 1, 1)
    inputs_BKT = torch.ones_like(TARGETS_BKT)
    photos = torch.arange(2)
    return Lesson(features, None, inputs_BKT, TARGETS_BKT, photos, step, 10, 3, process)


def test_weight_0_is_cross_entropy_and_more_adds_the_repetition() -> None:
    setting = Setting((), CharTokenizer.build(["abc"], min_count=1), label_smoothing=0.1)
    plain, none, some = (
        OBJECTIVES.build(OBJECTIVES.parse(values, where="test"), setting)(Fixed(), lesson())  # type: ignore[arg-type]
        for values in ("cross-entropy", {"kind": "unlikelihood", "weight": 0}, "unlikelihood")
    )
    assert torch.equal(plain.value, none.value)
    assert torch.equal(some.value, plain.value + some.log["unlikelihood"])
    assert torch.equal(some.total, plain.total)  # what the epoch's mean tells stays comparable
    assert (plain.count, dict(plain.log)) == (10, {})


def test_chance_is_of_the_seed_the_step_and_the_process_alone() -> None:
    drawn = [torch.rand(3, generator=one.generator()) for one in (lesson(), lesson(step=4))]
    again = torch.rand(3, generator=lesson(step=4).generator())
    other = torch.rand(3, generator=lesson(process=1).generator())
    assert torch.equal(drawn[1], again)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], other)


class ChattyOptions(ObjectiveOptions):
    kind: Literal["chatty"] = "chatty"
    name: str = "step"


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    with OBJECTIVES.temporary():
        yield


@pytest.mark.usefixtures("one_thread", "registered")
@pytest.mark.parametrize("name", ["step", "nll"])
def test_names_of_the_log_that_are_taken_are_refused(name: str, tmp_path: Path) -> None:
    @OBJECTIVES.register("chatty", ChattyOptions)
    class Chatty:
        def __init__(self, options: ChattyOptions, setting: Setting) -> None:
            self.name = options.name

        def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
            loss = smoothed(*forced_logprobs(captioner, lesson, 0.0), 0.0)
            loss.log = {self.name: loss.value.detach()}
            return loss

    recipe = tiny_recipe(f"training.objective={{kind: chatty, name: {name}}}")
    dataset = tiny_dataset(tmp_path / "pictures")
    store_noise(dataset, recipe, tmp_path / "features")
    with pytest.raises(TrainingError, match=f"objective 'chatty' logs a value called '{name}'"):
        run_training(recipe, dataset, tmp_path / "run", tmp_path / "features")


def test_an_objective_in_a_recipe() -> None:
    assert load_recipe("cam-rnn").training.objective.kind == "cross-entropy"
    short = load_recipe("cam-rnn", ["training.objective=unlikelihood"])
    assert short.training.objective == UnlikelihoodOptions()
    long = load_recipe("cam-rnn", ["training.objective={kind: unlikelihood, weight: 0.5}"])
    assert long.training.objective == UnlikelihoodOptions(weight=0.5)
    assert Recipe.parse(long.model_dump(mode="json"), where="saved") == long
    # a run of before has none, and is one of cross-entropy
    values = load_recipe("cam-rnn").model_dump(mode="json")
    del values["training"]["objective"]
    assert Recipe.parse(values, where="run.json") == load_recipe("cam-rnn")
