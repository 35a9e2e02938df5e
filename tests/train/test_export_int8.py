"""Products in 8-bit integers: those of NumPy, the same in every batch, close to those of floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negah.bundle import read_bundle
from negah.bundle.schema import WEIGHTS_FILE

pytest.importorskip("torch", reason="exporting needs the train extra")
pytest.importorskip("onnxruntime")

import onnxruntime
import torch
from torch import Tensor, nn

from negah.export.graphs import capture, write_graph
from negah.export.int8 import ROW_LEVELS, WEIGHT_LEVELS, multiply_in_int8
from negah.export.prove import LIMITS, Proof
from negah.export.weights import named_weights, write_weights
from negah.runtime import OnnxStepModel
from tiny_bundle import make_tiny_bundle

pytestmark = pytest.mark.usefixtures("one_thread")

INPUTS, OUTPUTS = 256, 128


class TwoProducts(nn.Module):
    """A large product, with one input read twice, and one too small to be replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Linear(INPUTS, OUTPUTS)
        self.again = nn.Linear(INPUTS, OUTPUTS, bias=False)
        self.small = nn.Linear(OUTPUTS, 4)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (B, K, INPUTS) to (B, K, OUTPUTS) and (B, K, 4)."""
        product = self.large(rows)
        return product, self.small(product * self.again(rows))


class Int8:
    """The graph of ``TwoProducts`` in ONNX Runtime."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.module = TwoProducts().eval()
        with torch.no_grad():
            self.module.large.weight[0] = 0  # a column without a scale
            self.module.large.weight[1] = 1  # the largest sums that there are
        weights = named_weights({"model": self.module})
        rows = torch.zeros(2, 3, INPUTS)
        graph = capture(
            self.module, {"rows": rows}, {"rows": {0: "B", 1: "K"}}, ["product", "small"], weights
        )
        self.replaced = multiply_in_int8(graph)
        write_graph(graph, folder / "graph.onnx", write_weights(folder / WEIGHTS_FILE, weights))
        self.session = onnxruntime.InferenceSession(
            str(folder / "graph.onnx"), providers=["CPUExecutionProvider"]
        )

    def product(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        product: np.ndarray[Any, Any] = self.session.run(["product"], {"rows": rows})[0]
        return product


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Int8:
    return Int8(tmp_path_factory.mktemp("int8"))


def rows_of(kind: str) -> np.ndarray[Any, Any]:
    rows = np.random.default_rng(0).standard_normal((2, 5, INPUTS)).astype(np.float32)
    return {"normal": rows, "zero": rows * 0, "largest": np.full_like(rows, 7)}[kind]


@pytest.mark.parametrize("kind", ["normal", "zero", "largest"])
def test_products_are_those_of_whole_numbers(int8: Int8, kind: str) -> None:
    rows = rows_of(kind)
    weight = int8.module.large.weight.detach().half().float().numpy()
    bias = int8.module.large.bias.detach().numpy()
    columns = np.maximum(np.abs(weight).max(1), np.float32(1e-12)) / np.float32(WEIGHT_LEVELS)
    scales = np.maximum(np.abs(rows).max(-1, keepdims=True), np.float32(1e-12)) / np.float32(
        ROW_LEVELS
    )
    whole = np.round(weight / columns[:, None]).astype(np.int64)
    sums = np.round(rows / scales).astype(np.int64) @ whole.T
    expected = sums * columns.astype(np.float64) * scales + bias
    np.testing.assert_allclose(int8.product(rows), expected, rtol=1e-5, atol=1e-6)


def test_a_product_is_close_to_that_of_floats(int8: Int8) -> None:
    rows = rows_of("normal")
    with torch.inference_mode():
        expected, _ = int8.module(torch.from_numpy(rows))
    error = int8.product(rows) - expected.numpy()
    assert 0 < np.abs(error).max() < 0.05 * expected.std().item() * 4
    assert int8.replaced == 2  # the third is too small


def test_a_row_is_the_same_to_the_bit_in_every_batch(int8: Int8) -> None:
    rows = rows_of("normal")
    others = rows * np.float32([1000, 0.001])[:, None, None]
    together = int8.product(np.concatenate([rows, others]))
    assert np.array_equal(together[:2], int8.product(rows))
    assert np.array_equal(together[1:2, :1], int8.product(rows[1:2, :1]))


def test_a_bundle_in_int8_has_the_same_weights_and_nearly_the_same_steps(tmp_path: Path) -> None:
    sizes = {"hidden_size": 160, "embedding_size": 160}
    plain = read_bundle(make_tiny_bundle(tmp_path / "plain", **sizes))
    bundle = read_bundle(make_tiny_bundle(tmp_path / "int8", int8=True, **sizes))
    assert (plain.config.step_precision, bundle.config.step_precision) == ("float32", "int8")
    assert bundle.weights_path.read_bytes() == plain.weights_path.read_bytes()
    rng = np.random.default_rng(1)
    features_BFRC = rng.standard_normal((2, 1, 4, plain.config.encoder.channels), np.float32)
    tokens_BK = rng.integers(4, len(plain.tokenizer), (2, 3))
    both = []
    for model in (OnnxStepModel(plain, threads=1), OnnxStepModel(bundle, threads=1)):
        state = model.reorder(model.start(features_BFRC), np.zeros((2, 3), np.int64))
        both.append(model.step(state, tokens_BK).logprobs)
    assert 1e-4 < np.abs(both[0] - both[1]).max() < 0.2


def test_a_proof_allows_more_in_int8() -> None:
    proof = Proof(200, 0.93, 0.03, 0.01, preprocessing_equal=True)
    assert proof.complaints()
    assert not proof.complaints(LIMITS["int8"])
    assert len(Proof(200, 0.8, 0.3, 0.3, True).complaints(LIMITS["int8"])) == 3
