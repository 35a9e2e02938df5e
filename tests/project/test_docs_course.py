"""The notebooks of docs/course, run from top to bottom as Jupyter would."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from common import REPOSITORY

COURSE = REPOSITORY / "docs" / "course"
LESSONS = [path.stem for path in sorted(COURSE.glob("*.md")) if not path.stem.startswith("README")]


def test_lessons_use_public_names_only() -> None:
    import importlib

    for lesson in LESSONS:
        text = (COURSE / f"{lesson}.md").read_text("utf-8")
        for module, names in re.findall(r"^from (negah[\w.]*) import (.+)$", text, re.MULTILINE):
            public = importlib.import_module(module).__all__
            assert {name.strip() for name in names.split(",")} <= set(public), (lesson, module)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_asks_answers_and_shows(lesson: str) -> None:
    text = (COURSE / f"{lesson}.md").read_text("utf-8")
    assert "**Question.**" in text
    assert re.search(r"\*\*Answer", text)
    assert "assert " in text
    (picture,) = re.findall(r"!\[[^\]]+\]\((images/[\w.-]+)\)", text)
    assert (COURSE / picture).is_file()
    for page in ("README.md", "README.fa.md"):
        assert f"({lesson}.md)" in (COURSE / page).read_text("utf-8")


@pytest.mark.parametrize("lesson", LESSONS)
def test_jupytext_opens_a_lesson(lesson: str) -> None:
    """It takes a first line with "coding:" for the encoding of the file."""
    jupytext = pytest.importorskip("jupytext", reason="needs the extra notebooks")
    kinds = [cell.cell_type for cell in jupytext.read(COURSE / f"{lesson}.md").cells]
    assert {"markdown", "code"} == set(kinds)


@pytest.mark.heavy
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs(lesson: str, tmp_path: Path) -> None:
    """In a copy, so that the pictures of the repository stay as they are."""
    jupytext = pytest.importorskip("jupytext", reason="needs the extra notebooks")
    client = pytest.importorskip("nbclient", reason="needs the extra notebooks")
    pytest.importorskip("ipykernel", reason="needs the extra notebooks")
    folder = tmp_path / "docs" / "course"
    (folder / "images").mkdir(parents=True)
    shutil.copytree(REPOSITORY / "examples" / "photos", tmp_path / "examples" / "photos")
    notebook = jupytext.read(COURSE / f"{lesson}.md")
    client.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    ).execute(env={**os.environ, "MPLBACKEND": "agg"})
    assert list((folder / "images").iterdir())
