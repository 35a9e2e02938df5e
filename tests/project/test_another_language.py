"""docs/another-language.md, followed for English with every word reversed."""

from __future__ import annotations

import csv
import importlib
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import negah
from common import REPOSITORY
from negah.bundle import read_bundle
from negah.cli.main import run
from negah.text.languages import LANGUAGES, language_of
from other_packages import install
from tiny_data import TINY_CAM, make_shapes, tiny_arguments

PAGE = (REPOSITORY / "docs" / "another-language.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("negah ")
]
#: Of a language that is nobody's (ISO 639-2 leaves qaa to qtz to private use).
MADE = {"German": "Mirrored", "GERMAN": "MIRRORED", "german": "mirrored"}


def _made(text: str) -> str:
    for name, other in MADE.items():
        text = text.replace(name, other)
    return re.sub(r'\bde(?=\b)(?!-1)|"de-1"', lambda m: '"qaa-1"' if "1" in m[0] else "qaa", text)


def mirrored(text: str) -> str:
    return re.sub(r"\w+", lambda word: word[0][::-1], text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the reader of the page stands: the table, the photos, the language installed."""
    folder = tmp_path_factory.mktemp("mirrored")
    module = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    points = re.search(r"(\[project\.entry-points.*?\n\n)", PAGE, re.DOTALL)
    assert module is not None
    assert points is not None
    entries = _made(points[1]).replace('project.entry-points."negah.languages"', "negah.languages")
    code = _made(module[1])
    install(folder / "site", "negah-mirrored", entries.replace('"', ""), negah_mirrored=code)
    shapes = make_shapes(folder / "shapes")
    with (shapes / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows({**row, "caption": mirrored(row["caption"]).upper()} for row in rows)
    shutil.copytree(shapes / "images", folder / "images")
    shutil.copy(shapes / "images" / "red-circle.png", folder / "photo.jpg")
    with LANGUAGES.temporary(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder / "site")
        importlib.invalidate_caches()
        yield folder


def test_the_page_is_followed_from_captions_to_scores(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inspect, train, evaluate, caption, export = map(_made, COMMANDS)
    assert run(shlex.split(inspect)[1:]) == 0
    assert "train: 12 images" in capsys.readouterr().out
    # a real training goes on from the model in the box, and takes hours
    tiny = tiny_arguments((*TINY_CAM, "training.epochs=2"))
    fresh = ("initial.model=''", "initial.new_words=fresh")
    alone = tiny_arguments((*fresh, "encoder.concepts=0", "model.concepts=false"))
    features = ["--features", "features", "--device", "cpu", "--threads", "1"]
    assert run([*shlex.split(train)[1:], *tiny, *alone, *features]) == 0
    bundle = read_bundle("runs/mirrored/bundle")
    assert bundle.tokenizer.language.code == "qaa"
    assert {"der", "elcric", "eulb"} <= set(bundle.tokenizer.tokens)
    capsys.readouterr()
    assert run(shlex.split(evaluate)[1:]) == 0
    scores = capsys.readouterr().out
    assert "CIDEr-D" in scores
    assert "METEOR" not in scores
    assert run(shlex.split(caption)[1:]) == 0
    said = capsys.readouterr().out.split()
    assert said
    assert set(said) <= set(bundle.tokenizer.tokens)
    assert negah.load("runs/mirrored/bundle").caption("photo.jpg").language == "qaa"
    # the encoder of a tiny model is not that of the box, which is said
    assert run(shlex.split(export)[1:]) == 2
    assert "the encoder is not that of negah-photo" in capsys.readouterr().err


def test_the_language_keeps_what_the_page_promises(place: Path) -> None:
    language = language_of("qaa")
    assert language.direction == "ltr"
    for text in ("A DER elcric, no eht-eht ssarg!", "", "é è", "12 sgod"):
        words = language.tokens(text)
        assert language.tokens(language.join(words)) == words
        assert language.normalise(language.normalise(text)) == language.normalise(text)
    with pytest.raises(negah.UsageError, match=r"captions in en .* asked for is qaa .Mirrored."):
        negah.load("negah-photo", language="qaa")
