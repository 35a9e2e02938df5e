"""What the ablation measures of attention and probabilities, on photos whose truth is known."""

from __future__ import annotations

import csv
import json
import shutil
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="studies need the train extra")

import torch

from negah.models import CamRnn, CamRnnOptions
from negah.studies.ablation.evidence import boxed_photos, measure_evidence
from negah.studies.captioning import open_captions, prepare_captions, quick_captions
from negah.studies.captioning.data import CaptionData
from negah.studies.captioning.options import CaptionOptions
from negah.studies.made import make_photos
from negah.studies.study import Paths

pytestmark = pytest.mark.usefixtures("one_thread")


def silent(*_: Any) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """Made photos, and three of them as the boxed ones beside the texts."""
    folder = tmp_path_factory.mktemp("ablation")
    photos = make_photos(folder / "photos")
    boxed = folder / "coco"
    (boxed / "images").mkdir(parents=True)
    names = ["red-circle-white.png", "blue-bar-black.png", "green-square-grey.png"]
    lines = []
    for name in names:
        shutil.copy(photos / "images" / name, boxed / "images" / name)
        shape = name.split("-")[1]
        objects = [[shape, 14, 14, 36, 36]]
        lines.append(json.dumps({"image": name, "width": 64, "height": 64, "objects": objects}))
    (boxed / "boxes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with (boxed / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["image", "caption"], *([name, "a thing"] for name in names)])
    return Paths(photos, folder / "work", folder / "features", folder)


@pytest.fixture(scope="module")
def setting(paths: Paths) -> tuple[CaptionOptions, CaptionData]:
    # no maximum of a map of one cell could miss
    o = quick_captions(size=128)
    prepare_captions(o, paths, silent)
    return o, open_captions(o, paths, silent, regions=True)


def captioner(data: CaptionData, **parts: Any) -> CamRnn:
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8, "visual_size": 8, "attention_size": 4}
    options = CamRnnOptions(**{**sizes, "phrase_size": 4, **parts})
    return CamRnn(options, data.channels, len(data.tokenizer)).eval()


class Says(CamRnn):
    """Always says one caption, whatever it sees, with attention on one cell."""

    def __init__(self, data: CaptionData, words: str, cell: int) -> None:
        known = captioner(data)
        super().__init__(known.options, data.channels, len(data.tokenizer))
        ends = data.tokenizer.encode(words)
        self.said = [*ends, data.tokenizer.specials.end]
        self.looked_at = cell
        self.eval()

    def start(self, features_BFRC: Any, real_BF: Any = None) -> Any:
        memory, state = super().start(features_BFRC, real_BF)
        return memory, {**state, "place": torch.zeros(len(features_BFRC), 1, 1, dtype=torch.long)}

    def step(self, memory: Any, state: Any, tokens_BK: Any) -> Any:
        place = state["place"]
        inner = {name: tensor for name, tensor in state.items() if name != "place"}
        output = super().step(memory, inner, tokens_BK)
        logits = torch.zeros_like(output.logits)
        for b, k in np.ndindex(*tokens_BK.shape):
            at = min(int(place[b, k]), len(self.said) - 1)
            logits[b, k, self.said[at]] = 20.0
        regions = torch.zeros_like(output.evidence["regions"])
        regions[..., self.looked_at] = 1.0
        evidence = {**output.evidence, "regions": regions}
        return type(output)(logits, {**output.state, "place": place + 1}, evidence)


def test_the_boxed_photos_are_those_beside_the_texts(
    paths: Paths, setting: tuple[CaptionOptions, CaptionData]
) -> None:
    o, data = setting
    boxed = boxed_photos(o, paths, silent)
    assert [one.boxes[0].name for one in boxed] == ["circle", "bar", "square"]
    assert boxed[0].features_RC.shape == data.test.features_NRC.shape[1:]
    assert boxed_photos(o, Paths(paths.data, paths.work, paths.shared), silent) == []


@pytest.mark.parametrize(("cell", "hit"), [("middle", 100.0), ("corner", 0.0)])
def test_attention_on_the_thing_and_beside_it(
    paths: Paths, setting: tuple[CaptionOptions, CaptionData], cell: str, hit: float
) -> None:
    o, data = setting
    regions = data.test.features_NRC.shape[1]
    side = int(regions**0.5)
    at = side * (side // 2) + side // 2 if cell == "middle" else 0
    model = Says(data, "a red circle", at)
    values, photos = measure_evidence(model, data, o, boxed_photos(o, paths, silent), silent)
    # one of the three photos has a circle, and its word is the only one that is asked about
    assert photos["point_attention"] == [[hit, 1], [0, 0], [0, 0]]
    assert values["point_attention"] == hit
    assert 0 < values["point_chance"] < 100
    # "red" and "circle" are said of all; some photos are neither
    assert 0 < values["supported"] < 100
    # it says the same whatever it sees, so that nothing falls with another photo
    assert values["lift"] == pytest.approx(0, abs=1e-3)


def test_a_row_without_attention_has_no_pointing_of_it(
    paths: Paths, setting: tuple[CaptionOptions, CaptionData]
) -> None:
    o, data = setting
    model = captioner(data, visual="mean", text_attention=False, gate=False)
    values, photos = measure_evidence(model, data, o, boxed_photos(o, paths, silent), silent)
    assert "point_attention" not in photos
    assert len(photos["point_occlusion"]) == 3
    assert "auc_gate" not in values
    without, _ = measure_evidence(model, data, o, [], silent)
    assert not any(name.startswith("point") for name in without)
    assert len(photos["lift"]) == len(data.test.names)


def test_captions_without_content_words_have_nothing_to_tell_apart(
    setting: tuple[CaptionOptions, CaptionData],
) -> None:
    o, data = setting
    values, photos = measure_evidence(Says(data, "a the", 0), data, o, [], silent)
    assert values == {}
    assert photos == {"lift": [[0.0, 0.0]] * len(data.test.names)}
