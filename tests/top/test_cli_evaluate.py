"""``negah evaluate`` and ``negah export`` as a user runs them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training the model to evaluate needs the train extra")

from negah.bundle import read_bundle
from negah.cli.main import run
from negah.metrics import default_metrics
from negah.runtime import Captioner
from tiny_data import Trained, trained


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.getbasetemp() / "trained")


def _lines(text: str) -> dict[str, list[str]]:
    """The rows of the table, by metric."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: row[1:] for row in rows if row and row[0] in default_metrics()}


def test_scores_are_shown_with_intervals_and_signatures(
    tiny_run: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", str(tiny_run.bundle), "--data", str(tiny_run.data)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("cam-rnn on shapes, part test\n")
    rows = _lines(shown.out)
    assert tuple(rows) == default_metrics()
    for value, low, to, high, photos in rows.values():
        assert float(low) <= float(value) <= float(high)
        assert (to, photos) == ("to", "4")
    # as the recipe of the bundle says
    assert "decoding: method beam, beam 5\n" in shown.out
    assert "  CIDEr-D|n:4|sigma:6|df:refs|tok:ptb|nrefs:2|" in shown.out
    # METEOR's data is compiled by whoever needs it first
    assert all("the metrics' data" in line for line in shown.err.splitlines())


def test_chosen_metrics_and_chair_against_objects(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [f"{path.stem}.jpg" for path in sorted((tiny_run.data / "images").iterdir())]
    lines = [json.dumps({"image": name, "objects": ["dog"]}) for name in photos]
    objects, scores = tmp_path / "objects.jsonl", tmp_path / "scores.json"
    objects.write_text("\n".join(lines), encoding="utf-8")
    arguments = ["evaluate", str(tiny_run.bundle), "--data", str(tiny_run.data), "--beam", "1"]
    arguments += ["--metrics", "chair-s,bleu-1"]
    assert run([*arguments, "--objects", str(objects), "--json", str(scores)]) == 0
    out = capsys.readouterr().out
    assert "  CHAIR-s|words:2|truth:boxes+refs|tok:ptb|" in out
    assert "\nCHAIR-s: percent, lower is better\n" in out
    (row,) = json.loads(scores.read_text(encoding="utf-8"))["evaluations"]
    assert list(row["scores"]) == ["BLEU-1", "CHAIR-s"]
    assert run([*arguments, "--objects", "nowhere.jsonl"]) == 2
    assert "there is no file nowhere.jsonl" in capsys.readouterr().err
    objects.write_text('{"image": "x.jpg", "objects": []}\n{"image": "y.jpg", "objects": []}')
    assert run([*arguments, "--objects", str(objects)]) == 1
    assert "has none of the 4 scored images" in capsys.readouterr().err


def test_files_for_other_tools(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, captions = tmp_path / "scores.json", tmp_path / "captions.json"
    arguments = ["evaluate", "--model", str(tiny_run.bundle), "--data", str(tiny_run.data)]
    arguments += ["--split", "dev", "--beam", "2", "--decoding", "max_length=6"]
    assert run([*arguments, "--json", str(scores), "--captions", str(captions)]) == 0
    assert "decoding: method beam, beam 2, max_length 6\n" in capsys.readouterr().out
    (row,) = json.loads(scores.read_text(encoding="utf-8"))["evaluations"]
    assert (row["split"], row["images"], row["decoding"]["beam"]) == ("dev", 4, 2)
    rows = json.loads(captions.read_text(encoding="utf-8"))
    assert len(rows) == 4
    captioner = Captioner(tiny_run.bundle, threads=1)
    for one in rows:
        photo = tiny_run.data / "images" / one["image_id"]
        assert one["caption"] == captioner.caption(photo, beam=2, max_length=6).text


def test_rows_that_are_left_out_are_named_and_the_exit_code_is_1(
    tiny_run: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "captions.csv"
    text = (tiny_run.data / "captions.csv").read_text(encoding="utf-8")
    table.write_text(text + "x.png,a dog, running,test\n", encoding="utf-8")
    arguments = ["evaluate", str(tiny_run.bundle), "--data", str(table), "--beam", "1"]
    assert run([*arguments, "--images", str(tiny_run.data / "images")]) == 1
    assert f"captions.csv, line {text.count(chr(10)) + 1}: 4 cells, but" in caplog.text


def test_scores_of_fused_models_are_no_scores_of_one(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, scores = str(tiny_run.bundle), tmp_path / "scores.json"
    arguments = ["evaluate", model, "--fuse", model, "--data", str(tiny_run.data)]
    assert run([*arguments, "--json", str(scores)]) == 0
    assert "cam-rnn + cam-rnn on shapes, part test\n" in capsys.readouterr().out
    (row,) = json.loads(scores.read_text(encoding="utf-8"))["evaluations"]
    assert row["fused"] == [row["model"]]
    assert run(["export", model, "--scores", str(scores)]) == 2
    assert "evaluate without --fuse" in capsys.readouterr().err


def test_several_data_sets_are_scored_each_by_itself(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(tiny_run.data, tmp_path / "other")
    arguments = ["evaluate", str(tiny_run.bundle), "--data", str(tiny_run.data)]
    assert run([*arguments, "--data", str(other), "--json", str(tmp_path / "scores.json")]) == 0
    out = capsys.readouterr().out
    assert "cam-rnn on shapes, part test\n" in out
    assert "cam-rnn on other, part test\n" in out
    rows = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["evaluations"]
    assert [row["dataset"] for row in rows] == ["shapes", "other"]


def test_a_photo_that_fails_is_named_and_the_exit_code_tells(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(tiny_run.data, tmp_path / "shapes")
    with (data / "captions.csv").open("a", encoding="utf-8") as file:
        file.write("broken.png,a text file,test\n")
    (data / "images" / "broken.png").write_text("not a photo")
    assert run(["evaluate", str(tiny_run.bundle), "--data", str(data)]) == 1
    out = capsys.readouterr().out
    assert "failed: broken.png: " in out
    assert out.endswith("scored 4, failed 1\n")


def test_the_card_is_reproduced(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Evaluate, put the scores into the card, evaluate again: the card says the same."""
    bundle = shutil.copytree(tiny_run.bundle, tmp_path / "bundle")
    scores = tmp_path / "scores.json"
    command = ["evaluate", str(bundle), "--data", str(tiny_run.data)]
    assert run([*command, "--json", str(scores)]) == 0
    assert "card" not in capsys.readouterr().out
    assert run(["export", str(bundle), "--scores", str(scores)]) == 0
    assert f"its card has {len(default_metrics())} scores" in capsys.readouterr().out

    assert run(command) == 0
    for value, *_, card, same in _lines(capsys.readouterr().out).values():
        assert card == value
        assert same == "same"
    assert run([*command, "--beam", "1", "--decoding", "max_length=1"]) == 0
    out = capsys.readouterr().out
    assert "the card's scores are with the model's own decoding options" in out
    assert _lines(out)["ROUGE-L"][-1].startswith("(-")
    assert run([*command, "--split", "dev"]) == 0
    assert "card" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{bundle}"], 2, "--data PATH"),
        (["nowhere", "--data", "{data}"], 2, "there is no folder 'nowhere'"),
        (["{data}", "--data", "{data}"], 1, "holds no file bundle.json"),
        (["{bundle}", "--data", "nowhere"], 2, "there is no data set nowhere"),
        (["{bundle}", "--data", "{data}/images"], 1, "no caption file in this folder"),
        (["{bundle}", "--data", "{data}", "--split", "tests"], 2, "unknown split 'tests'"),
        (["{bundle}", "--data", "{data}", "--split", "none"], 2, "no photo is in the part 'none'"),
        (["{bundle}", "--data", "{data}", "--beam", "0"], 2, "--beam"),
        (["{bundle}", "--data", "{data}", "--decoding", "beam"], 2, "OPTION=VALUE"),
        (["{bundle}", "--data", "{data}", "--decoding", "bean=3"], 2, "'beam'?"),
        (["{bundle}", "--data", "{data}", "--decoding", "beam=wide"], 2, "beam"),
        (["{bundle}", "--data", "{data}", "--model", "{bundle}"], 2, "named twice"),
        (
            ["{bundle}", "--data", "{data}", "--data", "{data}", "--captions", "x.json"],
            2,
            "give --data once",
        ),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str],
    code: int,
    message: str,
    tiny_run: Trained,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [a.format(bundle=tiny_run.bundle, data=tiny_run.data) for a in arguments]
    assert run(["evaluate", *given]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_export_with_a_card_other_decoding_and_its_own_proof(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(
        "licence: CC-BY-4.0\n"
        "training_data: [{name: Shapes, licence: CC0-1.0, images: 12}]\n"
        "limits: [It knows five colours.]\n"
    )
    output = tmp_path / "model"
    arguments = ["export", str(tiny_run.folder), "--output", str(output), "--name", "Shapes 1"]
    arguments += ["--card", str(card), "--decoding", "beam=2", "--threads", "1"]
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert re.search(rf"^written: {re.escape(str(output))}/ \(bundle, \d+\.\d MB\)$", err, re.M)
    assert "proof: 100.0% of 20 captions are equal" in out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    config = read_bundle(output).config
    assert (config.name, config.licence) == ("Shapes 1", "CC-BY-4.0")
    assert config.decoding.beam == 2
    assert config.limits == ("It knows five colours.",)
    assert config.provenance.training_data[0].licence == "CC0-1.0"
    weights = {
        folder: read_bundle(folder).config.files["weights.safetensors"].sha256
        for folder in (output, tiny_run.bundle)
    }
    assert len(set(weights.values())) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["{data}"], "is no training run"),
        (["{empty}"], "no weights to export yet"),
        (["{moved}"], "cannot be read: /nowhere: no such file or folder. Name photos"),
        (["{foreign}"], "does not say where its photos are. Name photos"),
        (["{bundle}"], "is a bundle already"),
        (["{bundle}", "--scores", "nowhere.json"], "nowhere.json: no such file"),
        (["{bundle}", "--scores", "{data}/captions.csv"], "holds no scores"),
        (["{bundle}", "--scores", "{data}/captions.csv", "--name", "x"], "is a bundle already"),
        (["{run}", "--card", "{data}/captions.csv"], "expected keys such as"),
        (["{run}", "--card", "{data}/nowhere.yaml"], "nowhere.yaml: no such file"),
        (["{run}", "--output", "{data}"], "is not a bundle, so it is not overwritten"),
        (["{run}", "--data", "nowhere"], "there is no data set nowhere"),
        (["{run}", "--decoding", "beams=2"], "'beam'?"),
    ],
)
def test_wrong_exports_are_explained(
    arguments: list[str],
    message: str,
    tiny_run: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = (tiny_run.folder / "run.json").read_text(encoding="utf-8")
    foreign = json.dumps({**json.loads(facts), "data": {"noted": "by a notebook"}})
    runs = {
        "empty": facts,
        "moved": facts.replace(str(tiny_run.data), "/nowhere"),
        "foreign": foreign,
    }
    for name, content in runs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
        for file in ("tokenizer.json", "best.safetensors") if name != "empty" else ():
            shutil.copyfile(tiny_run.folder / file, tmp_path / name / file)
    places = {"data": tiny_run.data, "bundle": tiny_run.bundle, "run": tiny_run.folder}
    places |= {name: tmp_path / name for name in runs}
    given = [argument.format(**places) for argument in arguments]
    assert run(["export", *given]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
