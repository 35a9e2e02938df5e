"""The exported graphs compute what PyTorch computes, for every kind of captioner.

Axes: B photos, K hypotheses, F frames, R regions, C channels, T words, V vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="exporting needs the train extra")


import onnxruntime

from negah.bundle.onnx_reader import read_graph
from negah.bundle.schema import WEIGHTS_FILE
from negah.export.graphs import write_graph
from negah.export.onnx import capture_captioner
from negah.export.weights import named_weights, rounded_copy, write_weights
from negah.models.adapter import TorchStepModel
from tiny_bundle import tiny_captioner, tiny_options

REGIONS, CHANNELS, VOCABULARY = 4, 24, 40

HEAVY = pytest.mark.heavy
BARE = {"gate": False, "text_attention": False}

#: Kind, options. The whole of CAM-RNN is the tiny bundle of other tests.
VARIANTS = [
    pytest.param(
        ("cam-rnn", {"region_query": "none", "cell": "gru", "tie_embeddings": True}),
        id="CAM-RNN",
    ),
    pytest.param(("cam-rnn", {**BARE, "cell": "rnn"}), id="Visual-RNN"),
    pytest.param(
        ("show-tell", {"cell": "gru-no-reset", "layers": 2}), id="show-tell, cells of our own"
    ),
    pytest.param(("cam-rnn", {**BARE, "cell": "gru-no-reset"}), id="no reset gate", marks=HEAVY),
    pytest.param(("show-tell", {"layers": 2}), id="show-tell, two layers"),
    pytest.param(("cam-rnn", {}), id="CAM-RNN, words ask regions", marks=HEAVY),
    pytest.param(("cam-rnn", {"gate": False}), id="VT-RNN", marks=HEAVY),
    pytest.param(("cam-rnn", {**BARE, "visual": "frames"}), id="Frame-RNN", marks=HEAVY),
    pytest.param(
        ("cam-rnn", {**BARE, "visual": "mean", "visual_input": False}),
        id="None-RNN",
        marks=HEAVY,
    ),
    pytest.param(("cam-rnn", {"visual": "mean"}), id="no visual attention", marks=HEAVY),
    pytest.param(("show-tell", {}), id="show-tell", marks=HEAVY),
    pytest.param(("show-tell", {"cell": "gru", "layers": 2}), id="show-tell gru", marks=HEAVY),
    pytest.param(("show-tell", {"cell": "rnn", "layers": 2}), id="show-tell rnn", marks=HEAVY),
]


class Exported:
    """A captioner, and its start and step graphs in ONNX Runtime."""

    def __init__(self, kind: str, options: dict[str, Any], folder: Path) -> None:
        model = tiny_options(kind, **options)
        captioner = tiny_captioner(model, channels=CHANNELS, vocabulary_size=VOCABULARY)
        self.captioner = rounded_copy(captioner)
        self.folder = folder
        self.weights = named_weights({"captioner": self.captioner})
        start, step, self.specs = capture_captioner(self.captioner, REGIONS, self.weights)
        read = {*start.weights, *step.weights}
        self.stored = write_weights(
            folder / WEIGHTS_FILE,
            {name: self.weights[name] for name in self.weights if name in read},
        )
        for name, graph in {"start": start, "step": step}.items():
            write_graph(graph, folder / f"{name}.onnx", self.stored)
        self.start = self.session("start")
        self.step = self.session("step")

    def session(self, name: str, **settings: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        for key, value in settings.items():
            setattr(options, key, value)
        return onnxruntime.InferenceSession(
            str(self.folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def run(self, session: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.fixture(scope="module", params=VARIANTS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(*request.param, tmp_path_factory.mktemp("graphs"))


@pytest.mark.parametrize(
    ("photos", "beams", "frames"), [(1, 1, 1), (2, 3, 2), (3, 1, 8), (1, 4, 28)]
)
def test_onnx_equals_pytorch_step_by_step(
    exported: Exported, photos: int, beams: int, frames: int
) -> None:
    rng = np.random.default_rng(photos * 10 + beams)
    features_BFRC = rng.standard_normal((photos, frames, REGIONS, CHANNELS), np.float32)
    # of different lengths: photo b lacks its last b frames
    real_BF = np.arange(frames) < np.maximum(1, frames - np.arange(photos))[:, None]
    reference = TorchStepModel(exported.captioner)
    expected_state = reference.start(features_BFRC, real_BF)
    started = exported.run(exported.start, {"features": features_BFRC, "frames": real_BF})
    memory = {name: value for name, value in started.items() if name.startswith("memory.")}
    state = {name: value for name, value in started.items() if name.startswith("state.")}
    for spec in exported.specs["state"]:
        np.testing.assert_allclose(
            state[f"state.{spec.name}"], expected_state[1][spec.name], atol=1e-5
        )
    parents_BK = np.zeros((photos, beams), np.int64)
    expected_state = reference.reorder(expected_state, parents_BK)
    rows_B1 = np.arange(photos)[:, None]
    state = {name: value[rows_B1, parents_BK] for name, value in state.items()}
    for _ in range(4):
        tokens_BK = rng.integers(1, VOCABULARY, (photos, beams))
        expected = reference.step(expected_state, tokens_BK)
        given = exported.run(exported.step, {"tokens": tokens_BK, **memory, **state})
        assert given["logprobs"].dtype == np.float32
        assert given["logprobs"].shape == (photos, beams, VOCABULARY)
        np.testing.assert_allclose(given["logprobs"], expected.logprobs, atol=1e-4)
        evidence = {spec.name for spec in exported.specs["evidence"]}
        assert evidence == set(expected.evidence)
        for name in evidence:
            assert given[f"evidence.{name}"].shape == expected.evidence[name].shape
            np.testing.assert_allclose(
                given[f"evidence.{name}"], expected.evidence[name], atol=1e-5
            )
        expected_state = expected.state
        state = {
            name.removeprefix("next_"): value
            for name, value in given.items()
            if name.startswith("next_state.")
        }


def test_every_weight_is_stored_once_and_none_in_the_graphs(exported: Exported) -> None:
    references: dict[int, int] = {}
    for name in ("start", "step"):
        graph = exported.folder / f"{name}.onnx"
        assert graph.stat().st_size < 40_000
        for tensor in read_graph(graph.read_bytes()).external:
            assert tensor.location == WEIGHTS_FILE
            assert references.setdefault(tensor.offset, tensor.length) == tensor.length
            place = exported.stored[tensor.tensor]
            assert (place.offset, place.length) == (tensor.offset, tensor.length)
    assert set(references) == {place.offset for place in exported.stored.values()}
    held = sum(references.values())
    numbers = sum(parameter.numel() for parameter in exported.captioner.parameters())
    assert held < 2.3 * numbers


def test_onnx_runtime_folds_the_casts_away(exported: Exported, tmp_path: Path) -> None:
    """Half precision costs nothing after loading: no float16 and no transposed weight remains."""
    onnx = pytest.importorskip("onnx")
    for name in ("start", "step"):
        optimised = tmp_path / f"{name}.optimised.onnx"
        exported.session(
            name,
            optimized_model_filepath=str(optimised),
            graph_optimization_level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        )
        graph = onnx.load(str(optimised), load_external_data=False).graph
        constants = {tensor.name for tensor in graph.initializer}
        assert onnx.TensorProto.FLOAT16 not in {tensor.data_type for tensor in graph.initializer}
        for node in graph.node:
            assert not constants.issuperset(filter(None, node.input)), node.op_type


def test_the_file_says_nothing_about_the_machine_that_wrote_it(exported: Exported) -> None:
    for name in ("start", "step"):
        data = (exported.folder / f"{name}.onnx").read_bytes()
        for word in (b".py", b"forward(", str(Path.cwd()).encode()):
            assert word not in data
