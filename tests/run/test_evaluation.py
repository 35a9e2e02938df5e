"""Evaluating a real tiny bundle: captions, scores, photos that fail, and the way to the card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training the model to evaluate needs the train extra")

from negah.bundle import read_bundle
from negah.data import Example, load_dataset
from negah.errors import DataError, UsageError
from negah.evaluation import (
    Evaluation,
    add_scores,
    evaluate,
    scores_on_card,
    write_evaluations,
)
from negah.metrics import default_metrics, score
from negah.runtime import Captioner
from tiny_clips import make_clip, walking_bar
from tiny_data import Trained, trained


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="module")
def captioner(tiny_run: Trained) -> Captioner:
    return Captioner(tiny_run.bundle, threads=1)


@pytest.fixture(scope="module")
def examples(tiny_run: Trained) -> list[Example]:
    return load_dataset(tiny_run.data).split("train")


@pytest.fixture(scope="module")
def evaluation(captioner: Captioner, examples: list[Example]) -> Evaluation:
    return evaluate(captioner, examples, dataset="shapes")


def test_the_captions_are_those_that_a_user_gets(
    captioner: Captioner, examples: list[Example], evaluation: Evaluation
) -> None:
    expected = {example.name: captioner.caption(example.path).text for example in examples}
    assert evaluation.captions == expected
    scores = score(expected, {e.name: list(e.captions) for e in examples})
    assert evaluation.scores.values == scores.values
    assert (evaluation.dataset, evaluation.split) == ("shapes", "train")
    assert evaluation.failures == ()


def test_decoding_options_are_used_and_recorded(
    captioner: Captioner, examples: list[Example]
) -> None:
    short = evaluate(captioner, examples, dataset="shapes", beam=2, max_length=2)
    assert (short.decoding.beam, short.decoding.max_length) == (2, 2)
    assert all(len(caption.split()) <= 2 for caption in short.captions.values())


def test_progress_is_told_of_every_photo(captioner: Captioner, examples: list[Example]) -> None:
    seen: list[int] = []
    evaluate(captioner, examples, dataset="shapes", progress=lambda: seen.append(1))
    assert len(seen) == len(examples)


def test_a_photo_that_fails_is_recorded_and_not_scored(
    captioner: Captioner, examples: list[Example], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("no photo")
    bad = Example("broken.jpg", broken, ("a photo",), "train")
    with_it = evaluate(captioner, [examples[0], bad, *examples[1:]], dataset="shapes")
    without = evaluate(captioner, examples, dataset="shapes")
    assert [failure.name for failure in with_it.failures] == ["broken.jpg"]
    assert with_it.failures[0].reason
    assert with_it.scores.images == len(examples)
    assert with_it.scores.values == without.scores.values
    with pytest.raises(DataError, match=r"none of the 1 files could be read .*broken\.jpg"):
        evaluate(captioner, [bad], dataset="shapes")


def test_nothing_to_evaluate_on(captioner: Captioner) -> None:
    with pytest.raises(DataError, match="no photos or clips to evaluate on"):
        evaluate(captioner, [], dataset="shapes")


def test_the_dictionary_is_json_and_says_how(evaluation: Evaluation, tiny_run: Trained) -> None:
    row = json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))
    weights = read_bundle(tiny_run.bundle).config.files["weights.safetensors"]
    assert row["model"] == {"name": "cam-rnn", "weights_sha256": weights.sha256}
    assert row["decoding"] == evaluation.decoding.model_dump(mode="json")
    assert tuple(row["scores"]) == default_metrics()
    for one in row["scores"].values():
        assert one["low"] <= one["value"] <= one["high"]
        assert "tok:ptb" in one["signature"]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a.jpg", "b/c.jpg"], ["a.jpg", "b/c.jpg"]),
        (
            ["COCO_val2014_000000000042.jpg", "000000391895.jpg", "coco/000000000007.png"],
            [42, 391895, 7],
        ),
        (["000000000042.jpg", "mine.jpg"], ["000000000042.jpg", "mine.jpg"]),
    ],
)
def test_captions_in_the_results_format_of_coco(
    evaluation: Evaluation, names: list[str], ids: list[int | str]
) -> None:
    captions = {name: f"caption {index}" for index, name in enumerate(names)}
    rows = replace(evaluation, captions=captions).to_coco_results()
    assert [row["image_id"] for row in rows] == ids
    assert [row["caption"] for row in rows] == list(captions.values())


def test_scores_go_into_the_card_and_the_bundle_stays_sound(
    evaluation: Evaluation, tiny_run: Trained, tmp_path: Path
) -> None:
    folder = _copy(tiny_run.bundle, tmp_path / "bundle")
    before = read_bundle(folder)
    write_evaluations(tmp_path / "scores.json", [evaluation, replace(evaluation, split="dev")])
    after = add_scores(folder, [tmp_path / "scores.json"])
    assert len(after.config.scores) == 2 * len(default_metrics())
    on_card = scores_on_card(after.config.scores, "Shapes", "train")
    for metric, value in evaluation.scores.values.items():
        assert on_card[metric].value == pytest.approx(value, abs=1e-4)
        assert on_card[metric].n == 12
    assert scores_on_card(after.config.scores, "shapes", "test") == {}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"| shapes | train | ROUGE-L | {evaluation.scores['ROUGE-L']:.2f} |" in card
    assert read_bundle(folder).config == after.config
    for name in ("weights.safetensors", "encoder.onnx", "tokenizer.json"):
        assert after.config.files[name] == before.config.files[name]
    assert after.config.created == before.config.created


def test_scores_measured_again_take_the_place_of_the_old(
    evaluation: Evaluation, tiny_run: Trained, tmp_path: Path
) -> None:
    folder = _copy(tiny_run.bundle, tmp_path / "bundle")
    write_evaluations(tmp_path / "scores.json", [evaluation])
    first = add_scores(folder, [tmp_path / "scores.json"]).config
    assert add_scores(folder, [tmp_path / "scores.json"]).config == first


def test_scores_of_something_else_are_refused(
    evaluation: Evaluation, tiny_run: Trained, tmp_path: Path
) -> None:
    wider = evaluation.decoding.beam + 1
    other_beam = evaluation.decoding.model_copy(update={"beam": wider})
    cases = {
        "other weights": replace(evaluation, weights_sha256="0" * 64),
        "other decoding options": replace(evaluation, decoding=other_beam),
    }
    file = tmp_path / "scores.json"
    before = (tiny_run.bundle / "bundle.json").read_bytes()
    for message, wrong in cases.items():
        write_evaluations(file, [wrong])
        with pytest.raises(UsageError, match=message):
            add_scores(tiny_run.bundle, [file])
    for content in ("no JSON", "[]", '{"evaluations": [1]}', '{"evaluations": [{"model": {}}]}'):
        file.write_text(content)
        with pytest.raises(UsageError, match="holds no scores"):
            add_scores(tiny_run.bundle, [file])
    with pytest.raises(UsageError, match="cannot be read"):
        add_scores(tiny_run.bundle, [tmp_path / "nowhere.json"])
    assert (tiny_run.bundle / "bundle.json").read_bytes() == before


def _copy(bundle: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in bundle.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_clips_and_parts_of_them_are_evaluated(captioner: Captioner, tmp_path: Path) -> None:
    (tmp_path / "walk.mkv").write_bytes(make_clip(walking_bar(30)))
    (tmp_path / "captions.csv").write_text(
        "video,caption,start,end\n"
        "walk.mkv,a bar walks,0,1\nwalk.mkv,a bar stands,1,1.4\nwalk.mkv,nothing,90,95\n"
    )
    examples = load_dataset(tmp_path / "captions.csv", images=tmp_path).examples
    found = evaluate(captioner, examples, dataset="bars", frames=3)
    assert found.frames == found.to_dict()["frames"] == 3
    assert found.captions == {
        example.name: captioner.caption_clip(example.path, frames=3, span=example.span).text
        for example in examples[:2]
    }
    ((name, reason),) = [(failure.name, failure.reason) for failure in found.failures]
    assert name == "walk.mkv#t=90,95"
    assert "nothing from 90.0 s to 95.0 s" in reason
