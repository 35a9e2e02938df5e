"""What a type checker tells somebody who uses the package: py.typed, and the types of the face."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common import PATIENCE, REPOSITORY

PROGRAM = """
from collections.abc import Iterator
from pathlib import Path

import negah
from negah.decoding import DecodingOptions
from negah.metrics import score
from negah.text import alt_text


def captions(folder: Path) -> Iterator[tuple[str, float | None]]:
    captioner = negah.load("negah-photo", threads=1)
    for result in captioner.caption_many(sorted(folder.glob("*.jpg")), on_error="report", beam=3):
        if result.caption is not None:
            text = alt_text(result.caption.text) or result.caption.text
            yield text, result.caption.confidence


def doubtful(photo: Path) -> list[str]:
    caption: negah.Caption = negah.explain(photo)
    return [word.text for word in caption.words if word.seen is not None and word.seen < 0.5]


def scores(mine: dict[str, str], people: dict[str, list[str]]) -> float:
    values = score(mine, people, metrics=["CIDEr-D"]).values
    return values["CIDEr-D"]


options = DecodingOptions(method="beam", beam=5)
reveal_type(negah.caption("photo.jpg"))
reveal_type(negah.caption("photo.jpg").words[0].seen)
try:
    negah.caption("photo.jpg", language="fa")
except negah.MediaError as error:
    print(error)
"""
MISTAKES = {
    "negah.caption(3.5)": "arg-type",
    "negah.load(clips=True, languages='fa')": "call-arg",
    "negah.captionn('photo.jpg')": "attr-defined",
    "negah.caption('photo.jpg').words[0].seen + 1": "operator",
}


def _check(code: str, folder: Path) -> str:
    """mypy --strict on a program of its own, with the settings of no project."""
    program = folder / "program.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", program],
        cwd=folder,
        env={**os.environ, "MYPYPATH": "", "MYPY_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.stdout + done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (REPOSITORY / "src" / "negah" / "py.typed").is_file()


@pytest.mark.heavy
def test_a_users_program_is_checked_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="needs the extra dev")
    found = _check(PROGRAM, tmp_path)
    assert "error" not in found, found
    assert 'Revealed type is "negah.captions.Caption"' in found
    assert "float | None" in found
    for line, code in MISTAKES.items():
        assert f"[{code}]" in _check(f"import negah\n{line}\n", tmp_path), line
