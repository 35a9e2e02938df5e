"""Inspection of an ONNX file before ONNX Runtime opens it.

An ONNX graph may keep tensors in other files ("external data") and may ask for operators
from custom libraries. This module reads just enough of the file to find both: it walks the
protocol-buffers fields of ``onnx.proto`` that can contain a tensor, a node or a name. It copies no
tensor and runs nothing, and terminates for any input.

Wire format: https://protobuf.dev/programming-guides/encoding. Field numbers: onnx.proto of
ONNX 1.18, section by section named below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from negah.errors import BundleError

#: Graphs hold no weights of their own: that of a ResNet-152 has a quarter of a megabyte. Two
#: megabytes of the smallest fields take seconds to walk.
MAX_GRAPH_BYTES = 2 * 2**20
#: Graphs within graphs (the branches of an If, the body of a Loop).
MAX_DEPTH = 16
_MAX_NAME_BYTES = 4096

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class ExternalData:
    """A tensor whose values are in another file.

    Attributes:
        tensor: its name.
        location: the file, as named in the graph.
        offset: of its first byte in the file.
        length: in bytes; None if the graph does not state it.
    """

    tensor: str
    location: str
    offset: int
    length: int | None


@dataclass(slots=True)
class GraphSummary:
    """The requirements of a graph.

    Attributes:
        inputs: names of the inputs of the main graph, in order, without initializers.
        outputs: names of its outputs.
        domains: operator sets that it imports or that a node names; "" is ONNX itself.
        functions: number of functions that the model defines.
        external: tensors that are kept in other files, at any depth.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    domains: set[str] = field(default_factory=set)
    functions: int = 0
    external: list[ExternalData] = field(default_factory=list)


def read_graph(data: bytes) -> GraphSummary:
    """Summarise a serialised ``ModelProto``.

    Raises:
        BundleError: it is not a protocol-buffers message, has no graph, or is nested too deeply;
            the message is a clause that can follow the file's name.
    """
    summary = GraphSummary()
    graphs = 0
    for number, value in _fields(memoryview(data)):
        if number == 7:  # ModelProto.graph
            graphs += 1
            _read_main_graph(_message(value), summary)
        elif number == 8:  # ModelProto.opset_import: OperatorSetIdProto.domain
            domains = [_text(inner) for key, inner in _fields(_message(value)) if key == 1]
            summary.domains.update(domains or [""])
        elif number == 20:  # ModelProto.training_info
            raise BundleError("it holds training information, which a bundle has no use for")
        elif number == 25:  # ModelProto.functions
            summary.functions += 1
    if graphs != 1:
        raise BundleError(f"it holds {graphs} graphs, not one; it may not be an ONNX file")
    return summary


def _read_main_graph(graph: memoryview, summary: GraphSummary) -> None:
    initializers = _read_graph(graph, summary, 0)
    inputs = [_value_name(value) for number, value in _fields(graph) if number == 11]
    summary.inputs = tuple(name for name in inputs if name not in initializers)
    summary.outputs = tuple(_value_name(value) for number, value in _fields(graph) if number == 12)


def _value_name(value: int | memoryview) -> str:
    """ValueInfoProto.name."""
    names = [_text(inner) for number, inner in _fields(_message(value)) if number == 1]
    return names[-1] if names else ""


def _read_graph(graph: memoryview, summary: GraphSummary, depth: int) -> set[str]:
    """GraphProto; gives the names of its initializers."""
    if depth > MAX_DEPTH:
        raise BundleError(f"its graphs are nested more than {MAX_DEPTH} deep")
    names = set()
    for number, value in _fields(graph):
        if number == 1:
            _read_node(_message(value), summary, depth)
        elif number == 5:  # initializer
            names.add(_read_tensor(_message(value), summary))
        elif number == 15:  # sparse_initializer
            _read_sparse_tensor(_message(value), summary)
    return names


def _read_node(node: memoryview, summary: GraphSummary, depth: int) -> None:
    """NodeProto."""
    for number, value in _fields(node):
        if number == 5:
            _read_attribute(_message(value), summary, depth)
        elif number == 7:
            summary.domains.add(_text(value))


def _read_attribute(attribute: memoryview, summary: GraphSummary, depth: int) -> None:
    """AttributeProto: t, g, tensors, graphs, sparse_tensor, sparse_tensors."""
    for number, value in _fields(attribute):
        if number in (5, 10):
            _read_tensor(_message(value), summary)
        elif number in (6, 11):
            _read_graph(_message(value), summary, depth + 1)
        elif number in (22, 23):
            _read_sparse_tensor(_message(value), summary)


def _read_sparse_tensor(sparse: memoryview, summary: GraphSummary) -> None:
    """SparseTensorProto: values, indices."""
    for number, value in _fields(sparse):
        if number in (1, 2):
            _read_tensor(_message(value), summary)


def _read_tensor(tensor: memoryview, summary: GraphSummary) -> str:
    """TensorProto: name, external_data, data_location."""
    name, external = "", False
    entries: dict[str, str] = {}
    for number, value in _fields(tensor):
        if number == 8:
            name = _text(value)
        elif number == 13:
            key, text = _read_entry(_message(value))
            if key in entries:
                raise BundleError(f"tensor {name!r} gives {key!r} of its external data twice")
            entries[key] = text
            external = True
        elif number == 14:
            external = external or value == 1
    unknown = entries.keys() - {"location", "offset", "length"}
    if unknown:
        raise BundleError(f"tensor {name!r} has external data with {sorted(unknown)!r:.80}")
    if external:
        offset = _number(entries.get("offset", "0"), name)
        length = entries.get("length")
        summary.external.append(
            ExternalData(
                name,
                entries.get("location", ""),
                offset,
                None if length is None else _number(length, name),
            )
        )
    return name


def _read_entry(entry: memoryview) -> tuple[str, str]:
    """StringStringEntryProto: key, value."""
    texts = {number: _text(value) for number, value in _fields(entry) if number in (1, 2)}
    return texts.get(1, ""), texts.get(2, "")


def _number(text: str, tensor: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BundleError(f"tensor {tensor!r} has external data at {text[:40]!r}, not a number")
    return int(text)


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BundleError("it has a number where a message belongs; it is not an ONNX file")
    return value


def _text(value: int | memoryview) -> str:
    data = _message(value)
    if len(data) > _MAX_NAME_BYTES:
        raise BundleError(f"it holds a name of {len(data):,} bytes")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise BundleError("it holds a name that is not UTF-8") from None


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of one message: number, and an integer or the bytes."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if number == 0 or key >= 2**32:
            raise BundleError(_NOT_ONNX)
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value & 0xFFFFFFFF  # every integer field that counts here has 32 bits
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise BundleError(_NOT_ONNX)
        if size > end - at:
            raise BundleError(_NOT_ONNX)
        if wire == _BYTES:
            yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """An integer of at most ten bytes of seven bits each, and where the next field begins."""
    if at < len(data) and data[at] < 0x80:  # nearly all
        return data[at], at + 1
    value = 0
    for index in range(at, min(at + 10, len(data))):
        value |= (data[index] & 0x7F) << 7 * (index - at)
        if data[index] < 0x80:
            return value, index + 1
    raise BundleError(_NOT_ONNX)


_NOT_ONNX = "it is cut short or damaged, or it is not an ONNX file"
