"""The study of a second language: its path from end to end, and its tests over photos."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import negah
from negah.errors import UsageError
from negah.studies.persian import STUDY
from negah.studies.persian.options import ROWS
from negah.studies.persian.photos import over_photos
from negah.studies.results import Results
from quick_study import quick_results

#: One that begins, one that goes on from it, and one of two languages.
CHOSEN = ("+ sentences", "+ self-critical", "both languages")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("persian")


@pytest.fixture(scope="module")
def raw(folder: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STUDY, "variants", lambda options: CHOSEN, raising=False)
        return quick_results(STUDY, folder)


def test_rows_are_measured_in_their_languages(raw: dict[str, Any]) -> None:
    results = Results(raw)
    for row in CHOSEN:
        (value,) = results.values(row, "cider_d") or [None]
        assert value is not None
        assert 0 <= value <= 1000
        photos = results.cell(row, 0)["extra"]["photos"]
        assert sum(photos) / len(photos) == pytest.approx(value, abs=0.1)
    assert results.values("both languages", "cider_d_en") is not None
    assert results.values("+ sentences", "cider_d_en") is None
    captions = results.cell("both languages", 0)["extra"]
    assert not any("<" in text for text in captions["captions"].values())
    assert all(text.isascii() for text in captions["captions_en"].values())


def test_a_run_of_both_languages_does_not_caption(raw: dict[str, Any], folder: Path) -> None:
    place = [row.name for row in ROWS].index("both languages")
    (run,) = folder.glob(f"work/runs-*/{place}-0")
    with pytest.raises(UsageError, match=r"learned Persian and English together"):
        negah.load(run)
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert {"CIDEr-D", "en/CIDEr-D"} <= last.keys()


def test_tables_and_pictures(raw: dict[str, Any], tmp_path: Path) -> None:
    results = Results(raw)
    tables = STUDY.tables(results)
    assert set(tables) == {"results", "english", "cost", "tests", "examples"}
    assert "self-critical" in tables["tests"]
    assert all(path.stat().st_size > 5_000 for path in STUDY.figures(results, tmp_path))


def test_a_difference_over_photos() -> None:
    photos = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]
    cells = [
        {"variant": row, "seed": seed, "values": {}, "extra": {"photos": [p + up for p in photos]}}
        for row, up in (("fresh", 0.0), ("+ English weights", 5.0))
        for seed in (0, 1)
    ]
    found = over_photos(Results({"cells": cells}), "+ English weights", "fresh", "cider_d")
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(5), pytest.approx(5))
    assert found.p < 0.02
    assert over_photos(Results({"cells": cells}), "fresh", "fresh", "cider_d_en") is None


def test_rows_go_on_from_rows_that_are_there() -> None:
    names = {row.name for row in ROWS}
    assert {row.after for row in ROWS} - {""} <= names
    assert importlib.util.find_spec("tokenizers") or "subwords" in names
