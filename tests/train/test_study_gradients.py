"""The study of gradients from end to end, in seconds, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")

from common import REPOSITORY
from negah.studies.gradients import STUDY
from negah.studies.gradients.study import CURES
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results
from quick_study import quick_results

# Minutes on their own; its path from end to end is also that of `negah study all --quick`.
pytestmark = pytest.mark.heavy

PAGE = REPOSITORY / "docs" / "studies" / "gradients.md"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return quick_results(STUDY, tmp_path_factory.mktemp("gradients"))


def test_every_row_has_its_numbers(results: dict[str, Any]) -> None:
    found = Results(results)
    for variant in STUDY.variants(STUDY.options(quick=True)):
        for measure in ("jacobian_1", "jacobian_10", "nats", "saturation", "update", "parameters"):
            assert found.estimate(variant, measure) is not None, (variant, measure)
        for curve in ("memory, start", "memory, end", "later words, end", "left after 10 words"):
            assert found.curves(variant, curve), (variant, curve)
        # every Jacobian begins with the identity
        assert found.curves(variant, "memory, start")[0][0] == pytest.approx([0.0, 1.0])
    only = {"layer_share": ["40-layer LSTM", *CURES], "encoder": ["CNN blocks trained"]}
    for measure, variants in only.items():
        have = [v for v in found.variants if found.estimate(v, measure) is not None]
        assert have == variants
    # a frozen table gets no gradient, and nothing is said of it
    assert found.estimate("frozen GloVe", "dead") is None
    assert found.estimate("LSTM", "dead") is not None
    for deep in ("40-layer LSTM", *CURES):
        assert len(found.curves(deep, "layers, end")[0]) == 6


def test_the_cnn_that_learns_gets_a_gradient(results: dict[str, Any]) -> None:
    found = Results(results).estimate("CNN blocks trained", "encoder")
    assert found is not None
    assert found.mean > 0


def test_the_verdict_names_every_captioner(results: dict[str, Any]) -> None:
    sentences = results["verdicts"]
    for variant in STUDY.variants(STUDY.options(quick=True)):
        (own,) = [s for s in sentences if s.startswith(f"{variant}: ")]
        assert " in 1 of 1 seeds" in own
    assert any(s.startswith("Forty layers") for s in sentences)
    for cure in CURES:
        assert any(
            s.startswith(cure) and "the network: gradients healthy in" in s for s in sentences
        )


def test_figures_and_page_are_made_of_the_numbers(results: dict[str, Any], tmp_path: Path) -> None:
    drawn = STUDY.figures(Results(results), tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    assert [path.stat().st_size > 5000 for path in drawn] == [True] * 4
    assert all(f"]({path.name})" in page for path in drawn)
    parts = made_parts(STUDY, results)
    assert all(f"<!-- made: {name} -->" in page for name in ("results", "verdicts", "setting"))
    assert "plain RNN" in renew(page, parts)
