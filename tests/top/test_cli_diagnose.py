"""``negah diagnose`` as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="diagnosing needs the train extra")

from common import REPOSITORY
from negah.cli.main import run
from negah.run_folder import RUN
from negah.runtime import find_bundle
from tiny_clips import make_clip
from tiny_data import Trained, trained


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.getbasetemp() / "trained")


def test_a_run_on_its_data(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need the dev extra")
    picture, output = tmp_path / "health.png", tmp_path / "health.json"
    arguments = ["diagnose", str(tiny_run.folder), "--data", str(tiny_run.data), "--threads", "1"]
    assert run([*arguments, "--picture", str(picture), "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "on 4 of shapes, part dev: 8 captions" in shown
    assert "\ngradients: " in shown
    assert "untrained word vectors" in shown
    assert "gradient of encoder layer 1" in shown
    assert "attention to regions" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["kind"] == "run"
    assert report["said"]["photos"] == 4
    assert report["jacobian"][0] == pytest.approx(1.0)
    # every word occurs in the training captions, so every vector has moved
    assert report["dead"] == 0.0


def test_a_run_that_began_with_vectors_does_not_know_which_moved(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(tiny_run.folder, tmp_path / "run")
    facts = json.loads((folder / RUN).read_text("utf-8"))
    facts["recipe"]["text"]["vectors"] = "package"
    (folder / RUN).write_text(json.dumps(facts), "utf-8")
    assert run(["diagnose", str(folder), "--format", "json", "--threads", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["dead"] is None


def test_a_bundle_gives_the_numbers_of_its_run(
    tiny_run: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the half precision of its weights, and what only a run knows."""
    reports = []
    for model in (tiny_run.folder, tiny_run.bundle):
        arguments = ["--data", str(tiny_run.data), "--format", "json", "--threads", "1"]
        assert run(["diagnose", str(model), *arguments]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    ours, theirs = reports
    assert (theirs["kind"], theirs["dead"]) == ("bundle", None)
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-2)
    assert theirs["jacobian"] == pytest.approx(ours["jacobian"], rel=0.05, abs=1e-4)
    assert theirs["said"] == ours["said"]


def test_without_photos_what_needs_none(
    tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diagnose", str(tiny_bundle), "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert "without --data there are no photos" in shown
    assert "attention to" not in shown
    assert "distinct captions" not in shown
    assert "\ngradients: " in shown


def test_the_page_shows_the_output_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    """The words as they are; numbers within what another processor's rounding may change."""
    page = (REPOSITORY / "docs" / "diagnose.md").read_text("utf-8")
    ((command, stated),) = re.findall(r"```console\n\$ (negah [^\n]*)\n(.*?)```", page, re.DOTALL)
    assert run([*command.split()[1:], "--threads", "1"]) == 0
    shown = capsys.readouterr().out.replace(str(find_bundle("negah-photo")), ".../negah-photo")
    number = re.compile(r"\d+(?:\.\d+)?(?:e-\d+)?")
    assert number.sub("#", shown) == number.sub("#", stated)
    found, known = (list(map(float, number.findall(text))) for text in (shown, stated))
    assert found == pytest.approx(known, rel=0.05, abs=0.011)


def test_clips_and_files_that_cannot_be_read(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    random = np.random.default_rng(0)
    rows = ["clip,caption,split"]
    for number in range(3):
        pixels = random.integers(0, 255, (4 + number, 32, 32, 3), dtype=np.uint8)
        make_clip(pixels, path=tmp_path / f"{number}.mp4")
        rows.append(f"{number}.mp4,a dog runs on the grass,dev")
    (tmp_path / "3.mp4").write_bytes(b"no clip")
    rows.append("3.mp4,a dog runs,dev")
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    arguments = ["--data", str(tmp_path / "clips.csv"), "--images", str(tmp_path)]
    assert run(["diagnose", str(tiny_bundle), *arguments, "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    assert "3 captions" in shown
    assert "1 photos could not be read" in shown


def test_wrong_paths_are_named(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(tiny_run.folder, tmp_path / "young", ignore=shutil.ignore_patterns("best*"))
    run_folder = str(tiny_run.folder)
    cases = {
        ("nothing-here",): "nothing-here",
        (str(tmp_path / "empty"),): "neither a training run",
        (str(tmp_path / "young"),): "no weights",
        (run_folder, "--data", str(tmp_path / "none")): "there is no data set",
        (run_folder, "--picture", "health.jpg"): "ends in .png",
    }
    for arguments, message in cases.items():
        assert run(["diagnose", *arguments]) == 2, arguments
        assert message in capsys.readouterr().err
