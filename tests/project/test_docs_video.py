"""The commands and snippets of ``docs/video.md``, run as they stand on small data made here."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import negah
from common import REPOSITORY
from negah.cli.main import run
from negah.data import load_dataset
from tiny_clips import film, make_clip
from tiny_data import TINY, make_shapes, tiny_arguments

PAGE = (REPOSITORY / "docs" / "video.md").read_text(encoding="utf-8")
SIZES = ("model.visual_size=16", "model.attention_size=8", "model.phrase_size=8")
#: With an encoder that has seen ImageNet, whose classifier storyboards need.
IMAGENET = ("encoder.name=efficientnet-lite0", "encoder.weights=auto", "encoder.size=128")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return [block.replace("\\\n", " ") for block in found]


def commands(first: str) -> list[str]:
    """The commands of the block that begins with one like ``first``."""
    (block,) = (block for block in blocks("sh") if block.startswith(first))
    return block.splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    photo = Image.open(REPOSITORY / "examples" / "photos" / "cat.jpg").resize((160, 120))
    make_clip([np.asarray(photo)] * 20, path=tmp_path / "clip.mp4")
    (tmp_path / "film.mp4").write_bytes(film(2, 3))
    (tmp_path / "clips").mkdir()
    shutil.copy("clip.mp4", "clips/clip.mp4")
    return tmp_path


def make_msvd(folder: Path) -> None:
    """Six clips that are there, and what was said of them and of two others."""
    (folder / "clips").mkdir(parents=True)
    train, mapping = [], []
    for number, colour in enumerate(("red", "green", "blue", "red", "green", "blue")):
        pixels = np.full((10, 48, 48, 3), 40, np.uint8)
        pixels[:, 10:38, 5 * number : 5 * number + 20, ("red", "green", "blue").index(colour)] = 220
        make_clip(pixels, path=folder / "clips" / f"c{number}_0_1.mp4")
        mapping.append(f"c{number}_0_1 vid{number + 1}\n")
        sentences = (f"a {colour} square moves", f"the {colour} square is moving slowly")
        train += [f"vid{number + 1}\t{sentence}\n" for sentence in sentences]
    for name, shape in (("vid7", "circle"), ("vid8", "triangle")):
        mapping.append(f"other{name}_0_1 {name}\n")
        train += [f"{name}\ta red {shape} is on the ground\n", f"{name}\tthe {shape} and a dog\n"]
    (folder / "youtube_video_to_id_mapping.txt").write_text("".join(mapping))
    (folder / "sents_train_lc_nopunc.txt").write_text("".join(train))
    (folder / "sents_val_lc_nopunc.txt").write_text("vid1201\ta blue bar on the ground\n")
    (folder / "sents_test_lc_nopunc.txt").write_text("")


@pytest.mark.parametrize("command", commands("negah caption"))
def test_captions(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shlex.split(command)[1:]) == 0
    written = [
        path
        for name in ("film.vtt", "clips/clip.srt", "evidence.png")
        if (path := Path(name)).exists()
    ]
    assert capsys.readouterr().out or written


def test_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("film.mp4", "long.mp4")
    make_clip([np.full((48, 48, 3), 99, np.uint8)] * 45, rate=2, path=folder / "clip.mp4")
    first, *_ = blocks("python")
    exec(compile(first, "video.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.heavy
def test_motion_and_fusion(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="training needs the train extra")
    make_msvd(folder / "msvd")
    for command in commands("negah train cam-rnn-video"):
        arguments = shlex.split(command)[1:]
        tiny = tiny_arguments((*TINY, *SIZES, "training.epochs=1"))
        assert run([*arguments, *(tiny if arguments[0] == "train" else [])]) == 0, command
    assert "CIDEr-D" in capsys.readouterr().out
    _, fused = blocks("python")
    exec(compile(fused, "video.md", "exec"), {"negah": negah})


@pytest.mark.heavy
def test_the_model_in_the_box(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="training needs the train extra")
    make_shapes(folder / "flickr8k")
    shapes = make_shapes(folder / "coco")
    # drawings of both sets are the same, and one photo in two parts is refused
    for photo in (shapes / "images").iterdir():
        Image.open(photo).rotate(180).save(photo)
    make_msvd(folder / "msvd")
    sentences = folder / "msvd" / "sents_train_lc_nopunc.txt"
    # as if twenty clips had been about what the drawings show
    about = sorted({caption for e in load_dataset(shapes).examples for caption in e.captions})
    more = [f"vid{100 + at}\t{caption}\n" * 2 for at, caption in enumerate(about)]
    sentences.write_text(sentences.read_text() + "".join(more))
    *made, train, export = [shlex.split(line)[1:] for line in commands("negah data restyle")]
    for arguments in made:
        assert run(arguments) == 0, arguments
    assert "6 clips left out" in capsys.readouterr().err
    tiny = tiny_arguments((*TINY, *SIZES, *IMAGENET, "training.epochs=1"))
    assert run([*train, *tiny]) == 0
    shutil.copytree(REPOSITORY / "docs" / "cards", "docs/cards")
    assert run(export) == 0
    assert run(["caption", "clip.mp4", "--model", "runs/cam-rnn-storyboards/bundle"]) == 0
    assert capsys.readouterr().out
