"""``negah explain``: what is written, under which name, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from common import REPOSITORY
from negah.cli.main import run
from tiny_clips import make_clip, walking_bar

PHOTO = REPOSITORY / "examples" / "photos" / "cat.jpg"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a photo, a clip and a file that is none."""
    folder = tmp_path_factory.mktemp("files")
    with Image.open(PHOTO) as photo:
        photo.resize((90, 60)).save(folder / "cat.jpg")
    (folder / "clip.mp4").write_bytes(make_clip(walking_bar(24)))
    return folder


PAGE = (REPOSITORY / "docs" / "explain.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("negah ")
]


@pytest.fixture
def named(files: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's commands name, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEGAH_CACHE", str(tmp_path / "cache"))
    shutil.copy(files / "cat.jpg", "photo.jpg")
    shutil.copy(files / "clip.mp4", "clip.mp4")
    (tmp_path / "images").mkdir()
    shutil.copy(files / "cat.jpg", "images/1.jpg")
    table = "image,caption,split\n1.jpg,a dog near a ball,test\n"
    (tmp_path / "captions.csv").write_text(table)
    things = [[name, 0, 0, 45, 30] for name in ("dog", "person", "bicycle", "bench", "ball")]
    boxes = {"image": "1.jpg", "width": 90, "height": 60, "objects": things}
    (tmp_path / "boxes.jsonl").write_text(json.dumps(boxes) + "\n")
    return tiny_bundle


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page(command: str, named: Path) -> None:
    words = shlex.split(command)[1:]
    assert run([*words, "--model", str(named)]) == 0
    if "-o" in words:
        assert Path(words[words.index("-o") + 1]).exists()


@pytest.mark.parametrize(
    ("name", "suffix"), [("clip.mp4", ".html"), ("clip.mp4", ".png"), ("cat.jpg", ".json")]
)
def test_one_file(name: str, suffix: str, tiny_bundle: Path, files: Path, tmp_path: Path) -> None:
    target = tmp_path / f"explained{suffix}"
    command = ["explain", str(files / name), "--model", str(tiny_bundle), "-o", str(target)]
    if name == "clip.mp4":
        command += ["--frames", "2"]
    assert run(command) == 0
    if suffix == ".json":
        row = json.loads(target.read_text())
        assert row["method"] == "occlusion"
        assert len(row["words"][0]["map"]) == len(row["times"])
        assert row["alternatives"]
    elif suffix == ".html":
        assert target.read_text().startswith("<!doctype html>")
    else:
        with Image.open(target) as picture:
            assert picture.format == suffix[1:].upper()
    assert run(command) == 0  # its own may be replaced


def test_several_files_and_what_cannot_be_read(
    tiny_bundle: Path, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(files, folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    command = ["explain", str(folder), "--model", str(tiny_bundle), "-o", str(tmp_path / "out")]
    assert run(command) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cat.html", "clip.html"]
    assert "explained 2, skipped 0, failed 1" in capsys.readouterr().err


def test_without_output_a_table_is_printed(
    tiny_bundle: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explain", str(files / "cat.jpg"), "--model", str(tiny_bundle)]
    assert run([*command, "--method", "attention"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["word", "probability", "comes", "from"]
    assert [line.split()[0] for line in lines[2:]] == lines[0].split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name photos or clips"),
        (["cat.jpg", "-o", "out.gif"], "explanations are .html"),
        (["cat.jpg", "-o", "out.html", "--format", "png"], "leave out --format"),
        (["cat.jpg", "--format", "png"], "add --output FOLDER"),
        (["cat.jpg", "clip.mp4", "-o", "out.html"], "name a folder"),
        (["cat.jpg", "--frames", "2"], "is for clips"),
        (["cat.jpg", "--method", "occlusio"], "occlusion"),
        (["cat.jpg", "--data", "."], "add --check"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(
    arguments: list[str],
    message: str,
    tiny_bundle: Path,
    files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files)
    before = (files / "cat.jpg").read_bytes()
    assert run(["explain", "--model", str(tiny_bundle), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert (files / "cat.jpg").read_bytes() == before
