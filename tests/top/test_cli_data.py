"""``negah data inspect`` and ``negah data features`` as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer

from negah.cli.data import exit_if_incomplete
from negah.cli.main import run
from tiny_data import TINY_CAM, Trained, make_shapes, tiny_arguments, trained


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    pytest.importorskip("torch", reason="training needs the train extra")
    return trained(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_shapes(tmp_path / "shapes")


def test_inspect_prints_a_page(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "inspect", str(data)]) == 0
    out = capsys.readouterr().out
    assert "train: 12 images, 24 captions" in out
    assert "unreadable images: not checked" in out


def test_inspect_prints_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "inspect", str(data), "--json", "--open"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sound"]
    assert found["unreadable"] == []
    assert found["splits"]["dev"]["images"] == 4


def test_inspect_joins_data_sets_and_finds_leaks(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(data, other)
    text = (other / "captions.csv").read_text(encoding="utf-8")
    (other / "captions.csv").write_text(text.replace("test", "train"), encoding="utf-8")
    assert run(["data", "inspect", str(data), str(other)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("shapes+other\n")
    assert "LEAKS, equal images in different parts: 4" in out


def test_inspect_holds_out_as_training_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_shapes(tmp_path / "shapes", splits=False)
    images = ["--images", str(data / "images")]
    command = ["data", "inspect", str(data / "captions.csv"), *images, "--json"]
    assert run([*command, "--dev-fraction", "0.3", "--test-fraction", "0.3"]) == 0
    splits = json.loads(capsys.readouterr().out)["splits"]
    assert splits.keys() == {"train", "dev", "test"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["inspect"], 2, "PATH"),
        (["inspect", "nowhere"], 2, "there is no data set nowhere"),
        (["inspect", "{data}/images"], 1, "no caption file in this folder"),
        (["inspect", "{data}", "--images", "nowhere"], 2, "--images nowhere"),
        (["inspect", "{data}", "--dev-fraction", "2"], 2, "--dev-fraction"),
        (["inspct", "{data}"], 2, "Did you mean 'inspect'?"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str],
    code: int,
    message: str,
    data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["data", *(argument.format(data=data) for argument in arguments)]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_features_are_those_that_training_uses(
    tiny_run: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tiny_run.features.iterdir())
    command = ["data", "features", str(tiny_run.data), "--features", str(tiny_run.features)]
    command += [*tiny_arguments(TINY_CAM), "--device", "cpu", "--threads", "1"]
    assert run(command) == 0
    out = capsys.readouterr().out
    assert sorted(tiny_run.features.iterdir()) == before
    assert len(before) == 2
    plain, flip = out.splitlines()
    assert plain.startswith("plain: ")
    assert flip.startswith("flip: ")
    assert {Path(line.rpartition(" ")[2]) for line in (plain, flip)} == set(before)


def test_features_of_an_unknown_encoder(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="encoders need the train extra")
    command = ["data", "features", str(data), "--features", str(tmp_path / "features")]
    assert run([*command, "--encoder", "efficientnet-lite9"]) == 2
    assert "Did you mean 'efficientnet-lite2'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("unread", "told"),
    [
        (["a.jpg"], "1 photos could not be read: a.jpg. To see why: negah data inspect --open"),
        (list("abcd"), "4 photos could not be read: a, b, c and 1 more. To see why"),
        ([], ""),
    ],
)
def test_files_that_could_not_be_read_end_with_exit_code_1(
    unread: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if unread:
        with pytest.raises(typer.Exit) as end:
            exit_if_incomplete(unread, [], "photos")
        assert end.value.exit_code == 1
    else:
        exit_if_incomplete(unread, [], "photos")
    assert capsys.readouterr().err.startswith(told)
