"""The study of GRU gates: its fast GRU and its tasks against definitions, its path end to end.

Axes: N sequences, T steps, D hidden size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")

import torch
from torch.utils.flop_counter import FlopCounterMode

from common import REPOSITORY
from negah.models.cells import GruCell, GruNoResetCell, make_cell
from negah.models.stacks import CellStack
from negah.studies.gru_gates import STUDY
from negah.studies.gru_gates.cost import cell_cost
from negah.studies.gru_gates.learn import learn_task
from negah.studies.gru_gates.options import ADDING, COPYING, GUESSING, TaskOptions
from negah.studies.gru_gates.proof import prove
from negah.studies.gru_gates.scan import run_gru
from negah.studies.gru_gates.tasks import (
    ALPHABET,
    SYMBOLS,
    adding,
    copying,
)
from negah.studies.made import make_photos
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results
from negah.studies.run import run_study
from negah.studies.study import Paths

# Minutes on their own; its path from end to end is also that of `negah study all --quick`.
pytestmark = pytest.mark.heavy

PAGE = REPOSITORY / "docs" / "studies" / "gru-gates.md"


def silent(*_: Any) -> None:
    """No progress."""


@pytest.mark.parametrize("name", ["gru", "gru-no-reset"])
def test_the_fast_gru_is_the_cell(name: str) -> None:
    """States and the gradients of all weights, in float64."""
    torch.manual_seed(0)
    stack = CellStack(name, 3, 5).double()
    cell = stack.cells[0]
    assert isinstance(cell, GruCell | GruNoResetCell)
    inputs_NTI = torch.randn(4, 7, 3, dtype=torch.float64)
    fast_NTD, (slow_NTD, _) = run_gru(cell, inputs_NTI), stack(inputs_NTI)
    torch.testing.assert_close(fast_NTD, slow_NTD, rtol=0, atol=1e-14)
    weights, upstream = list(cell.parameters()), torch.randn_like(slow_NTD)
    fast = torch.autograd.grad(fast_NTD, weights, upstream)
    slow = torch.autograd.grad(slow_NTD, weights, upstream)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-13)


def test_adding() -> None:
    numbers = torch.Generator().manual_seed(0)
    inputs_NTI, sums_N = adding(4000, 10, numbers)
    marks_NT = inputs_NTI[..., 1]
    assert torch.all(marks_NT[:, :5].sum(1) == 1)
    assert torch.all(marks_NT[:, 5:].sum(1) == 1)
    torch.testing.assert_close((inputs_NTI[..., 0] * marks_NT).sum(1), sums_N)
    assert ((sums_N - 1) ** 2).mean().item() == pytest.approx(GUESSING[ADDING], rel=0.05)


def test_copying() -> None:
    inputs_NTI, symbols_NS = copying(6, 4, torch.Generator().manual_seed(0))
    assert inputs_NTI.shape == (6, 2 * SYMBOLS + 4, ALPHABET + 2)
    assert torch.all(inputs_NTI.sum(2) == 1)
    read_NT = inputs_NTI.argmax(2)
    assert torch.equal(read_NT[:, :SYMBOLS], symbols_NS)
    rest = [ALPHABET] * 4 + [ALPHABET + 1] + [ALPHABET] * (SYMBOLS - 1)
    assert read_NT[:, SYMBOLS:].tolist() == [rest] * 6


def test_networks_learn_what_they_are_asked() -> None:
    o = TaskOptions(
        hidden_size=24, adding_steps=150, copying_steps=150, learning_rate=1e-2, test_sequences=500
    )
    assert learn_task("adding", "gru", 4, o, 0, silent) < 0.2 * GUESSING[ADDING]
    assert learn_task("copying", "gru-no-reset", 0, o, 0, silent) > 0.4
    short = o.model_copy(update={"copying_steps": 3})
    again = [learn_task("copying", "lstm", 1, short, 1, silent) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize("name", ["gru", "gru-no-reset", "lstm"])
def test_cost_is_what_pytorch_counts(name: str) -> None:
    cell = make_cell(name, 6, 10)
    cost = cell_cost(name, 6, 10)
    assert cost.weights == sum(parameter.numel() for parameter in cell.parameters())
    state = {part: torch.zeros(1, 10) for part in cell.state_names}
    with FlopCounterMode(display=False) as counter:
        cell(cell.project(torch.zeros(1, 6)), state)
    products = cost.multiply_adds - counter.get_total_flops() // 2
    assert products == {"gru": 3, "gru-no-reset": 2, "lstm": 3}[name] * 10


def test_the_proof() -> None:
    found = prove(40, silent)
    proofs = {(row["schedule"], row["cell"]): row for row in found["proofs"]}
    leak = proofs.pop(("overwrite", "GRU without reset gate"))
    assert leak["largest_other"] > 1e-3
    assert leak["outputs_changed"] == 40
    assert len(proofs) == 3
    for row in proofs.values():
        assert row["largest_other"] == 0.0
        assert row["smallest_chosen"] > 0.0
        assert row["outputs_changed"] == 0
    elsewhere = [row["elsewhere"] for row in found["marked"]]
    assert elsewhere == sorted(elsewhere, reverse=True)
    assert elsewhere[0] > 1e-2
    assert elsewhere[-1] == 0.0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("gru-gates")
    paths = Paths(make_photos(folder / "photos"), folder / "work", folder / "features")
    options = STUDY.options(quick=True).model_copy(update={"seeds": (0,)})
    found = run_study(STUDY, options, paths, progress=silent)
    assert found is not None
    return found


def test_every_row_has_its_numbers(results: dict[str, Any]) -> None:
    found = Results(results)
    measured = [measure.name for measure in STUDY.all_measures()]
    for variant in ("GRU", "GRU without reset gate", "LSTM"):
        for measure in measured:
            assert found.estimate(variant, measure) is not None, (variant, measure)
        assert [point[0] for point in found.curves(variant, ADDING)[0]] == [4, 8]
        assert [point[0] for point in found.curves(variant, COPYING)[0]] == [1, 3]
    gap = [h - s for h, s in zip(*(
        [row[-1][1] for row in found.curves("GRU", "dev nats per token")],
        found.values("GRU", "nats_seen") or []), strict=True)]  # fmt: skip
    assert found.values("GRU", "overfitting") == pytest.approx(gap, abs=1e-4)


def test_tables_verdicts_and_page(results: dict[str, Any]) -> None:
    parts = made_parts(STUDY, results)
    for name in ("results", "memory", "cost", "adding", "copying", "proof", "marked", "count"):
        assert parts[name].count("\n") >= 2, name
    assert "| GRU without reset gate | 1,056 | 1,056 | 32 |" in parts["count"]
    assert parts["verdicts"].count("gradients to all others are exactly 0") == 3
    assert "without the reset gate, a step takes 33.3% fewer multiply-adds" in parts["verdicts"]
    assert "nan" not in "".join(parts.values())
    renew(PAGE.read_text("utf-8"), parts)


def test_figures(results: dict[str, Any], tmp_path: Path) -> None:
    drawn = STUDY.figures(Results(results), tmp_path)
    names = ("results", "memory", "curves", "forced")
    assert [path.name for path in drawn] == [f"gru-gates-{name}.png" for name in names]
    text = PAGE.read_text("utf-8")
    for path in drawn:
        assert path.stat().st_size > 1000
        assert f"]({path.name})" in text
