"""``negah study``: studies from end to end on made photos, the report, and wrong use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from negah.studies import STUDIES, find_study
from negah.studies.results import Results

STORED = REPOSITORY / "docs" / "studies"
#: One that is run, the quickest, and one whose results are those of the documentation.
RUN, KEPT = "synthetic", "tokens"
PAGE = "kept\n<!-- made: results -->\nold\n<!-- end -->\nkept\n"


def run_quickly(name: str, folder: Path) -> Path:
    """A study, or all, with one seed: the folder of the results."""
    output, work = str(folder / "out"), str(folder / "work")
    options = ["--quick", "--seeds", "1", "--output", output, "--work", work]
    assert run(["study", name, *options]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    output = folder / "out"
    output.mkdir()
    for path in STORED.glob(f"{KEPT}*.[jp][sn]*"):
        shutil.copy(path, output)
    (output / f"{RUN}.md").write_text(PAGE)
    return run_quickly(RUN, folder)


class _Outline(HTMLParser):
    """What a report holds, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        if tag == "img":
            self.images.append(values.get("src") or "")
        if tag not in ("img", "meta", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_results(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        results = json.loads((folder / f"{name}.json").read_text("utf-8"))
        assert results["quick"]
        assert results["cells"]
        assert results["verdicts"]
        figures = list(folder.glob(f"{name}-*.png"))
        assert figures, name
        assert all(figure.stat().st_size > 5_000 for figure in figures)


def test_a_study_leaves_its_numbers_and_figures(quick: Path) -> None:
    check_results(quick, [RUN])
    found = json.loads((quick / f"{RUN}.json").read_text("utf-8"))
    table = find_study(RUN).tables(Results(found))["results"]
    assert (quick / f"{RUN}.md").read_text("utf-8") == PAGE.replace("old", table)


@pytest.mark.heavy
def test_every_study_leaves_its_numbers_and_figures(tmp_path: Path) -> None:
    check_results(run_quickly("all", tmp_path), STUDIES)


def test_the_report_holds_all_of_it_and_needs_nothing_else(quick: Path) -> None:
    text = (quick / "report.html").read_text("utf-8")
    outline = _Outline()
    outline.feed(text)
    assert outline.open == []
    assert {RUN, KEPT} <= outline.ids
    assert len(outline.images) == len(list(quick.glob("*.png")))
    assert all(source.startswith("data:image/png;base64,") for source in outline.images)
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "<script" not in text
    assert "not meaningful" in text, "nobody is told that it was a quick run"


def test_the_report_opens_in_a_browser(quick: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    page = (quick / "report.html").as_uri()
    done = subprocess.run(
        [browser, *options, "--dump-dom", page], capture_output=True, text=True, timeout=120
    )
    assert all(f'<section id="{name}">' in done.stdout for name in (RUN, KEPT))


def test_a_report_is_made_without_training(quick: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(quick, copied)
    (copied / "report.html").unlink()
    stored = copied / f"{RUN}.json"
    found = json.loads(stored.read_text("utf-8"))
    stored.write_text(json.dumps({**found, "title": "Old", "verdicts": ["Old."]}))
    tag = f"See <!-- n: {RUN} | mean | CAM, hidden | exact -->?<!-- /n -->.\n"
    # of the texts that lie elsewhere, only those that are named are renewed
    inside, named, other = copied / "notes.md", tmp_path / "named.fa.md", tmp_path / "questions.md"
    for page in (inside, named, other):
        page.write_text(tag, encoding="utf-8")
    arguments = ["study", "report", "--output", str(copied), "--renew", str(named)]
    assert run(arguments) == 0
    assert (copied / "report.html").read_text() == (quick / "report.html").read_text()
    assert stored.read_bytes() == (quick / f"{RUN}.json").read_bytes()
    assert "?" not in inside.read_text("utf-8")
    assert re.search("[۰-۹]", named.read_text("utf-8"))
    assert other.read_text("utf-8") == tag
    assert {path.name for path in tmp_path.iterdir()} == {"copy", named.name, other.name}


def test_quick_results_do_not_replace_real_ones(
    quick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tmp_path / "tokens.json"
    kept = {"study": "tokens", "cells": [], "options": {"seeds": [0, 1, 2, 3, 4]}}
    real.write_text(json.dumps(kept))
    photos = str(quick.parent)
    for arguments in (["--quick"], ["--data", photos], ["--data", photos, "--seeds", "4"]):
        assert run(["study", "tokens", *arguments, "--output", str(tmp_path)]) == 2
        assert "would replace" in capsys.readouterr().err
        assert json.loads(real.read_text()) == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gru-gate"], "Did you mean 'gru-gates'"),
        (["tokens"], "give its folder with --data, or try --quick"),
        (["report", "--output", "nowhere"], "holds no results"),
        (["report", "--renew", "gone.md"], "--renew gone.md: no such file"),
        (["tokens", "--data", "nowhere"], "nowhere"),
        (["persian", "--data", "."], "persian needs captions_fa.csv in ."),
        (["word-order", "--data", "."], "holds no folder text/"),
        (["evidence", "--data", ".", "--objects", "gone.jsonl"], "there is no file gone.jsonl"),
        ([], "NAME"),
    ],
)
def test_wrong_use_says_what_to_do(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["study", *arguments]) in (1, 2)
    assert message in capsys.readouterr().err
