"""Matrix products of a graph in 8-bit integers, which small batches compute about twice as fast.

A step of one photo reads every weight once for a few rows, so that it waits for memory; 8-bit
weights are a quarter as many bytes. The file keeps the weights in half precision: the graph
quantises them when it is opened, and ONNX Runtime carries that out once.

Both sides of a product are quantised symmetrically: the weights with a scale for each column, the
other side with a scale for each row, computed at run time. No scale depends on other rows, and sums
of integers are exact, so the result for a row is the same in every batch.

Axes: M rows, K what is summed over, N columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from negah.export.graphs import CapturedGraph

#: Processors without 8-bit dot products add pairs of products in 16 bits: 2 x 255 x 63 fits there.
WEIGHT_LEVELS = 63
ROW_LEVELS = 127
#: A smaller matrix is not worth the operations around the product.
MIN_SIZE = 16_384
_ZERO_POINT = 128


def multiply_in_int8(graph: CapturedGraph) -> int:
    """Replace every product with a large constant matrix, in place.

    Args:
        graph: captured, not yet written.

    Returns:
        how many products were replaced.
    """
    main = graph.model.graph
    rewriting = _Rewriting(main, frozenset(graph.weights))
    products = [node for node in main if node.op_type == "MatMul" and rewriting.is_large(node)]
    for node in products:
        rewriting.replace(node)
    return len(products)


@dataclass
class _Rewriting:
    """The quantised operands so far, so that each is quantised once.

    Attributes:
        graph: what is rewritten.
        weights: names of the graph inputs that are weights.
        columns: by the weight matrix (K, N): int8 (K, N) and its scales (N,).
        rows: by the other operand (..., M, K): uint8 (..., M, K) and its scales (..., M, 1).
        constants: scalars and axes by their numbers.
    """

    graph: ir.Graph
    weights: frozenset[str]
    columns: dict[ir.Value, tuple[ir.Value, ir.Value]] = field(default_factory=dict)
    rows: dict[ir.Value, tuple[ir.Value, ir.Value]] = field(default_factory=dict)
    constants: dict[tuple[str, float], ir.Value] = field(default_factory=dict)

    def is_large(self, node: ir.Node) -> bool:
        """Whether the right side is a weight matrix, transposed and cast perhaps, of that size."""
        value = node.inputs[1]
        for _ in range(4):
            if value is None or value.name in self.weights:
                break
            producer = value.producer()
            if producer is None or producer.op_type not in ("Cast", "Transpose"):
                return False
            value = producer.inputs[0]
        if value is None or value.name not in self.weights or value.shape is None:
            return False
        sizes = value.shape.numpy()  # weights have fixed sizes
        return len(sizes) == 2 and sizes[0] * sizes[1] >= MIN_SIZE

    def replace(self, node: ir.Node) -> None:
        """One product; its operands are quantised before it unless they are already."""
        row, column = node.inputs
        assert row is not None
        assert column is not None
        new: list[ir.Node] = []
        if column not in self.columns:
            self.columns[column] = self._quantise_columns(column, new)
        if row not in self.rows:
            self.rows[row] = self._quantise_rows(row, new)
        (rows_u8, row_scales), (columns_s8, column_scales) = self.rows[row], self.columns[column]
        zero = self._constant(_ZERO_POINT, np.uint8)
        total = _apply(new, "MatMulInteger", rows_u8, columns_s8, zero)
        total = _apply(new, "Cast", total, to=ir.DataType.FLOAT)
        total = _apply(new, "Mul", total, column_scales)
        product = _apply(new, "Mul", total, row_scales)
        ir.convenience.replace_nodes_and_values(
            self.graph, node, [node], new, list(node.outputs), [product]
        )

    def _quantise_columns(
        self, matrix_KN: ir.Value, new: list[ir.Node]
    ) -> tuple[ir.Value, ir.Value]:
        along_K = self._constant(0, np.int64)
        scale_1N = self._scale(matrix_KN, along_K, WEIGHT_LEVELS, new)
        rounded = _apply(new, "Round", _apply(new, "Div", matrix_KN, scale_1N))
        matrix_s8 = _apply(new, "Cast", rounded, to=ir.DataType.INT8)
        return matrix_s8, _apply(new, "Squeeze", scale_1N, along_K)

    def _quantise_rows(self, rows_MK: ir.Value, new: list[ir.Node]) -> tuple[ir.Value, ir.Value]:
        scale_M1 = self._scale(rows_MK, self._constant(-1, np.int64), ROW_LEVELS, new)
        divided = _apply(new, "Div", rows_MK, scale_M1)
        one, zero = self._constant(1.0, np.float32), self._constant(_ZERO_POINT, np.uint8)
        return _apply(new, "QuantizeLinear", divided, one, zero), scale_M1

    def _scale(
        self, value: ir.Value, axis: ir.Value, levels: float, new: list[ir.Node]
    ) -> ir.Value:
        """The largest absolute value along an axis divided by the levels; above zero."""
        largest = _apply(new, "ReduceMax", _apply(new, "Abs", value), axis, keepdims=1)
        bounded = _apply(new, "Max", largest, self._constant(1e-12, np.float32))
        return _apply(new, "Div", bounded, self._constant(levels, np.float32))

    def _constant(self, number: float, dtype: type[np.generic]) -> ir.Value:
        """A scalar; of int64 a list of one axis."""
        key = (dtype.__name__, number)
        if key not in self.constants:
            array = np.asarray([number] if dtype is np.int64 else number, dtype)
            name = f"int8.{len(self.constants)}"
            value = ir.Value(
                name=name, shape=ir.Shape(array.shape), const_value=ir.tensor(array, name=name),
                type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            )  # fmt: skip
            self.graph.register_initializer(value)
            self.constants[key] = value
        return self.constants[key]


def _apply(new: list[ir.Node], operator: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
    """Add a node, and give its output."""
    node = ir.node(operator, list(inputs), attributes=attributes)
    new.append(node)
    return node.outputs[0]
