"""Every file that the user names and a command writes is reported on standard error, in a line."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from negah.cli.paths import say_written
from tiny_photos import make_photos

REFERENCES = "image,caption,split\na.png,a cat sits,test\nb.png,a dog runs,test\n"


@pytest.fixture
def folder(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_photos(Path("album"), ["a.png", "b.png"])
    Path("album/refs.csv").write_text(REFERENCES)
    Path("model").symlink_to(tiny_bundle)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("caption album -o out.csv", ["out.csv (captions)"]),
        ("caption album/a.png -o out.txt", ["out.txt (captions)"]),
        ("caption album/a.png --picture a.png", ["a.png (attention of each word)"]),
        ("caption album --picture drawn", ["drawn/ (attention of each word)"]),
        ("caption album/a.png -o out.jsonl --picture b.png",
         ["out.jsonl (captions)", "b.png (attention of each word)"]),
        ("explain album/a.png -o out.html --method attention", ["out.html (evidence)"]),
        ("explain album/a.png album/b.png -o out --method attention", ["out/ (evidence)"]),
        ("caption album/a.png --write-metadata file --copies new", ["new/ (copies with captions)"]),
        ("caption album/a.png", []),
        ("caption album/a.png -o -", []),
        ("caption album/a.png -o /dev/null", []),
        ("caption nowhere.png -o out.csv", []),
        ("explain album/refs.csv -o out.json", []),
    ],
)  # fmt: skip
def test_captions(
    line: str, written: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run([*shlex.split(line), "--model", "model", "--threads", "1"])
    assert re.findall(r"^written: (.*)$", capsys.readouterr().err, re.M) == written


def test_scores_and_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refs = ["album/refs.csv", "--refs", "album/refs.csv", "--metrics", "BLEU-1"]
    assert run(["score", *refs, "--json", "all.json", "--per-image", "each.csv"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "written: all.json (scores)",
        "written: each.csv (scores of each photo)",
    ]
    assert run(["data", "convert", "album/refs.csv", "--to", "table", "-o", "new.csv"]) == 0
    (line,) = re.findall(r"^written: (.*)$", capsys.readouterr().err, re.M)
    assert re.fullmatch(r"new\.csv \(2 table examples; read it with --images .*album\)", line)
    assert run(["data", "synth", "clips", "--clips", "3", "--frames", "6"]) == 0
    (line,) = re.findall(r"^written: (.*)$", capsys.readouterr().err, re.M)
    assert line == "clips/ (3 clips with captions.csv and truth.jsonl)"


def test_an_output_that_stays_as_it_was_is_not_reported(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.html").write_text("mine")
    line = "explain nowhere.png -o out.html --model model"
    assert run(shlex.split(line)) != 0
    assert "written" not in capsys.readouterr().err
    assert Path("out.html").read_text() == "mine"


def test_pipes_are_not_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null"), Path("/dev/stdout")):
        say_written(path, "captions")
    assert capsys.readouterr().err == ""
    say_written(tmp_path, "captions")
    assert capsys.readouterr().err == f"written: {tmp_path}/ (captions)\n"


def test_the_page_of_explanations_shows_the_line() -> None:
    page = (REPOSITORY / "docs" / "explain.md").read_text("utf-8")
    assert "written: " in page
