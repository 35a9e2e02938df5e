"""The study of CAM-RNN's parts on photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")


from common import REPOSITORY
from negah.studies import find_study
from negah.studies.ablation import STUDY
from negah.studies.ablation.cells import frame_is_mean, make_captioner
from negah.studies.ablation.study import VARIANTS
from negah.studies.made import make_photos
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results
from negah.studies.run import run_study
from negah.studies.study import Paths

# Minutes on their own; its path from end to end is also that of `negah study all --quick`.
pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("one_thread")]

PAGE = REPOSITORY / "docs" / "studies" / "ablation.md"


def silent(*_: Any) -> None:
    """No progress."""


def test_from_end_to_end(tmp_path: Path) -> None:
    assert find_study("ablation") is STUDY
    paths = Paths(make_photos(tmp_path / "photos"), tmp_path / "work", tmp_path / "features")
    options = STUDY.options(quick=True).model_copy(
        update={"seeds": (0,), "systems": ("None", "CAM, hidden")}
    )
    results = run_study(STUDY, options, paths, progress=silent)
    assert results is not None
    found = Results(results)
    for variant in ("None", "CAM, hidden"):
        for measure in ("cider_d", "bleu_4", "nats", "parameters"):
            assert found.estimate(variant, measure) is not None, (variant, measure)
    parts = made_parts(STUDY, results)
    assert "Frame with the weights of None" in parts["verdicts"]
    assert "nan" not in "".join(parts.values())
    renew(PAGE.read_text("utf-8"), parts)


def test_frame_attention_over_one_frame_is_none() -> None:
    assert frame_is_mean(STUDY.options(quick=True)) < 1e-6


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_have_the_parts_of_their_names(variant: str) -> None:
    model = make_captioner(STUDY.options(quick=False), variant, 6, 20)
    assert (model.gate is not None) == variant.startswith("CAM")
    assert (model.text is not None) == variant.startswith(("CAM", "VT"))
    assert (model.regions is not None) == (not variant.startswith(("None", "Frame")))
    assert (model.frames is not None) == (variant != "None")
    if model.regions is not None:
        assert (model.regions.query is not None) == ("hidden" in variant)
    if model.text is not None:
        assert model.options.phrases == (int(variant[-1]) if "S = " in variant else 3)


def test_every_comparison_is_of_rows_that_are_there() -> None:
    for comparison in STUDY.comparisons:
        assert {comparison.variant, comparison.against} <= VARIANTS.keys()
