"""PyTorch modules to ONNX graphs whose weights are references.

Each graph is captured by ``torch.onnx.export`` and its weights are turned into inputs before
anything is optimised, so that no optimiser can transpose, merge or duplicate them. What
remains of a weight in the file is its name, a place in ``weights.safetensors``, and a Cast to
float32, which ONNX Runtime carries out once, when it loads the graph.

Axes: N photos, B photos or clips, K hypotheses of each, F frames, R regions, C channels.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from negah.bundle.schema import WEIGHTS_FILE
from negah.errors import NegahError
from negah.export.weights import StoredTensor
from negah.models import CaptionModel, Encoder, Tensors
from negah.models.backbones import stored_dtype

OPSET = 20
#: Constants that the exporter made stay in the graph; weights never do.
MAX_CONSTANT_BYTES = 1024

logger = logging.getLogger(__name__)

#: Axes that vary, and what they are called.
Axes = Mapping[int, str]

#: What torch warns of although nothing is wrong, by the beginning of the message.
_HARMLESS = {
    # several inputs share the axis B, which is the point
    "# The axis name: .* will not be used": UserWarning,
    # its own translation of nn.LSTM
    "_check_is_size will be removed": FutureWarning,
    "The tensor attributes self.captioner.network._flat_weights": UserWarning,
}

_IR_DTYPES = {
    torch.float16: ir.DataType.FLOAT16,
    torch.float32: ir.DataType.FLOAT,
    torch.int64: ir.DataType.INT64,
}


class EncoderGraph(nn.Module):
    """Pixels (N, 3, H, W) to features (N, R, C), and to concepts (N, W) if it has any."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The whole encoder."""
        features: Tensor = self.encoder(pixels)
        if self.encoder.concepts is None:
            return features
        return features, self.encoder.concepts(features)


class StartGraph(nn.Module):
    """Features (B, F, R, C) and which frames are real to the step's memory and first state."""

    def __init__(self, captioner: CaptionModel, memory: Collection[str]) -> None:
        super().__init__()
        self.captioner = captioner
        self.memory = tuple(memory)

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensors, Tensors]:
        """What does not depend on the words."""
        memory, state = self.captioner.start(features, frames)
        return {name: memory[name] for name in self.memory}, state


class StepGraph(nn.Module):
    """A token of each hypothesis to the log-probabilities of the next, and the evidence."""

    def __init__(self, captioner: CaptionModel) -> None:
        super().__init__()
        self.captioner = captioner

    def forward(
        self, tokens: Tensor, state: Tensors, memory: Tensors | None = None
    ) -> tuple[Tensor, Tensors, Tensors]:
        """One word."""
        output = self.captioner.step(memory or {}, state, tokens)
        return output.logits.log_softmax(-1), output.state, output.evidence


@dataclass(frozen=True, slots=True)
class CapturedGraph:
    """A captured graph, not yet written.

    Attributes:
        model: with one graph input for every weight, after its own inputs.
        inputs: names of its own inputs.
        outputs: names of its outputs.
        weights: names of the weights that it reads.
    """

    model: ir.Model
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[str, ...]


