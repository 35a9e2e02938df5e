"""Free-running validation, what is refused before training, and Ctrl-C.

Axes: B photos, R regions, C channels, V vocabulary.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

from negah.arrays import FloatArray
from negah.data import Dataset, Example, FeatureStore, build_features
from negah.decoding import DecodingOptions
from negah.errors import DataError, UsageError
from negah.interrupt import Interrupt
from negah.models import CaptionModel, Encoder, load_encoder
from negah.text import EOS, PAD, SOS, UNK, Tokenizer
from negah.training.features import feature_key
from negah.training.inputs import Stored
from negah.training.learner import Learner
from negah.training.validation import Validation, validation_options
from tiny_training import (
    Recorder,
    run_training,
    store_features,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)


class Bench:
    """An encoder with random weights, a captioner that tells pictures apart, a store."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        recipe = tiny_recipe()
        self.examples = tiny_dataset(folder / "pictures").split("dev")
        self.encoder: Encoder = load_encoder(recipe.encoder)
        captions = [caption for example in self.examples for caption in example.captions]
        self.tokenizer: Tokenizer = recipe.text.build(captions)
        learner = Learner(recipe.model, self.encoder, len(self.tokenizer)).eval()
        self.captioner: CaptionModel = learner.captioner

        def encode(pixels_N3HW: FloatArray) -> FloatArray:
            # random weights give next to nothing for any picture: noise instead, by its content
            seeds = [int(abs(pixels_3HW.sum())) for pixels_3HW in pixels_N3HW]
            noise = [np.random.default_rng(s).normal(size=self.encoder.trunk_shape) for s in seeds]
            return np.stack(noise).astype(np.float32)

        self.store: FeatureStore = build_features(
            [example.path for example in self.examples],
            encode,
            feature_key(self.encoder, "plain"),
            folder / "features",
        )
        with torch.no_grad():
            for parameter in self.captioner.parameters():
                parameter.mul_(3.0)

    def validation(self, options: DecodingOptions, batch_size: int = 3) -> Validation:
        read = Stored(self.store, self.examples)
        return Validation(self.examples, read, self.tokenizer, options, batch_size=batch_size)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("validation"))


@torch.no_grad()
def greedy(bench: Bench, example: Example, longest: int) -> str:
    """The plainest loop: one photo, the likeliest word each time."""
    row = bench.store.row(example.path)
    assert row is not None
    trunk = torch.from_numpy(bench.store.read([row]).astype(np.float32))
    memory, state = bench.captioner.start(bench.encoder.tail(trunk)[:, None])
    tokens = [SOS]
    while len(tokens) <= longest:
        output = bench.captioner.step(memory, state, torch.tensor([[tokens[-1]]]))
        logits_V, state = output.logits[0, 0], output.state
        logits_V[[PAD, SOS, UNK]] = -torch.inf
        if len(tokens) == 1:
            logits_V[EOS] = -torch.inf  # a caption has a word at least
        tokens.append(int(logits_V.argmax()))
        if tokens[-1] == EOS:
            break
    return bench.tokenizer.decode(tokens)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_beam_one_is_a_plain_greedy_loop(bench: Bench, batch_size: int) -> None:
    options = validation_options(DecodingOptions(max_length=9), 1)
    done: list[tuple[int, int]] = []
    captions = bench.validation(options, batch_size).captions(
        bench.encoder, bench.captioner, lambda *numbers: done.append(numbers)
    )
    expected = {example.name: greedy(bench, example, 9) for example in bench.examples}
    assert captions == expected
    assert len(set(captions.values())) > 1  # or the test would say nothing
    assert done[-1] == (4, 4)


def test_scores_are_of_the_fresh_captions(bench: Bench) -> None:
    validation = bench.validation(validation_options(DecodingOptions(), 2))
    scores, captions, _ = validation.score(bench.encoder, bench.captioner)
    assert captions == validation.captions(bench.encoder, bench.captioner)
    assert scores.values == validation.scorer.score(captions).values


