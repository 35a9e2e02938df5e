"""Commands and snippets of README, docs/data.md, docs/results.md and the start of training.md.

They run in a folder laid out as the pages say.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common import REPOSITORY
from negah.cli.main import run
from tiny_clips import make_clip
from tiny_data import TINY, TINY_CAM, make_shapes, tiny_arguments

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PHOTO = REPOSITORY / "examples" / "photos" / "cat.jpg"


def _page(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


#: Of the page about training, what comes before the sections that test_training_self_critical runs.
PAGES = "\n".join(
    [README, _page("data.md"), _page("results.md"), _page("training.md").partition("## ")[0]]
)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES, flags=re.DOTALL)


def _commands(verb: str) -> list[str]:
    inline = [" ".join(found.split()) for found in re.findall(r"`(negah [^`]+)`", PAGES)]
    text = "\n".join([*_blocks("sh"), *inline])
    return sorted({line for line in text.splitlines() if line.startswith(f"negah {verb} ")})


def _session() -> list[tuple[str, list[str]]]:
    """The commands of the README's session, with what they print."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(_blocks("console")).splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the README's reader would stand."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    (tmp_path / "holiday" / "second-day").mkdir(parents=True)
    Image.open(PHOTO).rotate(90).save(tmp_path / "holiday" / "second-day" / "cat.png")
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    make_clip([np.asarray(Image.open(PHOTO).resize((160, 120)))] * 20, path=tmp_path / "clip.mp4")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [c for c in (*_commands("caption"), *_commands("explain")) if "--model" not in c],
)
def test_commands_that_caption(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--help" in command:
        assert run(["caption", "--help"]) == 0
        return
    assert run(shlex.split(command)[1:]) == 0
    outputs = ("captions.csv", "evidence.png", "photo.html", "clip.vtt")
    written = [path for path in outputs if (folder / path).exists()]
    assert capsys.readouterr().out or written


def test_the_session_of_the_readme(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(_session()) == 3
    for command, told in _session():
        assert run(shlex.split(command)[1:]) == 0
        assert capsys.readouterr().out.splitlines() == told
    assert "running through the grass" in (folder / "dog.html").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_python_snippets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in _blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert "[(" in capsys.readouterr().out


TRAINING = [command for command in _commands("train") if "--help" not in command]


@pytest.mark.parametrize("command", TRAINING)
def test_train_commands(
    command: str, folder: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On twenty drawings and with tiny sizes: what is tested is the command, not the quality.

    One of them ends in its bundle: an export takes longer than all else.
    """
    pytest.importorskip("torch", reason="training needs the train extra")
    make_shapes(folder / "flickr8k")
    shapes = make_shapes(folder / "coco", splits=False)
    shutil.copy(shapes / "captions.csv", folder / "my-photos.csv")
    shutil.copytree(shapes / "images", folder / "images")
    arguments = shlex.split(command)[1:]
    recipe = arguments[1]
    changes = (*(TINY_CAM if "cam-rnn" in recipe else TINY), "training.epochs=1")
    if recipe == "fine-tune":  # on from a small model in place of the one in the box
        arguments += ["--init", str(tiny_bundle)]
        changes = ("training.epochs=1", "text.min_count=1")
    elif "--init" in arguments:
        first = ["train", "cam-rnn", "--data", "flickr8k/", "--no-export"]
        assert run([*first, *tiny_arguments(changes)]) == 0
        # drawings of both sets are the same, and one photo in two parts is refused
        for photo in (folder / "coco" / "images").iterdir():
            Image.open(photo).rotate(180).save(photo)
    exports = command == TRAINING[0]
    more = () if exports else ("--no-export",)
    assert run([*arguments, *tiny_arguments(changes), *more]) == 0
    capsys.readouterr()
    model = f"runs/{recipe}/bundle" if exports else f"runs/{recipe}"
    assert run(["caption", "--model", model, "photo.jpg"]) == 0
    assert capsys.readouterr().out


def test_a_table_is_inspected(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "negah data inspect my-photos.csv" in _commands("data")
    shapes = make_shapes(folder / "shapes", splits=False)
    shutil.copy(shapes / "captions.csv", folder / "my-photos.csv")
    shutil.copytree(shapes / "images", folder / "images")
    assert run(["data", "inspect", "my-photos.csv"]) == 0
    assert "photos" in capsys.readouterr().out


@pytest.mark.parametrize("command", _commands("evaluate"))
def test_evaluate_commands(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_shapes(folder / "flickr8k")
    assert run(shlex.split(command)[1:]) == 0
    assert "CIDEr-D" in capsys.readouterr().out


def test_example_captions_are_those_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    """All but one at most, and doubt unless it is near 0.5: sums differ a little by machine."""
    pattern = r'<img src="(examples/photos/[^"]+)"[^>]*><br>(.+?)</td>'
    shown = {path: text.split() for path, text in re.findall(pattern, README)}
    photos = sorted((REPOSITORY / "examples" / "photos").glob("*.jpg"))
    assert [REPOSITORY / path for path in shown] == photos
    assert run(["caption", *map(str, photos), "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = {Path(row["path"]).relative_to(REPOSITORY).as_posix(): row["words"] for row in rows}
    differ = [path for path, words in shown.items() if not is_shown(words, told[path])]
    assert len(differ) <= 1, differ


def is_shown(shown: list[str], told: list[dict[str, Any]]) -> bool:
    """Whether the words are those of the model, and those in italics the ones it doubts."""
    if [re.sub("</?i>", "", word) for word in shown] != [word["text"] for word in told]:
        return False
    return all(
        word.startswith("<i>") == (one.get("seen", 1.0) < 0.5)
        for word, one in zip(shown, told, strict=True)
        if abs(one.get("seen", 1.0) - 0.5) > 0.05
    )


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/{p.name}" for p in (REPOSITORY / "docs").glob("*.md"))]
)
def test_files_that_a_page_points_to_exist(page: str) -> None:
    file = REPOSITORY / page
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target