def capture(
    module: nn.Module,
    arguments: Mapping[str, Tensor | Tensors],
    dynamic: Mapping[str, Axes | Mapping[str, Axes]],
    outputs: Sequence[str],
    weights: Mapping[str, Tensor],
) -> CapturedGraph:
    """Capture ``module`` as an ONNX graph.

    Args:
        module: called with ``arguments`` by keyword; its weights are named by attribute path.
        arguments: example inputs; a dictionary of tensors becomes inputs ``argument.key``, and
            an empty one is left out.
        dynamic: for each argument, which axes vary, and what they are called; for a dictionary
            of tensors, that of each of them.
        outputs: names of the outputs, flattened in order.
        weights: every weight that the graph may read, by name.

    Raises:
        NegahError: a constant of the graph is as large as a weight, so it would be stored twice.
    """
    arguments = {name: value for name, value in arguments.items() if not _is_empty(value)}
    symbols = _Symbols()
    shapes = {name: symbols.of(dynamic[name]) for name in arguments}
    with torch.no_grad(), warnings.catch_warnings():
        for message, category in _HARMLESS.items():
            warnings.filterwarnings("ignore", message=message, category=category)
        program = torch.onnx.export(
            module.eval(),
            kwargs=dict(arguments),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    assert program is not None
    inputs = _flat_names(arguments)
    _rename(program.model.graph.inputs, inputs)
    read = _weights_to_inputs(program.model, module, weights)
    program.optimize()
    model = program.model
    # an input that is an output too (which frames are real) has been given another name
    _rename(model.graph.inputs[: len(inputs)], inputs)
    _rename(model.graph.outputs, outputs)
    _strip(model)
    used = {value.name for value in model.graph.inputs if value.uses()}
    for name, value in model.graph.initializers.items():
        if value.const_value is not None and value.const_value.nbytes > MAX_CONSTANT_BYTES:
            raise NegahError(
                f"the graph holds the constant {name} of {value.const_value.nbytes:,} "
                "bytes; make it a buffer of the module, so that it is stored once"
            )
    return CapturedGraph(
        model,
        inputs=tuple(name for name in inputs if name in used),
        outputs=tuple(outputs),
        weights=tuple(name for name in read if name in used),
    )


def write_graph(graph: CapturedGraph, path: Path, stored: Mapping[str, StoredTensor]) -> None:
    """Write a graph, its weights as references into the file beside it."""
    main = graph.model.graph
    own = set(graph.inputs)
    for value in [value for value in main.inputs if value.name not in own]:
        main.inputs.remove(value)
        if value.name in graph.weights:
            place = stored[value.name]
            assert value.dtype is not None
            assert value.shape is not None
            value.const_value = ir.ExternalTensor(
                WEIGHTS_FILE, place.offset, place.length, value.dtype,
                shape=value.shape, name=value.name, base_dir=path.parent,
            )  # fmt: skip
            main.register_initializer(value)
    path.write_bytes(ir.to_proto(graph.model).SerializeToString())
    logger.debug("%s: %d nodes, %d weights", path.name, len(main), len(graph.weights))


class _Symbols(dict[str, Any]):
    """One ``torch.export.Dim`` for every name."""

    def __missing__(self, name: str) -> Any:
        self[name] = torch.export.Dim(name)
        return self[name]

    def of(self, axes: Axes | Mapping[str, Axes]) -> dict[Any, Any]:
        """Names in their places to dimensions in their places."""
        return {
            key: self[value] if isinstance(value, str) else self.of(value)
            for key, value in axes.items()
        }


def _is_empty(argument: Tensor | Tensors) -> bool:
    return isinstance(argument, dict) and not argument


def _flat_names(arguments: Mapping[str, Tensor | Tensors]) -> list[str]:
    names = []
    for name, argument in arguments.items():
        if isinstance(argument, dict):
            names += [f"{name}.{key}" for key in argument]
        else:
            names.append(name)
    return names


def _rename(values: Sequence[ir.Value], names: Sequence[str]) -> None:
    for value, name in zip(values, names, strict=True):
        value.name = name


def _weights_to_inputs(
    model: ir.Model, module: nn.Module, weights: Mapping[str, Tensor]
) -> list[str]:
    """Make every weight a graph input in its stored type, followed by a Cast to its own."""
    canonical = {id(tensor): name for name, tensor in weights.items()}
    own = module.state_dict(keep_vars=True)
    inputs: dict[str, ir.Value] = {}
    for exported, value in list(model.graph.initializers.items()):
        if exported not in own:
            continue
        del model.graph.initializers[exported]
        name = canonical[id(own[exported])]
        if name not in inputs:
            inputs[name] = ir.Value(
                name=name,
                shape=value.shape,
                type=ir.TensorType(_IR_DTYPES[stored_dtype(weights[name])]),
            )
            model.graph.inputs.append(inputs[name])
        if inputs[name].dtype == value.dtype:
            value.replace_all_uses_with(inputs[name])
            continue
        cast = ir.node("Cast", [inputs[name]], attributes={"to": value.dtype})
        cast.outputs[0].shape, cast.outputs[0].type = value.shape, value.type
        value.replace_all_uses_with(cast.outputs[0])
        model.graph.insert_before(model.graph[0], cast)
    return list(inputs)


def _strip(model: ir.Model) -> None:
    """Drop what names the source files of the machine that exported, and inferred shapes."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.doc_string = model.graph.doc_string = None
    ends = {id(value) for value in (*model.graph.inputs, *model.graph.outputs)}
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
            if id(value) not in ends:
                value.shape, value.type = None, None
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
