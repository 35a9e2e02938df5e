"""The ONNX reader: it finds what the onnx package finds, and survives any bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negah.bundle.onnx_reader import MAX_DEPTH, read_graph
from negah.errors import BundleError

onnx = pytest.importorskip("onnx", reason="the oracle of these tests")


def external_tensor(name: str, **entries: str) -> Any:
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(nodes: list[Any] | None = None, initializers: list[Any] | None = None) -> Any:
    info = onnx.helper.make_tensor_value_info
    nodes = nodes or [onnx.helper.make_node("Identity", ["x"], ["y"])]
    graph = onnx.helper.make_graph(
        nodes,
        "main",
        [info("x", onnx.TensorProto.FLOAT, ["B", 4])],
        [info("y", onnx.TensorProto.FLOAT, ["B", 4])],
        initializer=initializers or [],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])


def nested(tensor: Any, depth: int) -> Any:
    """A model with ``tensor`` in the branch of a branch of a branch."""
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    graph = onnx.helper.make_graph([constant], "inner", [], [])
    empty = onnx.helper.make_graph([], "empty", [], [])
    for _ in range(depth):
        branch = onnx.helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=empty)
        graph = onnx.helper.make_graph([branch], "outer", [], [])
    return model(list(graph.node))


def tensors_by_oracle(graph: Any) -> Iterator[Any]:
    """Every TensorProto that the onnx package sees, at any depth."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from tensors_by_oracle(inner)


def test_it_agrees_with_the_onnx_package_on_real_graphs(tiny_bundle: Path) -> None:
    for file in tiny_bundle.glob("*.onnx"):
        parsed = onnx.load(str(file), load_external_data=False)
        summary = read_graph(file.read_bytes())
        assert summary.inputs == tuple(value.name for value in parsed.graph.input)
        assert summary.outputs == tuple(value.name for value in parsed.graph.output)
        assert summary.domains - {""} == {entry.domain for entry in parsed.opset_import} - {""}
        expected = []
        for tensor in tensors_by_oracle(parsed.graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                entries = {entry.key: entry.value for entry in tensor.external_data}
                place = (entries["location"], int(entries["offset"]), int(entries["length"]))
                expected.append((tensor.name, *place))
        found = [(e.tensor, e.location, e.offset, e.length) for e in summary.external]
        assert found == expected
        assert len(found) > 3


@pytest.mark.parametrize(
    "make",
    [
        lambda tensor: model(initializers=[tensor]),
        lambda tensor: model([onnx.helper.make_node("Constant", [], ["y"], value=tensor)]),
        lambda tensor: model([onnx.helper.make_node("Constant", [], ["y"], values=[tensor])]),
        lambda tensor: nested(tensor, 5),
        lambda tensor: model(
            [
                onnx.helper.make_node(
                    "Constant",
                    [],
                    ["y"],
                    sparse_value=onnx.helper.make_sparse_tensor(tensor, tensor, [4]),
                )
            ]
        ),
    ],
    ids=["initializer", "attribute", "list of tensors", "branches", "sparse"],
)
def test_it_finds_external_data_wherever_a_graph_can_hold_it(make: Any) -> None:
    tensor = external_tensor("w", location="../../etc/passwd", offset="7", length="9")
    found = read_graph(make(tensor).SerializeToString()).external
    assert {(e.location, e.offset, e.length) for e in found} == {("../../etc/passwd", 7, 9)}


def test_it_finds_operators_of_other_domains() -> None:
    imported = model()
    imported.opset_import.add(domain="com.evil", version=1)
    used = model([onnx.helper.make_node("Run", ["x"], ["y"], domain="com.evil")])
    for parsed in (imported, used):
        assert read_graph(parsed.SerializeToString()).domains == {"", "com.evil"}


def test_initializers_that_are_also_inputs_are_not_inputs() -> None:
    parsed = model(initializers=[onnx.helper.make_tensor("w", 1, [1], [0.0])])
    parsed.graph.input.add(name="w")
    assert read_graph(parsed.SerializeToString()).inputs == ("x",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 graphs"),
        (b"PNG? this is text, not ONNX", "not an ONNX file"),
        (b"\x80" * 20, "not an ONNX file"),
        (b"\x3a\xff\xff\xff\xff\x0f", "not an ONNX file"),
        (b"\x3a\x00\x3a\x00", "2 graphs"),
        (b"\x38\x01", "a number where a message belongs"),
        (b"\x3b\x3c", "not an ONNX file"),
        (b"\x3a\x00\xa2\x01\x00", "training information"),
        (b"\x3a\x04\x5a\x02\x0a\xff", "not an ONNX file"),
        (b"\x3a\x05\x5a\x03\x0a\x01\xff", "not UTF-8"),
    ],
)
def test_damaged_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        read_graph(data)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "w", "offset": "-1"}, "not a number"),
        ({"location": "w", "offset": "0x10"}, "not a number"),
        ({"location": "w", "length": "9" * 30}, "not a number"),
        ({"location": "w", "length": "²"}, "not a number"),
        ({"location": "w", "basepath": "/"}, "basepath"),
    ],
)
def test_odd_external_data_is_refused(entries: dict[str, str], message: str) -> None:
    data = model(initializers=[external_tensor("w", **entries)]).SerializeToString()
    with pytest.raises(BundleError, match=message):
        read_graph(data)


def test_the_same_key_twice_is_refused() -> None:
    tensor = external_tensor("w", location="weights.safetensors")
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(BundleError, match="twice"):
        read_graph(model(initializers=[tensor]).SerializeToString())


def test_deep_nesting_is_refused() -> None:
    tensor = onnx.helper.make_tensor("c", 1, [1], [0.0])
    read_graph(nested(tensor, MAX_DEPTH).SerializeToString())
    with pytest.raises(BundleError, match="nested"):
        read_graph(nested(tensor, MAX_DEPTH + 2).SerializeToString())


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BundleError):
        read_graph(data)


SEED = model(
    [onnx.helper.make_node("Constant", [], ["y"], value=external_tensor("c", location="a"))],
    [external_tensor("w", location="weights.safetensors", offset="64", length="16")],
).SerializeToString()


@settings(max_examples=400)
@given(st.data())
def test_mutated_graphs_are_read_or_refused_and_hide_nothing(data: Any) -> None:
    """What the onnx package still reads as a graph has no external data that we do not see."""
    mutated = bytearray(SEED)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        kind = data.draw(st.sampled_from(["set", "insert", "delete"]))
        if kind == "delete" and len(mutated) > 1:
            del mutated[at]
        elif kind == "insert":
            mutated.insert(at, data.draw(st.integers(0, 255)))
        else:
            mutated[at] = data.draw(st.integers(0, 255))
    try:
        summary = read_graph(bytes(mutated))
    except BundleError:
        return
    try:
        parsed = onnx.load_model_from_string(bytes(mutated))
    except Exception:
        return
    seen = {external.location for external in summary.external}
    for tensor in tensors_by_oracle(parsed.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            assert entries.get("location", "") in seen
