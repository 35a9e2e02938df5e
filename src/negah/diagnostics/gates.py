"""Saturation of the gates of a cell.

A gate near 0 or 1 passes no gradient to what opened it; one that is always there is a constant.
Counted is the share of activations below 0.05 and above 0.95, gate by gate. A plain RNN has no
gates; of its units, those beyond -0.95 and 0.95 are counted, where tanh is as flat.

Axes: N captions under way, D hidden size, L layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from negah.models import CaptionModel
from negah.models.cells import Cell

#: Below ``LOW`` a gate is shut, above ``HIGH`` it is wide open.
LOW, HIGH = 0.05, 0.95

#: The gates of torch's networks, in the order of their blocks; "" is no gate.
_LSTM = ("write", "forget", "", "output")
_GRU = ("reset", "update", "")


@dataclass
class Saturation:
    """Counts of one gate.

    Attributes:
        low: activations below 0.05 (of a plain RNN, below -0.95).
        high: activations above 0.95.
        total: all of them.
        sum: of the activations.
    """

    low: int = 0
    high: int = 0
    total: int = 0
    sum: float = 0.0

    @property
    def share(self) -> float:
        """Share that is saturated, 0 to 1."""
        return (self.low + self.high) / self.total if self.total else 0.0

    def to_dict(self) -> dict[str, float]:
        """Shares and mean."""
        total = max(1, self.total)
        return {
            "shut": self.low / total,
            "open": self.high / total,
            "saturated": self.share,
            "mean": self.sum / total,
        }


class GateWatch:
    """Counts the gates of a captioner while it walks, one word at a time.

    Args:
        captioner: with a :class:`~negah.models.cells.Cell` or a recurrent network of torch, in
            evaluation mode; of other networks nothing is counted.

    Attributes:
        gates: by name; "units" of a plain RNN.
    """

    def __init__(self, captioner: CaptionModel) -> None:
        self.captioner = captioner
        self.gates: dict[str, Saturation] = {}

    @contextmanager
    def watching(self, counts_BK: Tensor) -> Iterator[None]:
        """Count what the cells do within; captions that have ended do not count."""
        keep_N = counts_BK.flatten()

        def seen(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            with torch.no_grad():
                for name, activations in _gates_of(module, given, output):
                    self._count(name, activations.reshape(len(keep_N), -1)[keep_N])

        watched = [m for m in self.captioner.modules() if isinstance(m, Cell | nn.RNNBase)]
        handles = [module.register_forward_hook(seen) for module in watched]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _count(self, name: str, activations: Tensor) -> None:
        gate = self.gates.setdefault(name, Saturation())
        gate.low += int((activations < (-HIGH if name == "units" else LOW)).sum())
        gate.high += int((activations > HIGH).sum())
        gate.total += activations.numel()
        gate.sum += float(activations.double().sum())


def _gates_of(
    module: nn.Module, given: tuple[Any, ...], output: Any
) -> Iterator[tuple[str, Tensor]]:
    """The gates of one call, by name."""
    if isinstance(module, Cell):
        blocks = given[0] + module.recurrent(given[1]["h"])
        names = _cell_names(module)
        for name, block in zip(names, blocks.chunk(len(names), dim=-1), strict=True):
            if name:
                yield name, torch.tanh(block) if name == "units" else torch.sigmoid(block)
    elif isinstance(module, nn.RNNBase):
        yield from _of_network(module, given, output)


def _cell_names(cell: Cell) -> tuple[str, ...]:
    """The gate of each block of a cell; the candidates are none."""
    return {4: ("write", "forget", "output", ""), 3: ("reset", "update", "")}.get(
        cell.gates, ("update", "") if cell.gates == 2 else ("units",)
    )


def _of_network(
    network: nn.RNNBase, given: tuple[Any, ...], output: Any
) -> Iterator[tuple[str, Tensor]]:
    """Recompute the gates of PyTorch's networks, layer by layer, for one time step."""
    sequence, before = given
    if sequence.shape[1] != 1:
        return
    h_before = before[0] if isinstance(before, tuple) else before
    h_after = output[1][0] if isinstance(output[1], tuple) else output[1]
    names = _LSTM if network.mode == "LSTM" else _GRU if network.mode == "GRU" else ("units",)
    for layer in range(network.num_layers):
        if names == ("units",):
            yield "units", h_after[layer]
            continue
        read_NI = sequence[:, 0] if layer == 0 else h_after[layer - 1]
        w_in, w_own, b_in, b_own = (getattr(network, f"{part}_l{layer}") for part in _PARTS)
        blocks = read_NI @ w_in.T + b_in + h_before[layer] @ w_own.T + b_own
        for name, block in zip(names, blocks.chunk(len(names), dim=-1), strict=True):
            if name:
                yield name, torch.sigmoid(block)


_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
