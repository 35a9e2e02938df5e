"""The study of a second language: its path from end to end, and its tests over photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

import torch

from negah.studies.persian import STUDY
from negah.studies.persian.training import targets_of
from negah.studies.photos import over_photos
from negah.studies.results import Results
from negah.text import PAD
from negah.training.padding import pad_captions
from quick_study import quick_results

#: All that a row can start from, and two languages.
CHOSEN = ("+ English weights", "+ self-critical", "both languages")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STUDY, "variants", lambda options: CHOSEN, raising=False)
        return quick_results(STUDY, tmp_path_factory.mktemp("persian"))


def test_rows_are_measured_in_their_languages(raw: dict[str, Any]) -> None:
    results = Results(raw)
    for row in CHOSEN:
        (value,) = results.values(row, "cider_d") or [None]
        assert value is not None
        assert 0 <= value <= 1000
        photos = results.cell(row, 0)["extra"]["photos"]["cider_d"]
        assert sum(photos) / len(photos) == pytest.approx(value, abs=0.1)
    assert results.values("both languages", "cider_d_en") is not None
    assert results.values("+ English weights", "cider_d_en") is None
    captions = results.cell("both languages", 0)["extra"]
    assert not any("<" in text for text in captions["captions"].values())
    assert all(text.isascii() for text in captions["captions_en"].values())


def test_tables_and_pictures(raw: dict[str, Any], tmp_path: Path) -> None:
    results = Results(raw)
    tables = STUDY.tables(results)
    assert set(tables) == {"results", "english", "cost", "tests", "examples"}
    assert "both languages" in tables["tests"]
    assert all(path.stat().st_size > 5_000 for path in STUDY.figures(results, tmp_path))


def test_a_difference_over_photos() -> None:
    photos = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0]
    cells = [
        {
            "variant": row, "seed": seed, "values": {},
            "extra": {"photos": {"cider_d": [p + up for p in photos],
                                 "nats": [[p + up, 2] for p in photos]}},
        }
        for row, up in (("fresh", 0.0), ("+ English weights", 5.0))
        for seed in (0, 1)
    ]  # fmt: skip
    found = over_photos(Results({"cells": cells}), "+ English weights", "fresh", "cider_d")
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(5), pytest.approx(5))
    assert found.p < 0.02
    ratio = over_photos(Results({"cells": cells}), "+ English weights", "fresh", "nats", 3)
    assert ratio is not None
    assert ratio.text.startswith("+2.500 to +2.500, p = 0.0")
    assert over_photos(Results({"cells": cells}), "fresh", "fresh", "cider_d_en") is None


def test_targets_end_where_captions_do() -> None:
    inputs, targets = map(torch.from_numpy, pad_captions([[[5, 6, 7], [8]]]))
    assert torch.equal(targets_of(inputs, targets != PAD), targets)
