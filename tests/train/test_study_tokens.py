"""The study of tokens: what unknown words cost, what is misspelt, and its path from end to end."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest

from negah.studies.captioning import prepare_captions
from negah.studies.made import make_photos
from negah.studies.results import Results
from negah.studies.study import Paths
from negah.studies.tokens import STUDY
from negah.studies.tokens.spelling import Speller, length, misspelt, spelled, unknown_captions
from negah.text import CharTokenizer, WordTokenizer

CAPTIONS = ["A dog runs .", "a dog sits", "The man's dog runs!"]


def silent(*_: Any) -> None:
    """No progress."""


def test_characters_are_those_that_all_three_write() -> None:
    assert spelled("The man's dog, runs !") == "the man's dog runs"
    assert length(["A dog .", "a"]) == len("a dog") + len("a") + 2


def test_the_speller_is_a_code() -> None:
    """The probabilities of all characters, the end, and one that never came sum to 1."""
    speller = Speller(CAPTIONS)
    known = {c for text in CAPTIONS for c in spelled(text) if c != " "}
    summed = sum(math.exp(-speller.nats(c)) for c in known)
    summed += math.exp(-speller.nats_of_end()) + math.exp(-speller.nats("€"))
    assert summed == pytest.approx(1)
    assert speller.nats("dog") == pytest.approx(sum(map(speller.nats, "dog")))
    assert speller.nats("€") > speller.nats("m") > speller.nats("d")


def test_unknown_words_are_spelled_and_known_ones_are_free() -> None:
    speller = Speller(CAPTIONS)
    few = WordTokenizer.build(CAPTIONS, min_count=2)  # a dog runs
    every = WordTokenizer.build(CAPTIONS, min_count=1)
    letters = CharTokenizer.build(CAPTIONS, min_count=1, normalize=True)
    assert speller.unknown_nats(every, CAPTIONS) == 0
    assert speller.unknown_nats(letters, CAPTIONS) == 0
    assert speller.unknown_nats(few, ["a dog sits"]) == pytest.approx(
        speller.nats("sits") + speller.nats_of_end()
    )
    # an unknown character is one, and needs no end
    assert speller.unknown_nats(letters, ["a dög"]) == pytest.approx(speller.nats("ö"))
    assert unknown_captions(few, CAPTIONS) == pytest.approx(100 * 2 / 3)
    assert unknown_captions(every, CAPTIONS) == 0


def test_misspelt_words_stand_in_no_training_caption() -> None:
    share, wrong = misspelt(["a dgo runs", "the dgo rusn", "A DOG"], CAPTIONS)
    assert wrong == ["dgo", "rusn"]
    assert share == pytest.approx(100 * 3 / 8)
    assert misspelt([""], CAPTIONS) == (0, [])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of the quick setting; without subwords where their library is not there."""
    root = tmp_path_factory.mktemp("tokens")
    paths = Paths(make_photos(root / "photos"), root / "work", root / "features")
    options = STUDY.options(quick=True)
    prepare_captions(options.captions, paths, silent)
    variants = [
        variant
        for variant in STUDY.variants(options)
        if variant != "subwords" or importlib.util.find_spec("tokenizers")
    ]
    cells = [
        {"variant": v, "seed": 0, **STUDY.run_cell(options, paths, v, 0, silent)} for v in variants
    ]
    return Results({"cells": cells})


def test_every_cell_has_every_measure(results: Results) -> None:
    for variant in results.variants:
        for measure in STUDY.measures:
            (value,) = results.values(variant, measure.name) or [math.nan]
            assert math.isfinite(value), (variant, measure.name)
        assert 0 <= results.values(variant, "misspelt")[0] <= 100  # type: ignore[index]
        # the curve is of other photos, but in the same unit
        (curve,) = results.curves(variant, "dev nats per character")
        assert 0.05 < curve[-1][1] < 5


def test_characters_are_many_and_words_are_never_misspelt(results: Results) -> None:
    words, characters = (results.cell(v, 0)["values"] for v in ("words", "characters"))
    assert characters["tokens"] > 3 * words["tokens"]
    assert characters["vocabulary"] < words["vocabulary"] + 20
    assert words["misspelt"] == 0  # a word of the vocabulary is one of the training captions
    for values in (words, characters):
        assert values["nats_per_character"] >= values["unknown_free"]
        # what a caption costs in all is the same by token and by character
        assert values["nats"] * values["tokens"] > values["unknown_free"]


def test_tables_and_figures(results: Results, tmp_path: Path) -> None:
    tables = STUDY.tables(results)
    assert set(tables) == {"results", "words", "cost", "examples"}
    assert "misspelt words" in tables["examples"]
    drawn = STUDY.figures(results, tmp_path)
    assert [path.name for path in drawn] == [
        "tokens-results.png",
        "tokens-curves.png",
        "tokens-nats.png",
    ]
    assert all(path.stat().st_size > 5_000 for path in drawn)
