"""A GRU with forced gates depends on one chosen input: exact zeros, for random cases.

Axes: N sequences, T steps, I input size, D hidden size.
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="models need the train extra")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from negah.errors import UsageError
from negah.models.cells import GruCell, GruNoResetCell
from negah.studies.gru_gates.forced_gates import (
    ForcedGru,
    GateSchedule,
    depend_on,
    mark_gates,
)

INPUT, HIDDEN = 3, 5
CELLS = {"erase": GruCell, "silence": GruNoResetCell}


def random_cell(cls: type[GruCell] | type[GruNoResetCell]) -> GruCell | GruNoResetCell:
    cell = cls(INPUT, HIDDEN)
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    return cell


def gradients(states_NTD: Tensor, inputs_NTI: Tensor, at: int) -> Tensor:
    """|d h_at / d x_s| for every step s, summed over what is left: (T,)."""
    direction = torch.randn_like(states_NTD[:, at])
    (found,) = torch.autograd.grad((states_NTD[:, at] * direction).sum(), inputs_NTI)
    return found.abs().sum((0, 2))


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int, int]:
    """T, t' and the step at which the output is read."""
    steps = draw(st.integers(1, 12))
    chosen = draw(st.integers(0, steps - 1))
    return steps, chosen, draw(st.integers(chosen, steps - 1))


