"""Trainings in another language: words from what their photos show, sentences before photos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

import negah
from negah.data import Dataset
from negah.errors import DataError, UsageError
from negah.export.backend import open_run
from negah.export.initial import open_initial
from negah.models import EncoderOptions, load_encoder
from negah.models.concepts import Concepts, concept_words
from negah.text import WordTokenizer
from negah.training import load_recipe
from negah.training.batches import Batch
from negah.training.padding import TrunkOutput
from negah.training.sentences import known_sentences
from negah.training.shown import find_shown
from negah.training.words import match_words
from tiny_training import (
    CAM_RNN,
    CHANGES,
    Recorder,
    run_training,
    store_noise,
    tiny_dataset,
    tiny_recipe,
)

COLOURS = {"red": "قرمز", "green": "سبز", "blue": "آبی"}
SHAPES = {"square": "مربع", "stripe": "نوار"}
FROZEN = ("encoder.trainable_blocks=0", "encoder.concepts=5", "training.scheduled_sampling=0")


def persian(dataset: Dataset) -> Dataset:
    """The same pictures, captioned in Persian, with and without half-spaces."""
    examples = []
    for example in dataset.examples:
        _, colour, shape = example.captions[0].split()
        captions = (
            f"یک {SHAPES[shape]} {COLOURS[colour]}",
            f"{SHAPES[shape]} می درخشد و {COLOURS[colour]} است",
            f"{SHAPES[shape]} میدرخشد",
        )
        examples.append(replace(example, captions=captions))
    return Dataset("tiny-fa", tuple(examples))


@dataclass
class Place:
    root: Path
    english: Path
    persian: Path
    told: Recorder = field(default_factory=Recorder)

    def train(self, output: Path, *changes: str) -> Any:
        initial = open_initial(self.english)
        sizes = [one for one in CHANGES if not one.startswith(("encoder.", "model."))]
        recipe = load_recipe(
            "cam-rnn-fa",
            [*sizes, "encoder.concepts=5", "training.learning_rate=0.02", *changes],
            initial,
        )
        dataset = persian(tiny_dataset(self.root / "pictures"))
        features = self.root / "features"
        return run_training(recipe, dataset, output, features, reporter=self.told, initial=initial)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("language")
    found = Place(root, root / "en", root / "fa")
    recipe = tiny_recipe(*CAM_RNN, *FROZEN, "model.concepts=true", "training.learning_rate=0.02")
    dataset = tiny_dataset(root / "pictures")
    store_noise(dataset, recipe, root / "features")
    run_training(recipe, dataset, found.english, root / "features")
    (root / "sentences.txt").write_text(
        "مربع می‌درخشد.\nنوار سبز است\nیک فیل سبز است\nنوار سبز است\nیک نوار آبی است\n" * 3,
        encoding="utf-8",
    )
    # the encoder of the English run has its own key, though its random weights are the same
    store_noise(
        dataset, load_recipe("cam-rnn-fa", [], open_initial(found.english)), root / "features"
    )
    found.train(found.persian, f"text.sentences={root / 'sentences.txt'}")
    return found


def test_a_persian_run_says_so_wherever_it_is_asked(place: Place) -> None:
    stored = json.loads((place.persian / "tokenizer.json").read_text(encoding="utf-8"))
    assert stored["language"] == "fa"
    assert "می\u200cدرخشد" in stored["tokens"]
    backend = open_run(place.persian)
    assert backend.identity.language == "fa"
    assert set(backend.sight.concepts) <= {*COLOURS.values(), *SHAPES.values(), "می\u200cدرخشد"}


def test_it_starts_from_the_model_of_another_language_and_its_sentences(place: Place) -> None:
    text = "\n".join(place.told.messages)
    assert "4 of 13 words are known" in text  # the specials
    assert "start from a similar word" in text
    assert "sentences of sentences.txt read 2 times" in text


def test_both_languages_are_learned_and_scored_by_their_tags(place: Place) -> None:
    english = tiny_dataset(place.root / "pictures")
    said = {e.name: e.captions for e in persian(english).examples}
    both = tuple(
        replace(
            e,
            captions=(*(f"<en> {c}" for c in e.captions), *(f"<fa> {c}" for c in said[e.name])),
        )
        for e in english.examples
    )
    recipe = tiny_recipe(*CAM_RNN, *FROZEN[:1], "text.language=en+fa", "training.epochs=1")
    dataset, features = Dataset("both", both), place.root / "features"
    store_noise(dataset, recipe, features)
    run_training(recipe, dataset, place.root / "both", features)
    last = json.loads((place.root / "both" / "log.jsonl").read_text("utf-8").splitlines()[-1])
    assert {"CIDEr-D", "fa/CIDEr-D", "distinct"} <= last.keys()
    with pytest.raises(UsageError, match=r"learned English and Persian together"):
        negah.load(place.root / "both")
    with pytest.raises(UsageError, match=r"begins with <en>"):
        run_training(recipe, english, place.root / "untagged", features)
    one = tuple(
        replace(e, captions=e.captions[:3]) if e.split == "dev" else e for e in dataset.examples
    )
    with pytest.raises(DataError, match=r"has no caption that begins with <fa>"):
        run_training(recipe, Dataset("one", one), place.root / "one", features)


def test_an_older_run_is_english(place: Place) -> None:
    stored = json.loads((place.english / "tokenizer.json").read_text(encoding="utf-8"))
    assert "language" not in stored
    assert open_run(place.english).identity.language == "en"


class MadeSource:
    """Photos of one region of three channels, each of which shows one of three things."""

    def __init__(self, captions: Sequence[Sequence[str]], shown: Sequence[int]) -> None:
        self.captions = captions
        self._features = torch.eye(3)[list(shown)][:, None] * 6 - 3

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        return TrunkOutput(self._features[torch.from_numpy(batch.photos)])


def test_a_word_starts_from_what_its_photos_show() -> None:
    concepts = Concepts(3, ("dog", "cat", "tree"))
    with torch.no_grad():
        concepts.layer.weight.copy_(torch.eye(3))
        concepts.layer.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    said = {0: "سگ بزرگ", 1: "گربه بزرگ", 2: "درخت"}
    shown = [0, 1, 2] * 5
    source = MadeSource([[said[thing], "یک عکس"] for thing in shown], shown)
    tokenizer = WordTokenizer.build([c for row in source.captions for c in row], language="fa")
    encoder = load_encoder(
        EncoderOptions(name="test_efficientnet", weights="random", size=32, trainable_blocks=0)
    )
    found = find_shown(concepts, encoder, source, tokenizer)  # type: ignore[arg-type]
    assert found.words["سگ"] == ("dog",)
    assert found.words["درخت"] == ("tree",)
    assert set(found.words["بزرگ"]) == {"dog", "cat"}
    assert "عکس" not in found.words  # said of every photo, so it tells nothing

    own = Concepts(3, concept_words(tokenizer, EncoderOptions(concepts=9)))
    found.fill(own)
    at = own.words.index("سگ")
    assert own.layer.weight[at].tolist() == [1, 0, 0]
    assert own.layer.weight[own.words.index("عکس")].tolist() == [0, 0, 0]

    english = WordTokenizer.build(["dog cat tree 5"], min_count=1)
    rows = found.rows(tokenizer, english)
    match = match_words(tokenizer, english, shown=rows)
    assert match.near[tokenizer.encode("سگ")[0]] == english.encode("dog")
    assert tokenizer.encode("عکس")[0] in match.far


def test_sentences_of_unknown_words_and_held_out_ones_are_left_out(tmp_path: Path) -> None:
    tokenizer = WordTokenizer.build(["یک سگ سیاه می دود"], min_count=1, language="fa")
    file = tmp_path / "text.txt"
    file.write_text("یک سگ میدود.\nیک سگ می‌دود\nیک گربه می دود\nسگ سیاه می دود\nسگ\n", "utf-8")
    found = known_sentences(file, tokenizer, longest=24, without=["سگ سیاه می‌دود"])
    assert found == [tokenizer.encode("یک سگ می‌دود")]
    with pytest.raises(DataError, match=r"no sentence of .* consists only of"):
        known_sentences(file, tokenizer, longest=2, without=[])


def test_what_does_not_go_together_is_refused_before_work(place: Place) -> None:
    with pytest.raises(UsageError, match=r"language.*xx"):
        load_recipe("cam-rnn", ["text.language=xx"])
    with pytest.raises(UsageError, match=r"text\.language=en"):
        place.train(place.root / "kept", "initial.keep_words=true", "initial.new_words=near")
    assert np.isfinite(place.told.losses).all()
