"""The forced GRU, put to the proof on random cases: exact zeros, and what comes near them.

Axes: N sequences, T steps, I input size, D hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.models.cells import GruCell, GruNoResetCell
from negah.models.seeding import seeded
from negah.studies.gru_gates.forced_gates import ForcedGru, GateSchedule, depend_on, mark_gates
from negah.studies.study import Progress

#: Largest sizes of a random case.
_STEPS, _INPUT, _HIDDEN = 24, 6, 10
#: Logits of gates that a marker in the input opens and closes.
STRENGTHS = (2.0, 5.0, 10.0, 20.0, 50.0, 128.0)


def prove(cases: int, progress: Progress) -> dict[str, Any]:
    """Random T, t', moment of reading, sizes, weights and inputs for each schedule.

    Args:
        cases: of each schedule.
        progress: told how many are done.

    Returns:
        for each schedule the largest gradient to another input, the smallest to the chosen one,
        and how many outputs changed a bit when all other inputs were changed; and for gates that
        the cell makes from a marker, the share of the gradient that goes elsewhere.
    """
    proofs = []
    kinds = (
        ("erase", "GRU", True),
        ("silence", "GRU", True),
        ("silence", "GRU without reset gate", False),
        ("overwrite", "GRU without reset gate", False),
    )
    for number, (schedule, title, with_reset) in enumerate(kinds):
        with seeded(number):
            found = [_case(schedule, with_reset) for _ in range(cases)]
        others, chosen, changed = zip(*found, strict=True)
        proofs.append(
            {
                "schedule": schedule,
                "cell": title,
                "cases": cases,
                "largest_other": max(others),
                "smallest_chosen": min(chosen),
                "outputs_changed": sum(changed),
            }
        )
        progress("proofs", number + 1, len(kinds))
    marked = [{"strength": strength, "elsewhere": _leak(strength)} for strength in STRENGTHS]
    return {"proofs": proofs, "marked": marked}


def _case(schedule: str, with_reset: bool) -> tuple[float, float, bool]:
    """Gradients to the other inputs and to the chosen one, and whether an output changed."""
    steps = _draw(2, _STEPS)
    chosen = _draw(0 if schedule != "overwrite" else 1, steps - 1)
    read = _draw(chosen, steps - 1)
    cell = _random_cell(with_reset, _draw(1, _INPUT), _draw(1, _HIDDEN))
    network = ForcedGru(cell, _schedule(schedule, chosen, steps))
    inputs_NTI = torch.randn(2, steps, cell.input.in_features, requires_grad=True)
    output_ND = network(inputs_NTI)[:, read]
    gradient_NTI = _gradient(output_ND, inputs_NTI)
    others_T = torch.arange(steps) != chosen
    changed_NTI = torch.where(others_T[:, None], 10 * torch.randn_like(inputs_NTI), inputs_NTI)
    return (
        float(gradient_NTI[:, others_T].abs().max()),
        float(gradient_NTI[:, chosen].abs().max()),
        not torch.equal(network(changed_NTI)[:, read], output_ND),
    )


def _schedule(name: str, chosen: int, steps: int) -> GateSchedule:
    if name == "overwrite":  # z = 0 at t', as in "erase", without a reset gate to close
        after = (1.0,) * (steps - chosen - 1)
        return GateSchedule(update=(*((None,) * chosen), 0.0, *after))
    return depend_on(chosen, steps, method="erase" if name == "erase" else "silence")


@seeded(0)
def _leak(strength: float) -> float:
    """The share of the gradient that goes to inputs without the marker, 64 sequences of 20."""
    cell = _random_cell(True, _INPUT, _HIDDEN)
    mark_gates(cell, 0, strength)
    inputs_NTI = torch.randn(64, 20, _INPUT)
    inputs_NTI[..., 0] = F.one_hot(torch.randint(20, (64,)), 20)
    inputs_NTI.requires_grad_()
    states_NTD = ForcedGru(cell, GateSchedule(update=(None,) * 20))(inputs_NTI)
    size_NT = _gradient(states_NTD[:, -1], inputs_NTI)[..., 1:].abs().sum(-1)
    elsewhere = size_NT[inputs_NTI[..., 0] == 0].sum() / size_NT.sum()
    return float(elsewhere)


def _random_cell(with_reset: bool, input_size: int, hidden_size: int) -> GruCell | GruNoResetCell:
    cell = (GruCell if with_reset else GruNoResetCell)(input_size, hidden_size)
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return cell


def _gradient(output_ND: Tensor, inputs_NTI: Tensor) -> Tensor:
    """Of the output in a random direction."""
    (found,) = torch.autograd.grad(output_ND, inputs_NTI, torch.randn_like(output_ND))
    return found


def _draw(low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, ()))
