"""Bundles are checked before anything of them is used; hostile ones are refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import PATIENCE
from negah.bundle import Bundle, read_bundle
from negah.bundle.reader import MAX_CONFIG_BYTES
from negah.errors import BundleError

onnx = pytest.importorskip("onnx", reason="tests change graphs with it")


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def config_of(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    return values


def reseal(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Make sizes and checksums fit the files, as whoever made a hostile bundle would."""
    values = config_of(folder)
    for name in values["files"]:
        data = (folder / name).read_bytes()
        values["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if change:
        change(values)
    (folder / "bundle.json").write_text(json.dumps(values))


def change_graph(folder: Path, graph: str, change: Callable[[Any], None]) -> None:
    path = folder / f"{graph}.onnx"
    model = onnx.load(str(path), load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    reseal(folder)


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert message.endswith((".", "negah")), "the last sentence says what to do"
    return message


def test_a_bundle_is_read(tiny_bundle: Path) -> None:
    bundle = read_bundle(str(tiny_bundle))
    assert isinstance(bundle, Bundle)
    assert bundle.path == tiny_bundle
    assert bundle.config.model.kind == "cam-rnn"
    assert len(bundle.tokenizer) == bundle.config.vocabulary_size
    assert bundle.graph_path("step") == tiny_bundle / "step.onnx"
    assert bundle.weights_path.is_file()
    assert bundle.config.encoder.regions == 4
    assert [spec.name for spec in bundle.config.evidence] == [
        "regions",
        "frames",
        "gate",
        "phrases",
    ]


def test_reading_loads_neither_torch_nor_onnx_runtime(tiny_bundle: Path) -> None:
    code = (
        "import sys; from negah.bundle import read_bundle; read_bundle(sys.argv[1]); "
        "assert not {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tiny_bundle)],
        check=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_what_is_no_bundle_at_all(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "absent")
    (tmp_path / "photo.jpg").write_bytes(b"")
    assert "is a file, not a folder" in refusal(tmp_path / "photo.jpg")
    (tmp_path / "empty").mkdir()
    assert "holds no file bundle.json" in refusal(tmp_path / "empty")


CONFIG_TEXTS = {
    "empty": ("", "not JSON"),
    "text": ("hello", "not JSON"),
    "not UTF-8": (b"\xff\xfe\x00\xd8", "not JSON"),
    "a list": ("[1]", "holds no object"),
    "nested deeply": ("[" * 100_000, "not JSON"),
    "a number of a million digits": ('{"format_version": ' + "1" * 1_000_000 + "}", "not JSON"),
    "huge": ('"' + " " * MAX_CONFIG_BYTES + '"', "larger than"),
    "nothing in it": ("{}", "format_version None"),
    "no number": ('{"format_version": "1"}', "format_version '1'"),
    "true": ('{"format_version": true}', "format_version True"),
    "newer": ('{"format_version": 3, "new": 1}', "Update Negah"),
    "older": ('{"format_version": 1}', "Export it again"),
    "missing keys": ('{"format_version": 2}', "vocabulary_size"),
}


@pytest.mark.parametrize(("text", "message"), CONFIG_TEXTS.values(), ids=CONFIG_TEXTS.keys())
def test_a_description_that_is_none(bundle: Path, text: str | bytes, message: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    (bundle / "bundle.json").write_bytes(data)
    assert message in refusal(bundle)


def assign(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        *folders, last = path.split("/")
        for name in folders:
            values = values[int(name)] if isinstance(values, list) else values[name]
        if isinstance(values, list):
            values[int(last)] = value
        else:
            values[last] = value

    return change


DIGEST = {"sha256": "0" * 64, "bytes": 1}
CONFIG_CHANGES = {
    "an unknown key": (assign("colour", "red"), "colour"),
    "an unknown key inside": (assign("encoder/colour", "red"), "colour"),
    "an unknown decoding option": (assign("decoding/beams", 3), "beams"),
    "a graph outside": (assign("graphs/step/file", "../step.onnx"), "graphs.step.file"),
    "a graph by absolute path": (assign("graphs/step/file", "/etc/passwd"), "graphs.step.file"),
    "a graph in a folder": (assign("graphs/step/file", "a/step.onnx"), "graphs.step.file"),
    "a graph by Windows path": (assign("graphs/step/file", "..\\x.onnx"), "graphs.step.file"),
    "a graph on a drive": (assign("graphs/step/file", "C:x.onnx"), "graphs.step.file"),
    "a hidden graph": (assign("graphs/step/file", ".step.onnx"), "graphs.step.file"),
    "a graph and a line": (assign("graphs/step/file", "step.onnx\n"), "graphs.step.file"),
    "a graph that is not listed": (assign("graphs/step/file", "other.onnx"), "must list"),
    "the same graph twice": (assign("graphs/step/file", "start.onnx"), "a file of its own"),
    "a listed file outside": (assign("files", {"../x": DIGEST}), "files"),
    "no files": (assign("files", {}), "must list"),
    "a file too many": (lambda v: v["files"].update(more=DIGEST), "more is missing"),
    "a wrong size": (assign("files/step.onnx/bytes", 5), "instead of 5"),
    "a negative size": (assign("files/step.onnx/bytes", -1), "files.step.onnx.bytes"),
    "a wrong checksum": (assign("files/step.onnx/sha256", "0" * 64), "wrong checksum"),
    "no checksum": (assign("files/step.onnx/sha256", ""), "sha256"),
    "an absurd size": (assign("files/README.md/bytes", 2**31 - 1), "2,147,483,648 together"),
    "a graph of a gigabyte": (assign("files/step.onnx/bytes", 2**30), "a graph has at most"),
    "an absurd vocabulary": (assign("vocabulary_size", 10**7), "vocabulary_size"),
    "another vocabulary": (assign("vocabulary_size", 99), "34 tokens"),
    "absurd pictures": (assign("preprocessing/height", 16_000), "at most 4096 a side"),
    "pictures of no size": (assign("preprocessing/height", 0), "preprocessing.height"),
    "a scale of nothing": (assign("preprocessing/std", [0, 1, 1]), "preprocessing.std"),
    "absurd features": (assign("encoder/channels", 2**40), "encoder.channels"),
    "an absurd grid": (
        lambda v: v["encoder"].update(rows=1024, columns=1024, channels=65536),
        "features of",
    ),
    "absurd memory": (assign("memory/1/axes", ["B", 2**16, 2**16]), "numbers a frame"),
    "memory of negative size": (assign("memory/1/axes", ["B", -4]), "memory.1.axes"),
    "memory for each beam": (assign("memory/1/axes", ["B", "K", 4]), "memory.values"),
    "state without beams": (assign("state/0/axes", ["B", 32]), "state.h"),
    "no state": (assign("state", []), "state"),
    "names that do not fit": (assign("memory/0/name", "other"), "the start graph maps"),
    "a million frames": (assign("clip_frames", 10**6), "clip_frames"),
    "more frames than fit": (
        lambda v: (v["encoder"].update(channels=65_536), v.update(clip_frames=4096)),
        "4,096 frames",
    ),
    "state for each frame": (assign("state/0/axes", ["B", "K", "F"]), "state.h"),
    "frames of frames": (assign("memory/1/axes", ["B", "F", "F"]), "F at most once"),
    "a score that is none": (assign("scores/0/value", float("nan")), "scores.0.value"),
    "contradictory decoding": (assign("decoding/n_best", 9), "n_best"),
}


@pytest.mark.parametrize(("change", "message"), CONFIG_CHANGES.values(), ids=CONFIG_CHANGES.keys())
def test_hostile_descriptions(
    bundle: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    reseal(bundle, change)
    assert message in refusal(bundle)


@pytest.mark.parametrize(
    "file", ["step.onnx", "encoder.onnx", "tokenizer.json", "weights.safetensors", "README.md"]
)
def test_damaged_files(bundle: Path, file: str) -> None:
    path = bundle / file
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert f"{file} is not the file that was exported (wrong checksum)" in refusal(bundle)
    path.write_bytes(data[:-1])
    assert f"{file} has {len(data) - 1:,} bytes instead of {len(data):,}" in refusal(bundle)
    path.unlink()
    assert f"{file} is missing" in refusal(bundle)
    path.mkdir()
    assert f"{file} is missing" in refusal(bundle)


def test_links_that_leave_the_bundle(bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "weights"
    shutil.move(bundle / "weights.safetensors", outside)
    (bundle / "weights.safetensors").symlink_to(outside)
    assert "a link that leaves the bundle" in refusal(bundle)


def test_a_tokenizer_that_is_none(bundle: Path) -> None:
    (bundle / "tokenizer.json").write_text('{"kind": "word", "tokens": [')
    reseal(bundle)
    assert "not a tokenizer" in refusal(bundle)


def first_external(model: Any) -> Any:
    return next(t for t in model.graph.initializer if t.data_location == t.EXTERNAL).external_data


def set_external(key: str, value: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for entry in first_external(model):
            if entry.key == key:
                entry.value = value

    return change


def drop_length(model: Any) -> None:
    entries = first_external(model)
    kept = [entry for entry in entries if entry.key != "length"]
    del entries[:]
    entries.extend(kept)


def add_constant(model: Any) -> None:
    tensor = onnx.TensorProto(name="c", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["hidden"], value=tensor))


def add_operator(model: Any) -> None:
    model.graph.node.append(onnx.helper.make_node("Run", [], ["r"], domain="com.evil"))


def add_function(model: Any) -> None:
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    imports = [onnx.helper.make_opsetid("", 20)]
    model.functions.append(onnx.helper.make_function("", "F", ["x"], ["y"], [node], imports))


def swap_outputs(model: Any) -> None:
    model.graph.output[0].name, model.graph.output[1].name = (
        model.graph.output[1].name,
        model.graph.output[0].name,
    )


GRAPH_CHANGES = {
    "external data above": (set_external("location", "../secret"), "only 'weights.safetensors'"),
    "external data elsewhere": (set_external("location", "/etc/passwd"), "'/etc/passwd'"),
    "external data beside": (set_external("location", "tokenizer.json"), "'tokenizer.json'"),
    "external data here, in disguise": (
        set_external("location", "./weights.safetensors"),
        "only 'weights.safetensors'",
    ),
    "external data behind a null": (
        set_external("location", "weights.safetensors\0/../x"),
        "only 'weights.safetensors'",
    ),
    "external data in memory": (set_external("location", "*/_ORT_MEM_ADDR_/*"), "_ORT_MEM_ADDR_"),
    "external data after the end": (set_external("offset", str(10**12)), "lies outside"),
    "external data too long": (set_external("length", str(10**12)), "lies outside"),
    "external data at a negative place": (set_external("offset", "-8"), "not a number"),
    "external data without a length": (drop_length, "lies outside"),
    "external data in a constant": (add_constant, "'/etc/passwd'"),
    "a custom operator": (add_operator, "com.evil"),
    "a function": (add_function, "functions of its own"),
    "swapped outputs": (swap_outputs, "but bundle.json says"),
}


@pytest.mark.parametrize(("change", "message"), GRAPH_CHANGES.values(), ids=GRAPH_CHANGES.keys())
@pytest.mark.parametrize("graph", ["start", "step"])
def test_hostile_graphs(
    bundle: Path, graph: str, change: Callable[[Any], None], message: str
) -> None:
    change_graph(bundle, graph, change)
    refused = refusal(bundle)
    assert message in refused
    assert f"{graph}.onnx" in refused


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["\ud800", "../x", "B", "K", "weights.safetensors"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_description_is_read_or_refused(tiny_bundle: Path, tmp_path: Path, data: Any) -> None:
    """Any value anywhere in bundle.json: a bundle or a BundleError, never anything else."""
    folder = tmp_path / "bundle"
    if not folder.exists():
        folder.mkdir()
        for file in tiny_bundle.iterdir():
            os.link(file, folder / file.name)
        (folder / "bundle.json").unlink()
    values = json.loads((tiny_bundle / "bundle.json").read_text())
    at: Any = values
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
        inner = at[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        at = inner
    at[key] = data.draw(JSON_VALUES)
    (folder / "bundle.json").write_text(json.dumps(values))
    with contextlib.suppress(BundleError):
        read_bundle(folder)
