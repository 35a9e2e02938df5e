"""Self-critical training: its gradient in closed form, its rewards, its refusals, to the same bits.

Axes: B photos, F frames, R regions, C channels, K samples of each, T tokens, V vocabulary.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch
from torch import Tensor

from common import PATIENCE, REPOSITORY
from negah.bundle import read_bundle
from negah.bundle.card import model_card
from negah.cli.main import run as negah
from negah.data import Dataset
from negah.errors import DataError, UsageError
from negah.export.initial import open_initial
from negah.export.run import CardNotes, load_run, provenance_of
from negah.metrics import DocumentFrequencies, cider_d
from negah.models import CaptionModel, build_captioner, captioner_options, flatten_words
from negah.run_folder import BEST, CHECKPOINT
from negah.runtime.models import bundled_models
from negah.text import (
    EOS,
    PAD,
    SOS,
    UNK,
    Tokenizer,
    WordTokenizer,
    language_of,
    words,
)
from negah.training import load_recipe
from negah.training.checkpoint import load_checkpoint
from negah.training.initial import Initial
from negah.training.objectives import Lesson, Setting
from negah.training.objectives.cross_entropy import forced_logprobs, smoothed
from negah.training.objectives.rewards import END, Rewards
from negah.training.objectives.samples import Samples, draw_samples
from negah.training.objectives.self_critical import (
    SelfCritical,
    SelfCriticalOptions,
    policy_loss,
)
from negah.training.padding import pad_captions
from negah.training.recipe import Recipe
from negah.training.validation import caption_statistics
from tiny_data import TINY, TINY_CAM, make_shapes, tiny_arguments
from tiny_training import (
    CAM_RNN,
    Recorder,
    dev_rows,
    interrupt,
    same_bits,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)

REFERENCES = (
    ("a red dog runs in the park", "a dog in a park", "the red dog is on grass"),
    ("two men play a game", "men with a ball on grass", "two men in red play"),
    ("a cat on a bed",),
)
TOKENIZER: Tokenizer = WordTokenizer.build([c for g in REFERENCES for c in g], min_count=1)


def tiny_captioner(dropout: float = 0.0) -> CaptionModel:
    torch.manual_seed(3)
    values = {
        "kind": "cam-rnn", "embedding_size": 8, "hidden_size": 8, "visual_size": 8,
        "attention_size": 4, "phrase_size": 4, "dropout": dropout, "tie_embeddings": True,
    }  # fmt: skip
    captioner = build_captioner(
        captioner_options(values), channels=5, vocabulary_size=len(TOKENIZER)
    )
    with torch.no_grad():
        for parameter in captioner.parameters():
            parameter.mul_(2.0)
    return captioner


def tiny_lesson(photos: Sequence[int] = (0, 1, 2), step: int = 0) -> Lesson:
    features_BFRC = torch.randn(len(photos), 1, 4, 5, generator=torch.Generator().manual_seed(1))
    ids = [[TOKENIZER.encode(text) for text in REFERENCES[photo]] for photo in photos]
    inputs_BKT, targets_BKT = map(torch.from_numpy, pad_captions(ids))
    return Lesson(features_BFRC, None, inputs_BKT, targets_BKT, torch.tensor(photos), step, 10, 7)


def objective(**options: Any) -> SelfCritical:
    values = {"min_references": 1, "samples": 4, **options}
    setting = Setting(REFERENCES, TOKENIZER, label_smoothing=0.1, max_tokens=9)
    return SelfCritical(SelfCriticalOptions(**values), setting)


def draw(captioner: CaptionModel, lesson: Lesson, samples: int = 4, longest: int = 9) -> Samples:
    return draw_samples(
        captioner, lesson.features_BFRC, lesson.real_BF, TOKENIZER.specials,
        samples=samples, longest=longest, generator=lesson.generator(),
    )  # fmt: skip


# --- samples


def test_log_probabilities_are_those_of_teacher_forcing_and_so_is_their_gradient() -> None:
    """Of clips with padded frames, too; without the tokens that are never drawn."""
    captioner, lesson = tiny_captioner().train(), tiny_lesson()
    lesson.features_BFRC = (
        lesson.features_BFRC.repeat(1, 3, 1, 1) * torch.tensor([1, 2, 9])[None, :, None, None]
    )
    lesson.real_BF = torch.tensor([[True, True, False], [True, True, True], [True, False, False]])
    samples = draw(captioner, lesson)
    starts_BK1 = torch.full_like(samples.tokens_BKT[..., :1], SOS)
    inputs_BKT = torch.cat([starts_BK1, samples.tokens_BKT[..., :-1]], 2)
    logits_NV = captioner(lesson.features_BFRC, inputs_BKT, samples.counts_BKT, lesson.real_BF)
    logits_NV[:, [PAD, SOS, UNK]] = -torch.inf
    is_first_BKT = torch.zeros_like(samples.counts_BKT)
    is_first_BKT[..., 0] = True
    logits_NV[flatten_words(is_first_BKT, samples.counts_BKT), EOS] = -torch.inf
    tokens_N = flatten_words(samples.tokens_BKT, samples.counts_BKT)
    expected_N = logits_NV.log_softmax(-1).gather(1, tokens_N[:, None])[:, 0]
    found_N = flatten_words(samples.logprobs_BKT, samples.counts_BKT)
    torch.testing.assert_close(found_N, expected_N)
    weights = list(captioner.parameters())
    for one, other in zip(
        torch.autograd.grad(found_N.sum(), weights, allow_unused=True),
        torch.autograd.grad(expected_N.sum(), weights, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_sample_ends_once_has_a_word_and_nothing_that_is_never_said() -> None:
    samples = draw(tiny_captioner(), tiny_lesson(), samples=40, longest=6)
    for tokens, counts in zip(
        samples.tokens_BKT.flatten(0, 1).tolist(),
        samples.counts_BKT.flatten(0, 1).tolist(),
        strict=True,
    ):
        said = tokens[: sum(counts)]
        assert counts == sorted(counts, reverse=True)
        assert tokens[len(said) :] == [PAD] * (len(tokens) - len(said))
        assert not {PAD, SOS, UNK} & set(said)
        assert EOS not in said[:-1]
        assert said[0] != EOS
        assert said[-1] == EOS or len(said) == 6
    assert not samples.logprobs_BKT[~samples.counts_BKT].any()
    ended = [EOS in tokens for tokens in samples.tokens_BKT.flatten(0, 1).tolist()]
    assert 0 < sum(ended) < len(ended)  # or the test would say little


def test_words_are_drawn_as_often_as_the_captioner_says() -> None:
    captioner, lesson = tiny_captioner(), tiny_lesson((0,))
    firsts = draw(captioner, lesson, samples=4000, longest=1).tokens_BKT.flatten()
    memory, state = captioner.start(lesson.features_BFRC)
    logits_V = captioner.step(memory, state, torch.tensor([[SOS]])).logits[0, 0]
    logits_V[[PAD, SOS, UNK, EOS]] = -torch.inf
    chances_V = logits_V.softmax(-1).detach()
    shares_V = torch.bincount(firsts, minlength=len(TOKENIZER)) / 4000
    deviations_V = (chances_V * (1 - chances_V) / 4000).sqrt()
    assert ((shares_V - chances_V).abs() <= 4 * deviations_V).all()


def test_draws_depend_on_the_step_and_dropout_is_in_them() -> None:
    plain, dropping = tiny_captioner(), tiny_captioner(0.5).train()
    one, again, other = (draw(plain, tiny_lesson(step=step)) for step in (0, 0, 1))
    assert torch.equal(one.tokens_BKT, again.tokens_BKT)
    assert not torch.equal(one.tokens_BKT[..., :1], other.tokens_BKT[..., :1])
    dropped = draw(dropping, tiny_lesson())
    assert not torch.equal(dropped.logprobs_BKT[..., 0], one.logprobs_BKT[..., 0])
    torch.testing.assert_close(draw(dropping.eval(), tiny_lesson()).logprobs_BKT, one.logprobs_BKT)


# --- rewards


def with_end(texts: Sequence[str]) -> list[list[str]]:
    return [[*words(text), END] for text in texts]


def test_rewards_are_cider_d_with_the_end_token_in_everything() -> None:
    said = ["a red dog in the park", "two men", "a cat on a bed", "a bed"]
    photos = np.array([0, 1, 2, 0])
    found = Rewards(REFERENCES)(with_end(said), photos)
    frequencies = DocumentFrequencies.of([with_end(group) for group in REFERENCES])
    expected = cider_d(
        with_end(said), [with_end(REFERENCES[photo]) for photo in photos], frequencies=frequencies
    )
    np.testing.assert_allclose(found, expected.per_caption)
    assert found.min() >= 0
    assert found[2] == pytest.approx(10)  # the only reference, word for word
    plain = Rewards(REFERENCES, ends=False)([words(text) for text in said], photos)
    expected = cider_d(
        [words(text) for text in said],
        [[words(text) for text in REFERENCES[photo]] for photo in photos],
        frequencies=DocumentFrequencies.of([[words(t) for t in g] for g in REFERENCES]),
    )
    np.testing.assert_allclose(plain, expected.per_caption)


def test_a_caption_that_breaks_off_is_worth_less() -> None:
    """The words of one that ends, without its end."""
    rewarded = Rewards(REFERENCES)
    whole, broken = (rewarded.words("a dog in a park", ends=ends) for ends in (True, False))
    rewards = rewarded([whole, broken], np.array([0, 0]))
    assert rewards[1] < 0.9 * rewards[0]


def test_details_are_content_words_that_a_reference_has() -> None:
    """Of photo 1: two men play game / men ball grass / two men red play: 3.67 in a reference."""
    usual = (4 + 3 + 4) / 3
    captions = with_end(["two men play on the grass", "men men men", "a dog in the park"])
    rewards = Rewards(REFERENCES, details=0.5)
    found = rewards.details(captions, [1, 1, 1])
    np.testing.assert_allclose(found, [4 / usual, 1 / usual, 0])
    photos = np.array([1, 1, 1])
    expected = Rewards(REFERENCES)(captions, photos) + 0.5 * found
    np.testing.assert_allclose(rewards(captions, photos), expected)


def test_samples_are_rewarded_as_text_with_their_end() -> None:
    self_critical = objective()
    ids = [*TOKENIZER.encode("a dog in a park"), EOS, PAD]
    broken = [*TOKENIZER.encode("a dog in a park on a")]
    tokens_BKT = torch.tensor([[ids, broken]])
    samples = Samples(tokens_BKT, torch.zeros(1, 2, 7), tokens_BKT != PAD)
    found = self_critical.reward(samples, torch.tensor([0]))
    captions = [[*words("a dog in a park"), END], words("a dog in a park on a")]
    expected = self_critical.rewards(captions, np.array([0, 0]))
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-6)
    assert found.dtype == torch.float32


# --- loss


def test_the_expected_gradient_is_that_of_the_expected_reward() -> None:
    """Over all pairs of captions of one word: the baseline of the other sample leaves no bias."""
    logits_V = torch.tensor([0.3, -1.0, 0.8, 0.1], dtype=torch.float64, requires_grad=True)
    rewards_V = torch.tensor([0.0, 2.0, 0.7, 5.0], dtype=torch.float64)
    expected = torch.autograd.grad(-(logits_V.softmax(-1) * rewards_V).sum(), logits_V)[0]
    found = torch.zeros(4, dtype=torch.float64)
    for pair in itertools.product(range(4), repeat=2):
        chosen = torch.tensor(pair)
        logprobs = logits_V.log_softmax(-1)[chosen].reshape(1, 2, 1)
        samples = Samples(chosen.reshape(1, 2, 1), logprobs, torch.ones(1, 2, 1, dtype=torch.bool))
        loss = policy_loss(samples, rewards_V[chosen][None])
        chance = logits_V.softmax(-1)[chosen].prod().detach()
        found += chance * torch.autograd.grad(loss, logits_V)[0]
    torch.testing.assert_close(found, expected)


def loss_by_hand(samples: Samples, rewards_BK: Tensor) -> Tensor:
    """Photo by photo, sample by sample, token by token."""
    total, count = torch.zeros(()), 0
    for rewards_K, logprobs_KT, counts_KT in zip(
        rewards_BK, samples.logprobs_BKT, samples.counts_BKT, strict=True
    ):
        for k in range(len(rewards_K)):
            others = [float(r) for other, r in enumerate(rewards_K) if other != k]
            gain = float(rewards_K[k]) - sum(others) / len(others)
            for t in range(int(counts_KT[k].sum())):
                total = total - gain * logprobs_KT[k, t]
                count += 1
    return total / count


@pytest.mark.parametrize("options", [{}, {"eos": False, "details": 0.3}, {"cross_entropy": 0.0}])
def test_the_loss_and_its_gradient_by_hand(options: dict[str, Any]) -> None:
    captioner, lesson, tested = tiny_captioner(0.3), tiny_lesson(), objective(**options)
    weights = list(captioner.parameters())
    captioner.train()
    torch.manual_seed(5)
    loss = tested(captioner, lesson)
    torch.manual_seed(5)  # the same dropout
    forced = smoothed(*forced_logprobs(captioner, lesson, 0.0), 0.1)
    samples = draw(captioner, lesson)
    rewards_BK = tested.reward(samples, lesson.photos)
    share = options.get("cross_entropy", 0.3)
    expected = share * forced.value + (1 - share) * loss_by_hand(samples, rewards_BK)
    torch.testing.assert_close(loss.value, expected)
    for one, other in zip(
        torch.autograd.grad(loss.value, weights, allow_unused=True),
        torch.autograd.grad(expected, weights, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert (loss.total, loss.count) == (forced.total, forced.count)
    texts = [[TOKENIZER.decode(ids) for ids in group] for group in samples.tokens_BKT.tolist()]
    assert loss.log["reward"].item() == pytest.approx(rewards_BK.mean().item())
    length = np.mean([[len(words(text)) for text in group] for group in texts])
    assert loss.log["sample_length"].item() == pytest.approx(length)
    ids = [{tuple(one) for one in group} for group in samples.tokens_BKT.tolist()]
    assert loss.log["distinct_samples"].item() == pytest.approx(sum(map(len, ids)) / 12)


def test_photos_with_few_references_give_cross_entropy_only() -> None:
    captioner, tested = tiny_captioner(), objective(min_references=3)
    lesson = tiny_lesson()
    loss = tested(captioner, lesson)
    enough = replace(lesson, features_BFRC=lesson.features_BFRC[:2])
    samples = draw(captioner, enough)
    rewards_BK = tested.reward(samples, torch.tensor([0, 1]))
    forced = smoothed(*forced_logprobs(captioner, lesson, 0.0), 0.1)
    expected = 0.3 * forced.value + 0.7 * policy_loss(samples, rewards_BK)
    torch.testing.assert_close(loss.value, expected)
    alone = tiny_lesson((2,))
    loss = tested(captioner, alone)
    forced = smoothed(*forced_logprobs(captioner, alone, 0.0), 0.1)
    torch.testing.assert_close(loss.value, 0.3 * forced.value)
    assert not loss.log


def test_one_step_raises_the_chance_of_what_was_worth_more() -> None:
    captioner, tested = tiny_captioner(), objective(cross_entropy=0.0)
    lesson = tiny_lesson((0, 1))
    optimizer = torch.optim.SGD(captioner.parameters(), lr=0.05)
    before = draw(captioner, lesson)
    rewards_BK = tested.reward(before, lesson.photos)
    loss = tested(captioner, lesson)
    optimizer.zero_grad()
    loss.value.backward()
    optimizer.step()
    starts_BK1 = torch.full_like(before.tokens_BKT[..., :1], SOS)
    inputs_BKT = torch.cat([starts_BK1, before.tokens_BKT[..., :-1]], 2)
    with torch.no_grad():
        logits_NV = captioner(lesson.features_BFRC, inputs_BKT, before.counts_BKT)
    logits_NV[:, [PAD, SOS, UNK]] = -torch.inf
    tokens_N = flatten_words(before.tokens_BKT, before.counts_BKT)
    after_N = logits_NV.log_softmax(-1).gather(1, tokens_N[:, None])[:, 0]
    after_BKT = torch.zeros_like(before.logprobs_BKT).movedim(2, 0)
    after_BKT[before.counts_BKT.movedim(2, 0)] = after_N
    after = replace(before, logprobs_BKT=after_BKT.movedim(0, 2))
    assert policy_loss(after, rewards_BK) < policy_loss(before, rewards_BK)


# --- a recipe, and what is refused


def test_the_recipe() -> None:
    recipe = load_recipe("cam-rnn-scst")
    assert recipe.training.objective == SelfCriticalOptions()
    assert recipe.training.objective.signature == (
        "scst|reward:cider-d|df:training|eos:yes|refs:4+|samples:5|baseline:others|ce:0.3"
    )
    changed = SelfCriticalOptions(details=0.5, eos=False, min_references=5, cross_entropy=0.0)
    assert changed.signature == (
        "scst|reward:cider-d+0.5*details|df:training|eos:no|refs:5+|samples:5|baseline:others|ce:0"
    )
    assert recipe.encoder.trainable_blocks == 0
    assert (recipe.initial.follow, recipe.initial.keep_words) == (True, True)
    assert recipe.training.validation_beam == recipe.decoding.beam
    assert Recipe.parse(recipe.model_dump(mode="json"), where="saved") == recipe


@pytest.mark.parametrize(
    ("references", "least", "message"),
    [
        ([("a dog", "the dog")], 1, "a single training photo, so no word distinguishes"),
        ([("a dog", "the dog")] * 3, 1, "all have the same references"),
        ([("a dog",), ("a cat", "the cat")], 4, r"2 at most.*min_references: 2}"),
    ],
)
def test_references_that_reward_nothing_are_refused(
    references: list[tuple[str, ...]], least: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        list(SelfCriticalOptions(min_references=least).check(references))


def test_words_in_another_order_tell_photos_apart() -> None:
    references = [("dog bites man",), ("man bites dog",)]
    (warning,) = SelfCriticalOptions(min_references=1).check(references)
    assert warning.startswith("warning: 2 of 2 training photos have a single reference.")


def test_single_references_are_warned_of_only_where_they_reward() -> None:
    (warning,) = SelfCriticalOptions(min_references=1).check(REFERENCES)
    assert warning.startswith("warning: 1 of 3 training photos have a single reference.")
    assert "min_references=2" in warning
    assert not list(SelfCriticalOptions(min_references=2).check(REFERENCES))


def test_what_is_watched_beside_scores() -> None:
    said = ["a dog in a", "a dog looks at it", "a dog in a", "a dog with its tongue out"]
    found = caption_statistics(said, language_of("en"))
    assert found == {"distinct": 0.75, "words": (4 + 5 + 4 + 6) / 4, "broken_off": 0.5}


# --- a training

#: Three references a photo, and steps that change something within nine of them.
CHANGES = (
    "training.objective={kind: self-critical, samples: 3, min_references: 3}",
    "training.learning_rate=0.002",
    "text.max_tokens=8",
    *CAM_RNN,
)


def scst_recipe(*changes: str) -> Recipe:
    frozen = "training.encoder_learning_rate=0"  # as "encoder.trainable_blocks=0", but with a tail
    return tiny_recipe(*CHANGES, frozen, *changes, name="cam-rnn-scst")


@dataclass(frozen=True)
class Straight:
    """A run that nothing stopped, and where it began."""

    root: Path
    initial: Initial
    told: Recorder

    def train(self, run: str, reporter: Recorder) -> bool:
        recipe = scst_recipe()
        outcome = tiny_train(self.root, run, recipe=recipe, reporter=reporter, initial=self.initial)
        return outcome.finished


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Straight:
    root = tmp_path_factory.mktemp("self-critical")
    rate = "training.learning_rate=0.02"
    tiny_train(root, "first", "training.epochs=3", rate)
    found = Straight(root, open_initial(root / "first"), Recorder())
    assert found.train("whole", found.told)
    return found


def test_what_a_run_tells(straight: Straight) -> None:
    assert straight.told.messages[0].startswith(f"starting from {straight.initial.name}")
    signature = scst_recipe().training.objective.signature
    facts = json.loads((straight.root / "whole" / "run.json").read_text(encoding="utf-8"))
    assert facts["objective"] == signature
    rows = dev_rows(straight.root / "whole")
    assert [row["objective"] for row in rows] == [signature] * 3
    assert all(
        {"words", "broken_off", "distinct", "CIDEr-D", "BLEU-4"} <= row.keys() for row in rows
    )
    first = json.loads((straight.root / "first" / "run.json").read_text(encoding="utf-8"))
    assert "objective" not in first
    assert "objective" not in dev_rows(straight.root / "first")[0]


def test_the_tail_stays_as_the_first_run_left_it(straight: Straight) -> None:
    before, _ = load_checkpoint(straight.root / "first" / BEST)
    after, _ = load_checkpoint(straight.root / "whole" / BEST)
    tails = [name for name in before if name.startswith("tail.")]
    assert tails
    assert all(torch.equal(before[name], after[name]) for name in tails)
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_interrupted_equals_uninterrupted(straight: Straight) -> None:
    """Within an epoch and at its last step."""
    run, losses = "stopped", list[float]()
    for steps in (2, 4):
        reporter = Recorder(steps, interrupt)
        assert not straight.train(run, reporter)
        losses += reporter.losses
    reporter = Recorder()
    assert straight.train(run, reporter)
    assert losses + reporter.losses == straight.told.losses
    for name in (CHECKPOINT, BEST):
        same_bits(straight.root / run / name, straight.root / "whole" / name)
    assert dev_rows(straight.root / run) == dev_rows(straight.root / "whole")


class LostError(Exception):
    """No chance to save."""


def lose() -> None:
    raise LostError


def test_a_step_that_is_lost_is_made_again(straight: Straight) -> None:
    with pytest.raises(LostError):
        straight.train("lost", Recorder(5, lose))
    assert load_checkpoint(straight.root / "lost" / CHECKPOINT)[1]["step"] == 4
    assert straight.train("lost", Recorder())
    for name in (CHECKPOINT, BEST):
        same_bits(straight.root / "lost" / name, straight.root / "whole" / name)


def test_no_start_is_refused_before_anything_is_computed(straight: Straight) -> None:
    before = set((straight.root / "features").iterdir())
    recipe = scst_recipe("training.flips=false", "encoder.trainable_blocks=0")
    with pytest.raises(UsageError, match=r"no initial weights are given.*--init runs/cam-rnn"):
        tiny_train(straight.root, "nothing", recipe=recipe)
    assert not (straight.root / "nothing").exists()
    assert set((straight.root / "features").iterdir()) == before


def test_an_unfinished_start_is_warned_of(straight: Straight) -> None:
    root = straight.root
    tiny_train(root, "half", reporter=Recorder(4, interrupt))
    reporter = Recorder(1, interrupt)
    half = open_initial(root / "half")
    tiny_train(root, "early", recipe=scst_recipe(), reporter=reporter, initial=half)
    assert reporter.messages[0].startswith(f"warning: the training of {root / 'half'} has not end")


def test_a_refused_data_set_leaves_no_run(straight: Straight, monkeypatch: Any) -> None:
    """So that the same command works once the data are right."""
    whole = tiny_dataset(straight.root / "pictures")
    one = tuple(replace(example, captions=example.captions[:1]) for example in whole.examples)
    monkeypatch.setattr("tiny_training.tiny_dataset", lambda folder: Dataset("one", one))
    with pytest.raises(DataError, match="they have 1 at most"):
        straight.train("few", Recorder())
    assert not (straight.root / "few").exists()


# --- the command line, as docs/training.md has it

PAGE = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
#: The first block is run by test_readme.py, those of distillation by test_training_distillation.py.
_HERE = re.sub(r"\n## Distillation\n.*?(?=\n## )", "", PAGE, flags=re.DOTALL)
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", _HERE, flags=re.DOTALL)[1:]).splitlines()
#: Of those, what starts processes of its own, and so cannot be run in the one that tests.
SEVERAL = [COMMANDS.pop(at) for at in reversed(range(len(COMMANDS))) if "--devices" in COMMANDS[at]]


class Place(NamedTuple):
    """The folder, the exit codes of the page's commands, and what they printed."""

    folder: Path
    codes: list[int]
    told: str


