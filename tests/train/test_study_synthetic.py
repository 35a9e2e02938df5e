"""The study on made clips: its measures against counts by hand, its path from end to end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from common import REPOSITORY
from negah.data.synth import SynthOptions, cells_of, make_clip, thing_boxes
from negah.data.synth.grammar import true_captions
from negah.decoding import Hypothesis
from negah.errors import UsageError
from negah.studies.pages import made_parts
from negah.studies.results import Results, estimate
from negah.studies.synthetic import STUDY
from negah.studies.synthetic import measure as measuring
from negah.studies.synthetic.learn import build_variant, train_variant
from negah.studies.synthetic.measure import area_under_curve
from negah.studies.synthetic.options import VARIANTS, WITHOUT_PREVIOUS, SyntheticOptions
from negah.studies.synthetic.vision import QUESTIONS, cell_labels
from negah.studies.synthetic.world import make_world
from quick_study import quick_results

PAGES = REPOSITORY / "docs" / "studies"
QUICK = STUDY.quick


def silent(*_: Any) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "work"
    make_world(QUICK, folder, silent)
    return folder


@pytest.mark.parametrize(
    ("positive", "negative", "area"),
    [
        ([0.9, 0.8], [0.1, 0.2], 1.0),
        ([0.1], [0.9, 0.8], 0.0),
        ([0.5, 0.5], [0.5], 0.5),
        ([0.1, 0.4, 0.35, 0.8], [0.1, 0.3], 0.8125),  # 6.5 of 8 pairs
    ],
)
def test_area_under_curve(positive: list[float], negative: list[float], area: float) -> None:
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert area_under_curve(positive, negative) == pytest.approx(area) == np.mean(pairs)


def test_estimate_is_students() -> None:
    found = estimate([1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3)
    assert found.half == pytest.approx(4.303 * np.std([1, 2, 4], ddof=1) / math.sqrt(3))
    assert estimate([3.0]).half is None
    assert not estimate([3.0]).beyond_zero


def test_features_are_asked_for_what_is_there() -> None:
    options = SynthOptions()
    for number in range(12):
        clip = make_clip(1, number, options)
        labels = cell_labels(clip, 5)
        for frame, kind in enumerate(clip.scene.kinds):
            colours = {QUESTIONS["colour"][i] for i in labels["colour"][frame]} - {"none"}
            if kind == "scene":
                seen = {
                    thing.colour
                    for n, thing in enumerate(clip.scene.things)
                    if frame in dict(thing_boxes(clip.scene, clip.rendered, n, acting=False))
                }
                assert colours <= seen
            elif kind != "other":
                assert not colours


def test_looks_are_counted_against_truth() -> None:
    """A captioner that looks at one cell of the first thing is right about that thing alone."""
    for clip in (make_clip(2, number, SynthOptions()) for number in range(99)):
        frame, box = thing_boxes(clip.scene, clip.rendered, 0, acting=True)[0]
        cell = int((box[1] + box[3]) / 2 * 5) * 5 + int((box[0] + box[2]) / 2 * 5)
        beside = dict(thing_boxes(clip.scene, clip.rendered, 1, acting=False)).get(frame)
        if clip.scene.layout == "together" and beside and cell not in cells_of(beside, 5):
            break
    statement = true_captions(clip.scene)[0]
    part = int(statement.mentions[0].colour != clip.scene.things[0].colour)
    words = len(statement.words)
    frames_TF = np.zeros((words, 8), np.float32)
    regions_TFR = np.zeros((words, 8, 25), np.float32)
    frames_TF[:, frame], regions_TFR[:, :, cell] = 1, 1
    said = Hypothesis((), (), 0.0, {"frames": frames_TF, "regions": regions_TFR}, True)
    judgement = measuring.judge(statement, clip.scene)
    looks = measuring.looks_of([said], [statement], [judgement], [clip], 5)
    visual = [w for w in statement.words if w.role in ("object", "action")]
    own = sum(w.part == part for w in visual)
    assert looks["pointing_words"] == len(visual)
    assert looks["pointing"] == looks["pointing_together"]
    assert looks["pointing"] / 100 * len(visual) >= own - 1e-9
    assert looks["thing"] / 100 == pytest.approx(own / len(visual))
    assert 0 < looks["pointing_chance"] < looks["temporal_chance"] <= 100


def test_every_variant_learns_something(work: Path) -> None:
    torch.manual_seed(0)
    world = make_world(QUICK, work, silent)
    for variant in VARIANTS:
        captioner, losses = train_variant(variant, 0, world, QUICK.training, silent)
        assert losses[-1] < losses[0]
        if variant == WITHOUT_PREVIOUS:
            assert captioner.regions is not None
            assert not captioner.regions.previous.any()


def test_a_seed_gives_the_same_captioner_again(work: Path) -> None:
    world = make_world(QUICK, work, silent)
    runs = [train_variant("CAM", 1, world, QUICK.training, silent) for _ in range(2)]
    assert runs[0][1] == runs[1][1]
    assert build_variant("CAM", world, QUICK.training).options.region_query == "none"


def test_frames_must_fit_the_features(tmp_path: Path) -> None:
    options = SyntheticOptions(synth=SynthOptions(size=96, grid=5))
    with pytest.raises(UsageError, match="set size to 80"):
        make_world(options, tmp_path, silent)


def test_from_end_to_end(work: Path, tmp_path: Path) -> None:
    """In this process, with the clips that are made: the harness and the command have tests."""
    results = Results(quick_results(STUDY, work.parent))
    assert results.variants == ["None", "Frame", "CAM, hidden"]
    for measure in ("exact", "attributes", "grammatical", "bleu_4", "cider_d", "parameters"):
        assert results.having(measure) == results.variants, measure
    assert results.having("temporal") <= results.variants[1:]
    drawn = STUDY.figures(results, tmp_path)
    assert [path.name for path in drawn] == [
        f"synthetic-{name}.png" for name in ("captions", "attention", "look")
    ]
    for path in drawn:
        with Image.open(path) as image:
            assert min(image.size) > 200
    assert STUDY.tables(results)["features"].count("|") == 3 * 7


def test_verdicts_follow_the_numbers() -> None:
    exact = {"None": [10, 20, 30], "Frame": [30, 40, 50], "Visual": [20, 40, 70]}
    cells = [
        {"variant": variant, "seed": seed, "values": {"exact": value}}
        for variant, values in exact.items()
        for seed, value in enumerate(values)
    ]
    facts = {"features": dict.fromkeys(QUESTIONS, 1.0)}
    assert STUDY.verdicts(Results({"cells": cells, "facts": facts})) == [
        "Frame attention against none (Frame − None): exact, % +20.0, better.",
        "Bottom-up region attention against frames alone (Visual − Frame): exact, % +3.3 ± 37.9, "
        "no significant difference (3 seeds).",
    ]


def test_the_page_is_made_of_the_results() -> None:
    results = json.loads((PAGES / "synthetic.json").read_text(encoding="utf-8"))
    text = (PAGES / "synthetic.md").read_text(encoding="utf-8")
    assert {"results", "attention", "features", "verdicts"} <= made_parts(STUDY, results).keys()
    assert results["verdicts"] == STUDY.verdicts(Results(results))
    for name in ("captions", "attention", "look"):
        assert (PAGES / f"synthetic-{name}.png").is_file()
        assert f"synthetic-{name}.png" in text
