"""Stacked layers of our own cells over whole sequences, with the interface of torch's recurrent
networks.

``nn.GRU`` and the like are faster, but their equations are fixed; a stack runs any cell of
:mod:`negah.models.cells`. Weights are initialised as in torch, so that captioners with different
cells differ only in their equations.

Axes: N sequences, T steps, E input size, L layers, D hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from negah.models.cells import Cell, CellState, make_cell

#: What torch's networks take and give: h (L, N, D), or (h, c).
NetworkState = Tensor | tuple[Tensor, Tensor]


class CellStack(nn.Module):
    """A recurrent network of L layers.

    Args:
        cell: by name (see :func:`~negah.models.cells.make_cell`).
        input_size: E.
        hidden_size: D.
        layers: L.
        dropout: on the output of every layer but the last.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, layers: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.cells = nn.ModuleList(
            make_cell(cell, hidden_size if layer else input_size, hidden_size)
            for layer in range(layers)
        )
        self.drop = nn.Dropout(dropout)
        self.hidden_size = hidden_size
        self.state_names = self._cell(0).state_names
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(
        self, inputs_NTE: Tensor, state: NetworkState | None = None
    ) -> tuple[Tensor, NetworkState]:
        """Run all steps.

        Args:
            inputs_NTE: the sequences.
            state: before the first step; None for zeros.

        Returns:
            the outputs of the last layer (N, T, D), and the state after the last step.
        """
        given = (state,) if isinstance(state, Tensor) else state
        last: list[CellState] = []
        values = inputs_NTE
        for layer in range(len(self.cells)):
            if given is None:
                zeros = inputs_NTE.new_zeros(inputs_NTE.shape[0], self.hidden_size)
                before = dict.fromkeys(self.state_names, zeros)
            else:
                before = {n: of[layer] for n, of in zip(self.state_names, given, strict=True)}
            values, after = self._run(layer, values if layer == 0 else self.drop(values), before)
            last.append(after)
        tensors = tuple(torch.stack([after[name] for after in last]) for name in self.state_names)
        return values, tensors[0] if len(tensors) == 1 else (tensors[0], tensors[1])

    def _run(self, layer: int, values: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """One layer over all steps; its inputs are projected at once."""
        cell = self._cell(layer)
        outputs = []
        for projected in cell.project(values).unbind(1):
            state = cell(projected, state)
            outputs.append(state["h"])
        return torch.stack(outputs, dim=1), state

    def _cell(self, layer: int) -> Cell:
        cell = self.cells[layer]
        assert isinstance(cell, Cell)
        return cell
