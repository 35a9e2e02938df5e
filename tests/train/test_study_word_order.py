"""The study of word order: texts without leaks, what is carried over, and its path to the end."""

from __future__ import annotations

import gzip
import math
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from negah.data import Dataset, Example, load_dataset
from negah.data.sentences import (
    TEXT_FILES,
    Sentence,
    half_of,
    picture_id,
    read_sentences,
    without_held_out,
)
from negah.errors import CheckpointError, DataError, UsageError
from negah.models import load_encoder
from negah.studies.captioning import make_show_tell, open_captions
from negah.studies.made import make_photos
from negah.studies.results import Results
from negah.studies.study import Paths
from negah.studies.word_order import STUDY
from negah.studies.word_order.cells import TextJudge, language_folder, some_photos
from negah.studies.word_order.language import start_from
from negah.studies.word_order.text import made_sentences, open_texts, shuffled
from negah.text import words
from negah.training import load_recipe
from negah.training.initial import read_run
from negah.training.learner import Learner
from tiny_training import tiny_recipe

OPTIONS = STUDY.options(quick=True)


def silent(*_: Any) -> None:
    """No progress."""


# -- sentences ---------------------------------------------------------------------------


def test_sentences_of_plain_and_packed_tables(tmp_path: Path) -> None:
    lines = "12.jpg\tA dog .\n12.jpg\t a cat\n7\t\nvid1\ta\tb\n"
    (tmp_path / "plain.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "packed.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("plain.txt", "packed.tsv.gz"):
        assert list(read_sentences(tmp_path / name)) == [
            Sentence(f"{name}/12.jpg", "A dog ."),
            Sentence(f"{name}/12.jpg", "a cat"),
            Sentence(f"{name}/vid1", "a\tb"),
        ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"no tab\n", "line 1: expected a clip's name, a tab"),
        ("a.txt", b"1\tfine\n\tno id\n", "line 2: expected a clip's name, a tab"),
        ("a.txt", b"1\t" + b"x" * 20_000, "line 1: expected a clip's name, a tab"),
        ("a.txt", b"1\t\xff\xfe\n", "cannot be read"),
        ("a.gz", b"1\tnot packed\n", "cannot be read"),
        ("a.gz", gzip.compress(b"1\ta dog\n" * 99, mtime=0)[:-20], "cannot be read"),
    ],
)
def test_malformed_tables(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_sentences(tmp_path / name))
    with pytest.raises(DataError, match="cannot be read"):
        list(read_sentences(tmp_path / "gone.txt"))


def test_nothing_held_out_is_learned() -> None:
    sentences = [
        Sentence("f/1.jpg", "A dog runs ."),
        Sentence("f/2.jpg", "a dog, runs!"),  # the same words
        Sentence("f/3.jpg", "The cat sits."),  # a test caption in other letters
        Sentence("f/1000268201.jpg", "a girl goes up the stairs"),  # a picture of the data set
        Sentence("f/4.jpg", " . "),
        Sentence("f/5.jpg", "a bird"),
    ]
    left = without_held_out(
        sentences, captions=["the cat sits"], pictures=["1000268201_693b08cb0e.jpg"]
    )
    assert [sentence.text for sentence in left] == ["A dog runs .", "a bird"]
    assert picture_id("flickr30k.tsv.gz/1000268201.jpg") == "1000268201"


def test_halves_are_by_picture_and_for_good() -> None:
    halves = [half_of(f"f/{number}") for number in range(400)]
    assert 150 < sum(halves) < 250
    assert halves[:8] == [half_of(f"f/{number}") for number in range(8)]


def _dataset(*captions: str) -> Dataset:
    return Dataset("d", (Example("a.png", Path("a.png"), captions, "test"),))


def test_generator_and_judge_share_nothing() -> None:
    held_out = made_sentences()[0].text
    texts = open_texts(None, _dataset(held_out), made=True, learned=50, judging=10_000)
    assert len(texts.learned) == 50
    assert texts.kept == texts.read - 1
    assert not {*texts.learned} & {*texts.judging}
    assert held_out not in {*texts.learned, *texts.judging}
    again = open_texts(None, _dataset(held_out), made=True, learned=50, judging=10_000)
    assert again == texts
    with pytest.raises(UsageError, match="--text"):
        open_texts(None, _dataset("a"), made=False, learned=5, judging=5)


@pytest.mark.data
@pytest.mark.parametrize("name", TEXT_FILES)
def test_no_real_sentence_tells_of_a_held_out_photo(name: str, data_root: Path) -> None:
    dataset = load_dataset(data_root / "flickr8k")
    held_out = [c for e in dataset.examples if e.split in ("dev", "test") for c in e.captions]
    pictures = [example.name for example in dataset.examples]
    given = list(islice(read_sentences(data_root / name), 4000))
    left = list(without_held_out(given, captions=held_out, pictures=pictures))
    assert 1000 < len(left) <= len(given)
    assert not {tuple(words(c)) for c in held_out} & {tuple(words(s.text)) for s in left}
    numbers = {picture_id(picture) for picture in pictures}
    assert not any(picture_id(sentence.about) in numbers for sentence in left)
    # Flickr30k contains Flickr8k's training photos
    assert any(picture_id(s.about) in numbers for s in given) == ("flickr30k" in name)


