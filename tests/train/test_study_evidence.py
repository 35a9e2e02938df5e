"""The study of attention and gate: its measures against counts by hand, and its parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")


from negah.data.box_files import Box
from negah.data.synth import SynthOptions, judge, make_clip
from negah.data.synth.grammar import read_caption, with_mentions
from negah.data.synth.scene import COLOURS
from negah.decoding import DecodingOptions, Hypothesis
from negah.errors import UsageError
from negah.evidence.subject import Subject, teacher_forced
from negah.evidence.view import View
from negah.models import CamRnn, CamRnnOptions
from negah.models.adapter import FeatureBackend
from negah.models.seeding import seeded
from negah.studies import find_study
from negah.studies.evidence import STUDY
from negah.studies.evidence.asked import Request, read_to
from negah.studies.evidence.boards import is_there, map_row
from negah.studies.evidence.looks import looks, without_each_cell
from negah.studies.evidence.photos import depends_on, measure_photos, measured_part
from negah.studies.evidence.study import VARIANTS
from negah.studies.evidence.support import Asked, exchanges, need, ranked
from negah.studies.evidence.telling import FACT_TABLES, sentences
from negah.studies.pages import made_parts
from negah.studies.results import Results
from negah.studies.study import Captioned
from negah.studies.tables import fact_tables
from negah.text import WordTokenizer
from quick_study import quick_results
from tiny_data import make_shapes

pytestmark = pytest.mark.usefixtures("one_thread")

CLIPS = [make_clip(3, number, SynthOptions()) for number in range(8)]
WORDS = WordTokenizer.build([one.text for clip in CLIPS for one in clip.captions], min_count=1)


def silent(*_: Any) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def backend() -> FeatureBackend:
    """A captioner that has learned nothing; its gate and attention are there all the same."""
    options = CamRnnOptions(
        embedding_size=8, hidden_size=8, visual_size=8, attention_size=8, phrase_size=8
    )
    with seeded(0):
        captioner = CamRnn(options, 6, len(WORDS)).eval()
    return FeatureBackend(captioner, WORDS, DecodingOptions(method="greedy"), (5, 5))


def features(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=(count, 8, 25, 6)).astype(np.float32)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: str(clip.scene.number))
def test_an_exchange_makes_one_word_wrong(clip: Any) -> None:
    every = list(exchanges(clip, 0))
    assert len(every) == 2
    for one in every:
        words = one.true.text.split()
        assert words[one.place] != one.word
        assert judge(one.true, clip.scene).exact
        seen = " ".join([*words[: one.place], one.word])
        # no true caption of the clip begins so
        assert not any(told.text.startswith(seen + " ") for told in clip.captions)
        if one.word in COLOURS:
            colours = [word for word in [*words[: one.place], one.word] if word in COLOURS]
            assert colours == sorted(colours, key=list(COLOURS).index), "the order gives it away"
            assert one.word not in words


def test_a_sentence_is_said_of_other_things() -> None:
    for caption in CLIPS[0].captions:
        first, second = CLIPS[1].captions[0].mentions
        other = with_mentions(caption, (first, second))
        found = read_caption(other.text)
        assert found is not None
        assert found.mentions == (first, second)
        assert with_mentions(other, caption.mentions) == caption


def test_the_gate_cannot_tell_which_word_comes(backend: FeatureBackend) -> None:
    """It is computed before the word is chosen, and so are the weights of attention."""
    one = next(exchanges(CLIPS[0], 0))
    tokens = WORDS.encode(one.true.text)
    wrong = [*tokens[: one.place], *WORDS.encode(one.word)]
    requests = [Request([0], tokens), Request([0], wrong)]
    true_gate, wrong_gate = (
        answer.gate_T[one.place] for answer in read_to(backend, features(1), requests)
    )
    assert true_gate == wrong_gate


def test_reading_gives_what_teacher_forcing_does(backend: FeatureBackend) -> None:
    tokens = WORDS.encode(CLIPS[0].captions[0].text)
    requests = [Request([2, 1], tokens[:3]), Request([0, 1], tokens)]
    short, answer = read_to(backend, features(3), requests)
    assert short.logprobs_XTV.shape[:2] == (2, 3)
    expected_XT = teacher_forced(backend, features(3)[:2], tokens)
    found_XT = np.take_along_axis(answer.logprobs_XTV, np.array(tokens)[None, :, None], 2)[..., 0]
    assert np.allclose(found_XT, expected_XT, atol=1e-5)
    assert ((answer.gate_T > 0) & (answer.gate_T < 1)).all()


def test_a_cell_is_taken_from_one_frame(backend: FeatureBackend) -> None:
    tokens = tuple(WORDS.encode(CLIPS[0].captions[0].text)[:3])
    features_FRC = features(1)[0]
    falls_TFHW = without_each_cell(Subject(backend, (), features_FRC, tokens))
    assert falls_TFHW.shape == (3, 8, 5, 5)
    changed_FRC = features_FRC.copy()
    changed_FRC[6, 7] = features_FRC.mean((0, 1))
    whole_T, without_T = teacher_forced(backend, np.stack([features_FRC, changed_FRC]), tokens)
    odds = [one - np.log(-np.expm1(one)) for one in (whole_T, without_T)]
    assert np.allclose(falls_TFHW[:, 6, 1, 2], odds[0] - odds[1], atol=1e-4)


def test_looks_are_judged_against_truth(backend: FeatureBackend) -> None:
    """Attention that lies on the first thing alone is right about its words."""
    clip = next(one for one in CLIPS if one.scene.layout == "in turn")
    statement = clip.captions[0]
    judgement = judge(statement, clip.scene)
    tokens = tuple(WORDS.encode(statement.text))
    regions_TFR = np.full((len(tokens), 8, 25), 0.04, np.float32)
    frames_TF = np.zeros((len(tokens), 8), np.float32)
    frames_TF[:, 0] = 1
    said = Hypothesis(
        tokens, (0.0,) * len(tokens), 0.0, {"regions": regions_TFR, "frames": frames_TF}, True
    )
    values = looks(backend, [(said, statement, judgement, clip)], features(1), 5, silent)
    assert set(values) >= {
        f"{kind}_{how}"
        for kind in ("point", "time", "turn")
        for how in ("attention", "occlusion", "cells", "chance")
    }
    # frame 0 is of the first shot: none of the second thing's words is right
    assert 0 < values["time_attention"] < 100
    assert values["time_attention"] == values["turn_attention"]
    assert 0 < values["point_chance"] < values["time_chance"] < 100


def asked(true: bool, number: int, logprob: float) -> Asked:
    return Asked(number, true, (logprob, logprob / 2, 0.5, logprob / 3))


def test_true_words_are_ranked() -> None:
    words = [asked(n % 2 == 0, n, (n % 2 == 0) - n / 1000) for n in range(60)]
    found = ranked(words, "own")
    assert found["own_logprob"] == found["own_lift"] == 100
    assert found["own_gate"] == 50
    assert found["own_all"] > 95
    assert ranked(words[::2], "own") == {}, "where all is true nothing is to be told apart"


def test_words_that_need_the_picture() -> None:
    visual = [(0.0, 2.0 + n, 0.9 - n / 100, 0.0) for n in range(4)]
    function = [(0.0, 0.1 * n, 0.1, 0.0) for n in range(4)]
    found = need(visual, function)
    assert found["need_lift"] == found["need_gate"] == 100
    assert found["gate_lift_visual"] == pytest.approx(-1)
    assert "need_gate" not in need([(0.0, 1.0, np.nan, 0.0)], [(0.0, 0.0, np.nan, 0.0)])


def test_a_clip_of_photographs_has_a_right_one() -> None:
    dog = (Box("dog", 0.0, 0.0, 0.3, 0.3),)
    map_TFHW = np.zeros((1, 8, 4, 4), np.float32)
    map_TFHW[0, 5, 0, 0] = 1
    whole = View(0, 0, 1, 1)
    second = map_row({"occlusion": map_TFHW}, 0, 1, whole, dog)
    assert second["time_occlusion"] == second["point_occlusion"] == 1
    assert second["point_chance"] < 0.5 == second["time_chance"]
    assert map_row({"occlusion": map_TFHW}, 0, 0, whole, dog)["time_occlusion"] == 0
    assert is_there("puppy", [Box("dog", 0, 0, 1, 1)], dog)
    assert not is_there("dog", [Box("cat", 0, 0, 1, 1)], dog)


def test_photographs_are_measured(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_shapes(tmp_path / "shapes")
    objects = tmp_path / "boxes.jsonl"
    lines = [
        {"image": path.name, "width": 80, "height": 80, "objects": [["dog", 8, 8, 40, 40]]}
        for path in sorted((data / "images").iterdir())
    ]
    objects.write_text("\n".join(map(json.dumps, lines)))
    captioned = Captioned(data, None, objects, str(tiny_bundle))
    found = measure_photos(captioned, 3, silent)
    assert found["photos"] == found["boxed"] == 3
    assert set(found["auc"]) == {"things", "content words"}
    assert "nan" not in "".join(fact_tables(FACT_TABLES, {"photos": found}).values())
    before = depends_on(captioned, 3)
    assert depends_on(captioned, 2) != before
    objects.write_text(objects.read_text().replace("dog", "cat"))
    assert depends_on(captioned, 3) != before
    with pytest.raises(UsageError, match="no photo"):
        measured_part(captioned, 0)


FACTS = {
    "photos": {
        "model": "negah-photo",
        "photos": 253,
        "pointing": {"all": {"occlusion": [0.8, 0.7, 0.9, 9], "attention": [0.6, 0.5, 0.7, 9],
                             "chance": [0.4, 0.3, 0.5, 9]}},
        "auc": {"things": {"words": 9, "supported": 0.8,
                           "auc": {"gate": [0.3, 0.2, 0.4, 9], "logprob": [0.8, 0.7, 0.9, 9]}}},
    },
    "boards": {"model": "negah-video", "clips": 5,
               "time": {"occlusion": [0.9, 0.8, 1.0, 9], "chance": [0.5, 0.5, 0.5, 9]},
               "point": {"occlusion": [0.7, 0.6, 0.8, 9], "chance": [0.2, 0.1, 0.3, 9]}},
}  # fmt: skip


def test_sentences_follow_the_numbers() -> None:
    cells = [
        {"variant": variant, "seed": seed,
         "values": {"point_attention": 90.0, "point_occlusion": 80.0 + seed, "point_cells": 96.0,
                    "own_all": 70.0, "own_gate": 50.0}}
        for variant in VARIANTS for seed in (0, 1, 2)
    ]  # fmt: skip
    said = "\n".join(sentences(Results({"cells": cells, "facts": FACTS})))
    assert "attention 90.0%, occlusion 81.0 ± 2.5% (worse by 9.0 ± 2.5)" in said
    assert "the target of 95 is reached" in said
    assert "the target of 95 is missed" in said
    assert "by the gate in 0.30 (0.20 to 0.40), below chance" in said
    assert "found by occlusion in 0.90 (0.80 to 1.00), by attention in –; chance 0.50" in said


def test_tables_of_finished_models() -> None:
    tables = fact_tables(FACT_TABLES, FACTS)
    assert tables["pointing"].splitlines() == [
        "|  | things, 9 words |",
        "| --- | --- |",
        "| occlusion | 0.80 (0.70 to 0.90) |",
        "| attention | 0.60 (0.50 to 0.70) |",
        "| chance | 0.40 (0.30 to 0.50) |",
    ]
    assert tables["ranking"].splitlines() == [
        "|  | things: 9 words, 80% supported |",
        "| --- | --- |",
        "| gate | 0.30 (0.20 to 0.40) |",
        "| log-probability | 0.80 (0.70 to 0.90) |",
    ]
    assert tables["boards"].splitlines() == [
        "| 9 words of 5 clips | the right photograph | and on the thing |",
        "| --- | --- | --- |",
        "| occlusion | 0.90 (0.80 to 1.00) | 0.70 (0.60 to 0.80) |",
        "| chance | 0.50 | 0.20 (0.10 to 0.30) |",
    ]
    assert tables["clips"] == ""
    assert set(fact_tables(FACT_TABLES, {}).values()) == {""}


@pytest.mark.heavy
def test_from_end_to_end(tmp_path: Path) -> None:
    assert find_study("evidence") is STUDY
    results = quick_results(STUDY, tmp_path)
    parts = made_parts(STUDY, results)
    assert "nan" not in "".join(parts.values())
    assert STUDY.figures(Results(results), tmp_path)
    kept = sorted(tmp_path.glob("work/trained-*/*.npz"))
    assert len(kept) == len(VARIANTS)
    before = [path.stat().st_mtime_ns for path in kept]
    again = quick_results(STUDY, tmp_path)
    assert [one["values"] for one in again["cells"]] == [one["values"] for one in results["cells"]]
    assert [path.stat().st_mtime_ns for path in kept] == before, "trained again"
