"""Generator cells: LSTM, GRU with and without reset gate, plain RNN, one time step at a time.

A cell is split to save work: ``project`` processes the input (all words of a teacher-forced batch
at once), ``forward`` the part that needs the state. Equations are next to the lines that compute
them; sigma is the logistic function.

Axes: ``...`` any leading axes (photos, captions), I input size, O output size, D hidden size, G
gates, N inputs of a step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from negah.errors import UnknownNameError

#: Recurrent state by name, each tensor of shape (..., D); ``h`` is always there.
CellState = dict[str, Tensor]


class StepLinear(nn.Linear):
    """A linear layer without a bias that is applied word by word.

    Within :func:`gathered`, the gradient of its weight is one product over all words, computed at
    the end of the backward pass: autograd waits for it because every word reads a token.
    """

    _steps: _Steps | None = None

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        if self._steps is None:
            return F.linear(inputs, self.weight)
        outputs: Tensor = _Apply.apply(self._steps.token, inputs, self._steps)
        return outputs


@contextmanager
def gathered(*layers: nn.Module | None, products: torch.dtype | None = None) -> Iterator[None]:
    """Context manager that gathers the weight gradients of :class:`StepLinear` layers.

    Args:
        layers: others than these layers, and those that do not learn, are left alone.
        products: the dtype that their products are computed in, such as bfloat16: weights are
            converted once for all words; inputs, outputs and gradients keep their dtype. None for
            that of the weights.
    """
    with ExitStack() as stack:
        for layer in layers:
            if isinstance(layer, StepLinear) and layer.weight.requires_grad:
                layer._steps = _Steps(layer.weight, products)
                stack.callback(setattr, layer, "_steps", None)
        yield


class _Steps:
    """The inputs of a layer, and the gradients of its outputs, in the dtype of products."""

    def __init__(self, weight_OI: Tensor, products: torch.dtype | None) -> None:
        self.weight_OI = weight_OI.detach().to(products or weight_OI.dtype)
        self.walked: list[tuple[Tensor, Tensor]] = []
        self.token: Tensor = _Applied.apply(weight_OI, self)

    def gradient(self) -> Tensor:
        inputs_NI, outputs_NO = (torch.cat(parts) for parts in zip(*self.walked, strict=True))
        self.walked = []
        return outputs_NO.t() @ inputs_NI


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_OI: Tensor, steps: _Steps) -> Tensor:
        ctx.steps = steps
        return weight_OI.new_zeros(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor, None]:
        return ctx.steps.gradient().to(token.dtype), None


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token: Tensor, inputs: Tensor, steps: _Steps) -> Tensor:
        ctx.steps = steps
        rounded = inputs.to(steps.weight_OI.dtype)
        ctx.save_for_backward(rounded)
        return F.linear(rounded, steps.weight_OI).to(inputs.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (inputs,) = ctx.saved_tensors
        rounded = outputs.to(inputs.dtype)
        ctx.steps.walked.append((inputs.flatten(0, -2), rounded.flatten(0, -2)))
        return outputs.new_zeros(1), (rounded @ ctx.steps.weight_OI).to(outputs.dtype), None


class Cell(nn.Module):
    """One recurrent cell.

    Args:
        input_size: I.
        hidden_size: D.

    Attributes:
        gates: number of blocks of size D in the projection of the input.
        state_names: the tensors of the state, ``h`` first.
    """

    gates: int
    state_names: tuple[str, ...] = ("h",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.input = nn.Linear(input_size, self.gates * hidden_size)
        self.recurrent = StepLinear(hidden_size, self.gates * hidden_size)
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.zeros_(self.input.bias)
        for block in self.recurrent.weight.chunk(self.gates):
            nn.init.orthogonal_(block)

    def project(self, inputs: Tensor) -> Tensor:
        """W x + b: (..., I) to (..., G x D)."""
        projected: Tensor = self.input(inputs)
        return projected

    @abstractmethod
    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """One step: a projected input (..., G x D) and the state before, to the state after."""


class LstmCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate, Gers et al. 2000)."""

    gates = 4
    state_names = ("h", "c")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        with torch.no_grad():  # forget-gate bias 1 (Jozefowicz et al. 2015)
            self.input.bias[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """c' = f c + i g; h' = o tanh(c')."""
        blocks = projected + self.recurrent(state["h"])
        write, forget, output, candidate = blocks.chunk(4, dim=-1)
        c = torch.sigmoid(forget) * state["c"] + torch.sigmoid(write) * torch.tanh(candidate)
        return {"h": torch.sigmoid(output) * torch.tanh(c), "c": c}


class GruCell(Cell):
    """Gated recurrent unit (Cho et al. 2014), reset gate after the recurrent product."""

    gates = 3

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """h' = z h + (1 - z) tanh(W x + r (U h)); r, z = sigma(...)."""
        return self.step(projected, state)

    def step(
        self,
        projected: Tensor,
        state: CellState,
        *,
        update: Tensor | float | None = None,
        reset: Tensor | float | None = None,
    ) -> CellState:
        """A step with optionally given gates, each in [0, 1].

        Args:
            projected: as in :meth:`forward`.
            state: as in :meth:`forward`.
            update: z, the share of the state that is kept; None for the cell's own.
            reset: r, the share of the state that the candidate sees; None for the cell's own.
        """
        h = state["h"]
        input_reset, input_update, input_new = projected.chunk(3, dim=-1)
        own_reset, own_update, own_new = self.recurrent(h).chunk(3, dim=-1)
        if reset is None:
            reset = torch.sigmoid(input_reset + own_reset)
        if update is None:
            update = torch.sigmoid(input_update + own_update)
        new = torch.tanh(input_new + reset * own_new)
        return {"h": update * h + (1 - update) * new}


class GruNoResetCell(Cell):
    """A GRU without reset gate: the candidate always sees the whole previous state.

    Ravanelli et al., "Light gated recurrent units for speech recognition", 2018, remove the reset
    gate as well (and change the activation, which stays tanh here).
    """

    gates = 2

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """h' = z h + (1 - z) tanh(W x + U h); z = sigma(...)."""
        return self.step(projected, state)

    def step(
        self, projected: Tensor, state: CellState, *, update: Tensor | float | None = None
    ) -> CellState:
        """A step with an optionally given update gate (see ``GruCell.step``)."""
        h = state["h"]
        input_update, input_new = projected.chunk(2, dim=-1)
        own_update, own_new = self.recurrent(h).chunk(2, dim=-1)
        if update is None:
            update = torch.sigmoid(input_update + own_update)
        new = torch.tanh(input_new + own_new)
        return {"h": update * h + (1 - update) * new}


class RnnCell(Cell):
    """Plain recurrent network (Elman 1990)."""

    gates = 1

    def forward(self, projected: Tensor, state: CellState) -> CellState:
        """h' = tanh(W x + U h + b)."""
        return {"h": torch.tanh(projected + self.recurrent(state["h"]))}


CELLS: dict[str, type[Cell]] = {
    "gru": GruCell,
    "gru-no-reset": GruNoResetCell,
    "lstm": LstmCell,
    "rnn": RnnCell,
}


def make_cell(name: str, input_size: int, hidden_size: int) -> Cell:
    """A cell by name: ``lstm``, ``gru``, ``gru-no-reset`` or ``rnn``."""
    if name not in CELLS:
        raise UnknownNameError("cell", name, CELLS)
    return CELLS[name](input_size, hidden_size)
