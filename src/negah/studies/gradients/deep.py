"""Deep recurrent networks whose gradients are helped from layer to layer.

Axes: N sequences, T steps, E = D input and hidden size, L layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LstmState = tuple[Tensor, Tensor]


class HelpedStack(nn.Module):
    """Layers of LSTM with normalised inputs, residual connections, or both; used as ``nn.LSTM``.

    Layer l computes ``y = LSTM(norm(x))``, or ``x + LSTM(norm(x))`` where it is residual (the order
    of R. Xiong et al., "On layer normalization in the transformer architecture", ICML 2020).

    Args:
        size: E = D.
        layers: L.
        dropout: on the input of every layer but the first.
        residual: add a layer's input to its output.
        norm: normalise a layer's input (J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer
            normalization", 2016).
    """

    def __init__(
        self, size: int, layers: int, dropout: float, *, residual: bool, norm: bool
    ) -> None:
        super().__init__()
        self.residual = residual
        self.cells = nn.ModuleList(nn.LSTM(size, size, batch_first=True) for _ in range(layers))
        self.norms = nn.ModuleList(
            nn.LayerNorm(size) if norm else nn.Identity() for _ in range(layers)
        )
        self.drop = nn.Dropout(dropout)
        with torch.no_grad():  # forget gates begin at 1, as in ShowTell
            for cell in self.cells:
                cell.get_parameter("bias_ih_l0")[size : 2 * size] = 1.0

    def forward(
        self, inputs_NTE: Tensor, state: LstmState | None = None
    ) -> tuple[Tensor, LstmState]:
        """Outputs of the last layer (N, T, D), and h and c after the last step, (L, N, D) each."""
        if state is None:
            zeros = inputs_NTE.new_zeros(len(self.cells), inputs_NTE.shape[0], inputs_NTE.shape[2])
            state = zeros, zeros
        values, after = inputs_NTE, []
        for layer, (cell, norm) in enumerate(zip(self.cells, self.norms, strict=True)):
            read = values if layer == 0 else self.drop(values)
            before = state[0][layer : layer + 1], state[1][layer : layer + 1]
            output, last = cell(norm(read), before)
            values = read + output if self.residual else output
            after.append(last)
        h, c = (torch.cat(tensors) for tensors in zip(*after, strict=True))
        return values, (h, c)
