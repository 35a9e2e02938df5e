"""Gradients, updates and dead rows of the weights, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: A layer of torch's stack, of a stack of our cells, a block of an encoder's tail.
_STACKED = re.compile(r"_l(\d+)$|\.cells\.(\d+)\.|^encoder\.(\d+)\.")


def layer_of(name: str) -> str:
    """The layer that a parameter belongs to: "network layer 3", "embedding", "cell".

    Layers of a stack, whether torch's (``network.weight_ih_l2``) or of our cells
    (``network.cells.2.input.weight``), are counted from 1, the one that reads the words first.
    """
    first = name.partition(".")[0]
    found = _STACKED.search(name)
    if found is None:
        return first
    number = next(group for group in found.groups() if group is not None)
    return f"{first} layer {int(number) + 1}"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        gradient: Euclidean norm of its gradient.
        weight: Euclidean norm of its weights.
        parameters: how many it has.
    """

    gradient: float
    weight: float
    parameters: int

    @property
    def ratio(self) -> float:
        """Gradient norm over weight norm; 0 where both are 0."""
        return self.gradient / self.weight if self.weight else 0.0


def layers(
    parameters: Iterable[tuple[str, nn.Parameter]], gradients: Mapping[str, Tensor | None]
) -> dict[str, Layer]:
    """Norms by layer, in the order of the parameters.

    Args:
        parameters: named.
        gradients: by the same names; None where no gradient came.
    """
    sums: dict[str, list[float]] = {}
    for name, parameter in parameters:
        own = sums.setdefault(layer_of(name), [0.0, 0.0, 0.0])
        gradient = gradients.get(name)
        own[0] += 0.0 if gradient is None else float(gradient.double().square().sum())
        own[1] += float(parameter.detach().double().square().sum())
        own[2] += parameter.numel()
    return {
        layer: Layer(gradient**0.5, weight**0.5, int(count))
        for layer, (gradient, weight, count) in sums.items()
    }


def stack(found: Mapping[str, Layer]) -> dict[int, Layer]:
    """The longest stack of recurrent layers by number; empty where there is none of two.

    A stack is that of one module; an encoder's tail is none.
    """
    stacks: dict[str, dict[int, Layer]] = {}
    for name, layer in found.items():
        first, _, number = name.partition(" layer ")
        if number and first != "encoder":
            stacks.setdefault(first, {})[int(number)] = layer
    longest = max(stacks.values(), key=len, default={})
    return longest if len(longest) > 1 else {}


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters that learn."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def update_ratios(before: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
    """|w' - w| / |w| by layer: what one step of the optimiser changed.

    About 1e-3 is what trains well (a rule of thumb); far above it a layer jumps about, far below
    it stands still.

    Args:
        before: a :func:`snapshot` from before the step.
        model: after it.
    """
    moved: dict[str, list[float]] = {}
    for name, parameter in model.named_parameters():
        if name not in before:
            continue
        sums = moved.setdefault(layer_of(name), [0.0, 0.0])
        sums[0] += float((parameter.detach() - before[name]).double().square().sum())
        sums[1] += float(before[name].double().square().sum())
    return {
        layer: (change / weight) ** 0.5 if weight else 0.0
        for layer, (change, weight) in moved.items()
    }


def still_rows(before: Tensor, after: Tensor) -> Tensor:
    """Rows of a matrix that no gradient has moved, bool (rows,).

    Weight decay shrinks a row without turning it, so a row is still if it points where it
    pointed, to a millionth. Rows that were 0, such as padding's, count as still only if they are.
    """
    cosine = torch.cosine_similarity(before.double(), after.double(), dim=1)
    zero = (before == 0).all(1)
    return torch.where(zero, (after == 0).all(1), cosine > 1 - 1e-6)


def touched_rows(gradient: Tensor) -> Tensor:
    """Rows that have received a gradient, bool (rows,)."""
    return (gradient != 0).any(1)
