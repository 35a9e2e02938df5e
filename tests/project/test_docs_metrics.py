"""The commands and snippets of docs/metrics.md, run as they stand, on small files made here.

And the README's commands that score.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from negah.metrics import METRICS

PAGE = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

REFERENCES = {
    1: ("A dog runs on the grass.", "The brown dog is running."),
    2: ("Two men sit on a bench.", "Men sitting on a wooden bench."),
    3: ("A girl in a red coat smiles.", "A smiling girl wears red."),
}
CAPTIONS = {1: "a dog runs on grass", 2: "two men on a bench", 3: "a girl in red"}
OTHERS = {1: "a dog", 2: "a dog on a bench", 3: "a red coat"}


def _blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def _commands(start: str, page: str = PAGE) -> list[str]:
    lines = "".join(_blocks("sh", page)).splitlines()
    return [line for line in lines if line.startswith(start)]


SCORING = sorted({*_commands("negah score"), *_commands("negah score", README)})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page's reader would stand."""
    monkeypatch.chdir(tmp_path)
    annotations = [{"image_id": n, "caption": c} for n, row in REFERENCES.items() for c in row]
    results = [{"image_id": n, "caption": caption} for n, caption in CAPTIONS.items()]
    others = [{"image_id": n, "caption": caption} for n, caption in OTHERS.items()]
    files = {
        "captions_val2014": {"images": [], "annotations": annotations},
        **{"results": results, "mine": results, "other": others, "theirs": others},
        "part": results[:2],
        "instances_val2014": {
            "images": [{"id": n} for n in REFERENCES],
            "annotations": [{"image_id": 1, "category_id": 18}],
            "categories": [{"id": 18, "name": "dog"}],
        },
    }
    for name, content in files.items():
        Path(f"{name}.json").write_text(json.dumps(content))
    Path("mine.txt").write_text("\n".join(CAPTIONS.values()) + "\n")
    for index in (0, 1):
        lines = (row[index] for row in REFERENCES.values())
        Path(f"refs-{index + 1}.txt").write_text("\n".join(lines) + "\n")
    rows = [f"{n}.jpg,{caption}\n" for n, caption in CAPTIONS.items()]
    Path("captions.csv").write_text("".join(["path,caption\n", *rows]))
    flickr = tmp_path / "flickr8k"
    flickr.mkdir()
    (flickr / "Flickr8k.token.txt").write_text(
        "".join(f"{n}.jpg#{k}\t{c}\n" for n, row in REFERENCES.items() for k, c in enumerate(row))
        + "9.jpg#0\tA cat.\n"
    )
    (flickr / "captions.txt").write_text("image,caption\n9.jpg,A cat.\n")
    (flickr / "Flickr_8k.testImages.txt").write_text("1.jpg\n2.jpg\n3.jpg\n")
    (flickr / "Flickr_8k.trainImages.txt").write_text("9.jpg\n")
    return tmp_path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package that the page leads to, as pip leaves it; test_extending.py has pip."""
    source = REPOSITORY / "examples" / "extending" / "metric"
    site = shutil.copytree(source, tmp_path / "site")
    folder = site / "negah_length_ratio-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: negah-length-ratio\n")
    points = tomllib.loads((source / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = (f"{key} = {value}\n" for key, value in points["negah.metrics"].items())
    (folder / "entry_points.txt").write_text("[negah.metrics]\n" + "".join(lines))
    monkeypatch.syspath_prepend(site)
    with METRICS.temporary():
        yield
    sys.modules.pop("negah_length_ratio", None)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("command", SCORING)
def test_commands(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shlex.split(command)[1:]) == 0
    shown = capsys.readouterr()
    assert "CIDEr-D" in shown.out
    # METEOR's data is compiled by whoever needs it first
    told = ("the metrics' data", "written: ")
    assert all(any(text in line for text in told) for line in shown.err.splitlines())
    if "LengthRatio" in command:
        assert "\nLengthRatio: words a word\n" in shown.out
    for name in re.findall(r"--(?:json|per-image) (\S+)", command):
        assert Path(name).stat().st_size


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("snippet", _blocks("python"))
def test_python(snippet: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(snippet, "metrics.md", "exec"), {})
    assert capsys.readouterr().out


def test_make_targets_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = [line.removeprefix("make ") for line in _commands("make ")]
    assert targets
    assert all(f"\n{target}:" in makefile for target in targets)


def test_files_and_headings_that_the_page_points_to_exist() -> None:
    links = re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", PAGE)
    assert links
    for file, anchor in links:
        target = REPOSITORY / "docs" / file
        assert not file or target.exists(), file
        if anchor:
            page = target.read_text(encoding="utf-8") if file else PAGE
            headings = re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings}
            assert anchor in anchors, f"{file}#{anchor}"