def tell(command: str, *more: str) -> int:
    """Run a command of the page, tiny where it trains."""
    arguments = shlex.split(command)[1:]
    if arguments[0] == "train":
        tiny = TINY_CAM if "cam-rnn" in command else (*TINY, "encoder.trainable_blocks=1")
        recipes_own = ["training.learning_rate"]
        if "cam-rnn-photo" in command:  # frozen, and the encoder of the run before
            recipes_own += ["encoder.trainable_blocks", "encoder.weights"]
        changes = [change for change in tiny if change.partition("=")[0] not in recipes_own]
        arguments += [*tiny_arguments((*changes, "training.epochs=1")), "--no-export"]
        arguments += ["--device", "cpu", "--threads", "1"]
    return negah([*arguments, *more])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Place:
    """Where the page's reader stands when all is done: photos with four captions each, runs."""
    place = tmp_path_factory.mktemp("page")
    data = make_shapes(place / "my-photos")
    rows = (data / "captions.csv").read_text(encoding="utf-8").splitlines()
    more = [re.sub("a (.*) on a white ground", r"the \1", row) for row in rows[1::2]]
    more += [re.sub("a (.*) on a white ground", r"one \1 on white", row) for row in rows[1::2]]
    (data / "captions.csv").write_text("\n".join(rows + more) + "\n", encoding="utf-8")
    told = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(told):
        patch.chdir(place)
        codes = [tell(command) for command in COMMANDS]
    return Place(place, codes, told.getvalue())


