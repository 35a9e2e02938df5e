"""A GRU whose gates follow a schedule, so that its output can depend on a single chosen input.

With constant gates, h_t = z_t h_{t-1} + (1 - z_t) tanh(W x_t + b + r_t U h_{t-1}). Two schedules
make every state from step t' on a function of x_{t'} alone; ``docs/studies/gru-gates.md`` derives
them and shows that there are no others for general weights:

- **erase**: z = 0 and r = 0 at t', z = 1 after it. Whatever was read before is overwritten,
  and the gates before t' are free. It needs the reset gate.
- **silence**: z = 1 at every step but t'. Nothing is written before, so nothing has to be erased,
  and a GRU without reset gate can do it. The first state remains, and has to be a constant.

Axes: N sequences, T steps, I input size, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from negah.errors import UsageError
from negah.models.cells import GruCell, GruNoResetCell

#: The gates of a cell at one step; None leaves the gate to the cell.
GateValues = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class GateSchedule:
    """The gates at each step.

    Attributes:
        update: z, the share of the state that is kept, in [0, 1]; None for the cell's own gate.
        reset: r, the share of the state that the candidate sees, as ``update``; empty for a cell
            without reset gate.
    """

    update: GateValues
    reset: GateValues = ()

    def __post_init__(self) -> None:
        if self.reset and len(self.reset) != len(self.update):
            raise UsageError(
                f"a schedule of {len(self.update)} update gates and {len(self.reset)} reset gates: "
                "give one of each for every step, or no reset gates"
            )
        for value in (*self.update, *self.reset):
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"a gate of {value}: gates are numbers from 0 to 1, or None")


def depend_on(
    chosen: int, steps: int, *, method: Literal["erase", "silence"] = "erase"
) -> GateSchedule:
    """The gates with which the states from step ``chosen`` on depend on that step's input alone.

    Args:
        chosen: t', counted from 0.
        steps: T; the output is read after any step from ``chosen`` to T - 1.
        method: "erase" leaves the gates before t' to the cell and needs a reset gate; "silence"
            needs none, and a first state that is a constant.

    Raises:
        UsageError: ``chosen`` is not a step.
    """
    if not 0 <= chosen < steps:
        raise UsageError(
            f"step {chosen} of a sequence of {steps}: choose a step from 0 to {steps - 1}"
        )
    after: GateValues = (1.0,) * (steps - chosen - 1)
    if method == "silence":
        return GateSchedule(update=((1.0,) * chosen) + (0.0,) + after)
    before: GateValues = (None,) * chosen
    return GateSchedule(
        update=(*before, 0.0, *after), reset=(*before, 0.0, *((None,) * len(after)))
    )


class ForcedGru(nn.Module):
    """A GRU that runs through a schedule of gates.

    Args:
        cell: whose weights, and gates where the schedule leaves them free, are used.
        schedule: a value or None for each step.

    Raises:
        UsageError: reset gates for a cell that has none.
    """

    def __init__(self, cell: GruCell | GruNoResetCell, schedule: GateSchedule) -> None:
        super().__init__()
        if schedule.reset and isinstance(cell, GruNoResetCell):
            raise UsageError(
                "the schedule forces reset gates, and the cell has none: use a GruCell, or "
                "depend_on(..., method='silence')"
            )
        self.cell = cell
        self.schedule = schedule

    def forward(self, inputs_NTI: Tensor, first_ND: Tensor | None = None) -> Tensor:
        """The states h_1 .. h_T.

        Args:
            inputs_NTI: the sequences, as long as the schedule.
            first_ND: h_0; None for zeros.

        Returns:
            (N, T, D), the last of which is the output of the network.

        Raises:
            UsageError: sequences of another length.
        """
        steps = len(self.schedule.update)
        if inputs_NTI.shape[1] != steps:
            raise UsageError(
                f"sequences of {inputs_NTI.shape[1]} steps, and a schedule of {steps}: "
                "make a schedule of the same length"
            )
        if first_ND is None:
            first_ND = inputs_NTI.new_zeros(inputs_NTI.shape[0], self.cell.hidden_size)
        state = {"h": first_ND}
        states = []
        for t, projected in enumerate(self.cell.project(inputs_NTI).unbind(1)):
            update = self.schedule.update[t]
            if isinstance(self.cell, GruNoResetCell):
                state = self.cell.step(projected, state, update=update)
            else:
                reset = self.schedule.reset[t] if self.schedule.reset else None
                state = self.cell.step(projected, state, update=update, reset=reset)
            states.append(state["h"])
        return torch.stack(states, dim=1)


def mark_gates(cell: GruCell | GruNoResetCell, marker: int, strength: float) -> None:
    """Set the weights of the gates so that a marker in the input selects the step.

    Where component ``marker`` of the input is 1, the logits of the gates become -strength, and
    where it is 0, +strength: the state is kept at every step but the marked one, which is
    written with the reset gate closed. This is "silence" by an ordinary GRU, up to
    exp(-strength); with a strength of 128, float32 knows no difference. The candidate ignores
    the marker.

    Args:
        cell: changed in place.
        marker: a component of the input that is 0 or 1.
        strength: of the logits, positive.
    """
    gates = (cell.gates - 1) * cell.hidden_size  # the candidate is the last block
    with torch.no_grad():
        cell.input.weight[:gates] = 0.0
        cell.input.weight[:gates, marker] = -2.0 * strength
        cell.input.weight[gates:, marker] = 0.0
        cell.input.bias[:gates] = strength
        cell.recurrent.weight[:gates] = 0.0
