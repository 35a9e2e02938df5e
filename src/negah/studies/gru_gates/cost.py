"""What a cell costs, counted from its equations; a test counts what PyTorch does."""

from __future__ import annotations

from dataclasses import dataclass

#: Gates of each cell, the candidate included: blocks of W and U.
BLOCKS = {"gru": 3, "gru-no-reset": 2, "lstm": 4}
#: Products of two vectors in a step: r (U h), z h, (1 - z) n; f c, i g, o tanh(c).
PRODUCTS = {"gru": 3, "gru-no-reset": 2, "lstm": 3}


@dataclass(frozen=True, slots=True)
class CellCost:
    """One step of one sequence.

    Attributes:
        weights: of W, U and b.
        multiply_adds: of the products with W and U, and of those between vectors.
        saturating: logistic functions and hyperbolic tangents.
    """

    weights: int
    multiply_adds: int
    saturating: int


def cell_cost(cell: str, input_size: int, hidden_size: int) -> CellCost:
    """Count a cell.

    Args:
        cell: "gru", "gru-no-reset" or "lstm".
        input_size: E.
        hidden_size: D.
    """
    matrices = BLOCKS[cell] * hidden_size * (input_size + hidden_size)
    return CellCost(
        weights=matrices + BLOCKS[cell] * hidden_size,
        multiply_adds=matrices + PRODUCTS[cell] * hidden_size,
        saturating=(BLOCKS[cell] + (cell == "lstm")) * hidden_size,
    )