def test_banned_words_are_looked_up(bench: Bench) -> None:
    free = bench.validation(validation_options(DecodingOptions(), 2))
    word = next(iter(free.captions(bench.encoder, bench.captioner).values())).split()[0]
    options = validation_options(DecodingOptions(banned=(word,)), 2)
    captions = bench.validation(options).captions(bench.encoder, bench.captioner)
    assert not any(word in caption.split() for caption in captions.values())
    with pytest.raises(UsageError, match="unheard"):
        bench.validation(validation_options(DecodingOptions(banned=("unheard",)), 2))


def test_the_search_that_picks_the_best_epoch() -> None:
    """As the recipe decodes, but by beam, one caption, without what only drawing reads."""
    recipe = DecodingOptions(
        method="sample", n_best=5, temperature=0.7, top_k=4, max_length=12, no_repeat_ngram=3
    )
    options = validation_options(recipe, 2)
    assert (options.method, options.beam, options.n_best) == ("beam", 2, 1)
    assert (options.max_length, options.no_repeat_ngram) == (12, 3)
    assert (options.temperature, options.top_k) == (1.0, None)
    with pytest.raises(UsageError, match=r"validation_beam.* a beam of at least 3"):
        validation_options(DecodingOptions(beam=5, required=("a", "b")), 2)


def without_features(dataset: Dataset, folder: Path) -> None:
    run_training(tiny_recipe(), dataset, folder / "run", folder / "features")


def test_one_photo_in_two_parts_is_refused(tmp_path: Path) -> None:
    """Before anything is computed, and also under another name."""
    dataset = tiny_dataset(tmp_path)
    copy = tmp_path / "copy.png"
    copy.write_bytes(dataset.examples[0].path.read_bytes())
    leak = Example("copy.png", copy, ("a copy",), "dev")
    with pytest.raises(DataError, match=r"copy\.png"):
        without_features(Dataset("leaky", (*dataset.examples, leak)), tmp_path)
    assert not (tmp_path / "features").exists()
    assert not (tmp_path / "run").exists()


class Handlers:
    """What Python would call now."""

    @staticmethod
    def now() -> tuple[object, object]:
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: signal.Signals) -> None:
    before = Handlers.now()
    with Interrupt() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), number)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert Handlers.now() == before


def test_asked_once_is_not_asked_for_ever() -> None:
    """One environment may serve several trainings."""
    interrupt = Interrupt()
    with interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
    with interrupt:
        assert not interrupt.asked


def test_another_thread_is_left_in_peace() -> None:
    """Python gives signals to the main thread alone."""
    seen: list[bool] = []

    def work() -> None:
        with Interrupt() as interrupt:
            seen.append(interrupt.asked)

    before = Handlers.now()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert Handlers.now() == before


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shared")
    store_features(root)
    return root


def test_an_unreadable_photo_is_left_out_and_said(shared: Path) -> None:
    """Once, although it is in both views; another data set's failures are not this one's."""
    pictures = shared / "pictures"
    dataset = tiny_dataset(pictures)
    bad = pictures / "bad.png"
    bad.write_bytes(b"no picture")
    example = Example("bad.png", bad, ("a bad one",), "train")
    broken = Dataset("broken", (*dataset.examples, example))
    reporter = Recorder()
    recipe = tiny_recipe("training.epochs=1", "training.warmup_steps=1")
    run_training(recipe, broken, shared / "broken", shared / "features", reporter=reporter)
    said = [text for text in reporter.messages if "could not be read" in text]
    assert len(said) == 1
    assert said[0].startswith("1 photographs or clips could not be read")
    assert "bad.png" in said[0]
    reporter = Recorder()
    tiny_train(shared, "good", recipe=recipe, reporter=reporter)
    assert not reporter.messages


@pytest.mark.parametrize(
    ("part", "words"), [("train", "nothing to train on"), ("dev", "--dev-fraction")]
)
def test_a_part_is_missing(shared: Path, part: str, words: str) -> None:
    dataset = tiny_dataset(shared / "pictures")
    rest = tuple(example for example in dataset.examples if example.split != part)
    with pytest.raises(DataError, match=words):
        run_training(tiny_recipe(), Dataset("half", rest), shared / part, shared / "features")
    assert not (shared / part).exists()