@pytest.mark.heavy
def test_several_processes_by_one_command(tmp_path: Path) -> None:
    make_shapes(tmp_path / "my-photos")
    (command,) = SEVERAL
    arguments = [*shlex.split(command)[1:], *tiny_arguments((*TINY_CAM, "training.epochs=1"))]
    done = subprocess.run(
        [sys.executable, "-m", "negah", *arguments, "--no-export", "--threads", "1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trained 1 epoch") + done.stdout.count("trained 1 epoch") == 1


def test_the_commands_of_the_page(place: Place) -> None:
    assert [command.split()[1] for command in COMMANDS] == [
        "train", "train", "evaluate", "train", "train", "tune", "train", "train",
    ]  # fmt: skip
    assert place.codes == [0] * len(COMMANDS), place.told
    assert "runs/cam-rnn-scst trained 1 epoch" in place.told
    assert "expected on other photos:" in place.told
    facts = json.loads((place.folder / "runs/cam-rnn-scst/run.json").read_text(encoding="utf-8"))
    signature = load_recipe("cam-rnn-scst").training.objective.signature
    assert facts["objective"] == signature
    assert signature in PAGE


def test_the_model_card_says_how(place: Place) -> None:
    config = read_bundle(bundled_models()["negah-photo"]).config
    assert "Objective" not in model_card(config)
    provenance = provenance_of(load_run(place.folder / "runs" / "cam-rnn-scst"), CardNotes())
    card = model_card(config.model_copy(update={"provenance": provenance}))
    signature = load_recipe("cam-rnn-scst").training.objective.signature
    assert f"Seeds: 0.\nObjective: `{signature}`." in card


def test_one_caption_a_photo(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused by the recipe, with what to change; then done with a warning."""
    monkeypatch.chdir(place.folder)
    header, *rows = Path("my-photos/captions.csv").read_text(encoding="utf-8").splitlines()
    first = {row.split(",")[0]: row for row in rows}
    Path("few.csv").write_text("\n".join([header, *first.values()]) + "\n", encoding="utf-8")
    command = (
        COMMANDS[1].replace("my-photos/", "few.csv") + " --images my-photos/images -o runs/few"
    )
    assert tell(command) == 1
    said = capsys.readouterr().err
    (change,) = re.findall(r'--set "([^"]*)"', said)
    assert "none of the 12 training photos has" in said
    assert not Path("runs/few").exists()
    assert tell(command, "--set", change) == 0
    assert "warning: 12 of 12 training photos have a single reference" in capsys.readouterr().err


def test_without_a_start(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place.folder)
    assert tell("negah train cam-rnn-scst --data my-photos/ --output runs/none") == 2
    assert "no initial weights are given" in capsys.readouterr().err
    assert not Path("runs/none").exists()