@pytest.mark.parametrize("method", ["erase", "silence"])
@given(places(), st.integers(0, 2**31), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_output_depends_on_the_chosen_input_alone(
    method: str, place: tuple[int, int, int], seed: int, reset_gate: bool
) -> None:
    """Random weights, inputs, T, t' and moments of reading."""
    steps, chosen, read = place
    torch.manual_seed(seed)
    cell = random_cell(GruCell if method == "erase" or reset_gate else GruNoResetCell)
    network = ForcedGru(cell, depend_on(chosen, steps, method=method))  # type: ignore[arg-type]
    inputs_NTI = torch.randn(2, steps, INPUT, requires_grad=True)
    states_NTD = network(inputs_NTI)
    found_T = gradients(states_NTD, inputs_NTI, read)
    others = torch.arange(steps) != chosen
    assert torch.all(found_T[others] == 0.0)
    assert found_T[chosen] > 0.0
    # and by experiment: other inputs of any size leave every bit of the output
    changed_NTI = torch.where(others[:, None], 100 * torch.randn_like(inputs_NTI), inputs_NTI)
    assert torch.equal(network(changed_NTI)[:, read], states_NTD[:, read])
    changed_NTI = torch.where(others[:, None], inputs_NTI, inputs_NTI + 0.5)
    assert not torch.equal(network(changed_NTI)[:, read], states_NTD[:, read])


def test_the_output_is_the_candidate_of_the_chosen_step() -> None:
    """h_T = tanh(W x_t' + b), whatever was in the state before."""
    torch.manual_seed(0)
    cell = random_cell(GruCell)
    inputs_NTI, first_ND = torch.randn(2, 6, INPUT), torch.randn(2, HIDDEN)
    expected = torch.tanh(cell.project(inputs_NTI)[:, 2, -HIDDEN:])
    assert torch.equal(ForcedGru(cell, depend_on(2, 6))(inputs_NTI, first_ND)[:, -1], expected)
    silent = ForcedGru(cell, depend_on(2, 6, method="silence"))
    assert torch.equal(silent(inputs_NTI)[:, -1], expected)
    assert not torch.equal(silent(inputs_NTI, first_ND)[:, -1], expected)


def test_before_the_chosen_step_the_gates_are_the_cells_own() -> None:
    torch.manual_seed(1)
    cell = random_cell(GruCell)
    inputs_NTI = torch.randn(2, 5, INPUT)
    states_NTD = ForcedGru(cell, depend_on(3, 5))(inputs_NTI)
    state, projected_NTG = {"h": torch.zeros(2, HIDDEN)}, cell.project(inputs_NTI)
    for t in range(3):
        state = cell(projected_NTG[:, t], state)
        assert torch.equal(states_NTD[:, t], state["h"])


def test_without_a_reset_gate_what_was_written_leaks() -> None:
    """z = 0 at t' alone does not do: U h brings all earlier inputs along."""
    torch.manual_seed(2)
    steps, chosen = 6, 3
    cell = random_cell(GruNoResetCell)
    schedule = GateSchedule(update=((None,) * chosen) + (0.0,) + (1.0,) * (steps - chosen - 1))
    inputs_NTI = torch.randn(2, steps, INPUT, requires_grad=True)
    found_T = gradients(ForcedGru(cell, schedule)(inputs_NTI), inputs_NTI, steps - 1)
    assert torch.all(found_T[: chosen + 1] > 0.0)
    assert torch.all(found_T[chosen + 1 :] == 0.0)


@pytest.mark.parametrize("fault", ["update before", "reset", "update at", "update after"])
def test_every_part_of_the_schedule_is_needed(fault: str) -> None:
    """One gate changed a little, and other inputs are seen again."""
    torch.manual_seed(3)
    steps, chosen = 6, 3
    method = "silence" if fault == "update before" else "erase"
    schedule = depend_on(chosen, steps, method=method)  # type: ignore[arg-type]
    step = {"update before": 1, "update after": 4}.get(fault, chosen)
    gates = {"update": list(schedule.update), "reset": list(schedule.reset)}
    gate = gates[fault.split()[0]]
    gate[step] = abs((gate[step] or 0.0) - 0.01)
    broken = GateSchedule(tuple(gates["update"]), tuple(gates["reset"]))
    cell = random_cell(GruCell)
    inputs_NTI = torch.randn(2, steps, INPUT, requires_grad=True)
    found_T = gradients(ForcedGru(cell, broken)(inputs_NTI), inputs_NTI, steps - 1)
    assert torch.any(found_T[torch.arange(steps) != chosen] > 0.0)


@pytest.mark.parametrize("cls", CELLS.values())
def test_a_marker_in_the_input_can_choose(cls: type[GruCell] | type[GruNoResetCell]) -> None:
    """Learnable weights suffice: an ordinary cell, its own gates, another t' in each sequence."""
    torch.manual_seed(4)
    cell = random_cell(cls)
    mark_gates(cell, marker=0, strength=128.0)
    inputs_NTI = torch.randn(8, 7, INPUT)
    chosen_N = torch.randint(7, (8,))
    inputs_NTI[..., 0] = nn.functional.one_hot(chosen_N, 7)
    inputs_NTI.requires_grad_()
    free = GateSchedule(update=(None,) * 7)
    states_NTD = ForcedGru(cell, free)(inputs_NTI)
    (found,) = torch.autograd.grad(states_NTD[:, -1].square().sum(), inputs_NTI)
    norm_NT = found[..., 1:].abs().sum(-1)
    assert torch.equal(norm_NT > 0, inputs_NTI[..., 0] == 1)
    expected = torch.tanh(cell.project(inputs_NTI)[torch.arange(8), chosen_N, -HIDDEN:])
    assert torch.equal(states_NTD[:, -1], expected)


def test_mistakes_are_explained() -> None:
    for chosen in (-1, 5):
        with pytest.raises(UsageError, match="choose a step from 0 to 4"):
            depend_on(chosen, 5)
    with pytest.raises(UsageError, match="method='silence'"):
        ForcedGru(GruNoResetCell(INPUT, HIDDEN), depend_on(1, 3))
    with pytest.raises(UsageError, match="sequences of 4 steps, and a schedule of 3"):
        ForcedGru(GruCell(INPUT, HIDDEN), depend_on(1, 3))(torch.zeros(1, 4, INPUT))
    with pytest.raises(UsageError, match="one of each for every step"):
        GateSchedule((0.0, 1.0), (1.0,))
    with pytest.raises(UsageError, match="from 0 to 1"):
        GateSchedule((1.5,))