def test_shuffled_captions_have_the_same_words() -> None:
    captions = ["a man rides a red bicycle up the hill .", "dogs run"]
    found = shuffled(captions)
    assert found != captions
    assert [sorted(words(a)) for a in found] == [sorted(words(a)) for a in captions]
    assert found == shuffled(captions)


# -- the study ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    root = tmp_path_factory.mktemp("word-order")
    found = Paths(make_photos(root / "photos"), root / "work", root / "features")
    STUDY.prepare(OPTIONS, found, silent)
    return found


@pytest.fixture(scope="module")
def results(paths: Paths) -> Results:
    cells = [
        {"variant": v, "seed": 0, **STUDY.run_cell(OPTIONS, paths, v, 0, silent)}
        for v in STUDY.variants(OPTIONS)
    ]
    return Results({"cells": cells, "facts": STUDY.facts(OPTIONS, paths, silent)})


def test_a_finished_language_model_is_kept(paths: Paths) -> None:
    best = language_folder(OPTIONS, paths, 0) / "best.safetensors"
    before = best.stat().st_mtime_ns
    told: list[str] = []
    STUDY.prepare(OPTIONS, paths, lambda what, *_: told.append(what))
    assert best.stat().st_mtime_ns == before
    assert not any("model" in what or "judge" in what for what in told)


def test_a_captioner_starts_from_the_language_and_its_own_eyes(paths: Paths) -> None:
    data = open_captions(OPTIONS.captions, paths, silent)
    fresh, ours = (
        make_show_tell(OPTIONS.captions, data.channels, len(data.tokenizer), 5) for _ in range(2)
    )
    start_from(ours, language_folder(OPTIONS, paths, 0))
    for name, weight in fresh.state_dict().items():
        same = torch.equal(weight, ours.state_dict()[name])
        assert same == name.startswith("project."), name
    with pytest.raises(CheckpointError, match="no language model"):
        start_from(ours, paths.work / "gone")


def test_negah_train_starts_from_it_too(paths: Paths) -> None:
    data = open_captions(OPTIONS.captions, paths, silent)
    recipe = load_recipe(
        "show-tell",
        [
            f"model.embedding_size={OPTIONS.captions.embedding_size}",
            f"model.hidden_size={OPTIONS.captions.hidden_size}",
        ],
    )
    encoder = load_encoder(tiny_recipe("encoder.trainable_blocks=0", name="show-tell").encoder)
    learner = Learner(recipe.model, encoder, len(data.tokenizer))
    folder = language_folder(OPTIONS, paths, 0)
    told = learner.start_from(read_run(folder / "best.safetensors"), data.tokenizer)
    assert f"{len(data.tokenizer)} of {len(data.tokenizer)} words are known" in told
    assert "captioner.project.weight" in told  # new: it never saw a picture


def test_shares_are_nested_and_the_same_with_and_without(paths: Paths) -> None:
    data = open_captions(OPTIONS.captions, paths, silent)
    few, more = (some_photos(data, share, seed=1) for share in (0.1, 0.5))
    assert set(few.train.names) < set(more.train.names) < set(data.train.names)
    assert few.train.names == some_photos(data, 0.1, seed=1).train.names
    assert few.test is data.test
    assert few.tokenizer is data.tokenizer
    assert len(some_photos(data, 1.0, seed=1).train.names) == len(data.train.names)


def test_the_judge_tells_order_from_disorder(paths: Paths) -> None:
    judge = TextJudge(
        OPTIONS, paths, channels=open_captions(OPTIONS.captions, paths, silent).channels
    )
    order = ["a red circle which is on the black ground", "a blue bar which is on the red ground"]
    assert judge.perplexity(order) < judge.perplexity(shuffled(order))
    assert judge.perplexity(["a red"]) > 1


def test_every_cell_has_every_measure(results: Results) -> None:
    for variant in results.variants:
        for measure in STUDY.measures:
            (value,) = results.values(variant, measure.name) or [math.nan]
            assert math.isfinite(value), (variant, measure.name)
    assert results.facts["judged"]["shuffled"] > results.facts["judged"]["people"] > 1
    for share in ("10%", "30%", "100%"):
        without, with_it = (results.cell(share + more, 0) for more in ("", ", pretrained"))
        for same in ("photos", "steps", "parameters"):
            assert without["values"][same] == with_it["values"][same]
        assert without["values"]["perplexity"] != with_it["values"]["perplexity"]


def test_tables_verdicts_and_figures(results: Results, tmp_path: Path) -> None:
    assert set(STUDY.tables(results)) == {"results", "words", "cost", "text", "examples"}
    assert "in random order" in STUDY.verdicts(results)[-1]
    (drawn,) = STUDY.figures(results, tmp_path)
    assert drawn.name == "word-order-results.png"
    assert drawn.stat().st_size > 10_000
