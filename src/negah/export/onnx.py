"""A trained model to a bundle: three graphs, one file of weights, and what they mean.

The graphs take any number of frames: where the region attention of CAM-RNN walks them in
order, the graph holds that walk as a loop.

Axes: N photos, B photos or clips, K hypotheses of each, F frames, R regions, C channels.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import negah
from negah.bundle import (
    Bundle,
    BundleConfig,
    EncoderSource,
    EncoderSpec,
    Graphs,
    GraphSpec,
    ModelSpec,
    Provenance,
    Score,
    TensorSpec,
    write_bundle,
)
from negah.bundle.schema import TOKENIZER_FILE, WEIGHTS_FILE, Axis
from negah.bundle.writer import refuse_to_overwrite
from negah.decoding import DecodingOptions
from negah.errors import UsageError
from negah.export.graphs import (
    CapturedGraph,
    EncoderGraph,
    StartGraph,
    StepGraph,
    capture,
    write_graph,
)
from negah.export.int8 import multiply_in_int8
from negah.export.sharing import share_encoder
from negah.export.weights import named_weights, rounded_copy, write_weights
from negah.models import CaptionModel, Encoder, Tensors
from negah.models.caption_model import expand_captions
from negah.text import Tokenizer

logger = logging.getLogger(__name__)

#: Sizes of the example inputs. Torch takes sizes of 0 and 1 for constants, so they are larger.
_PHOTOS, _CAPTIONS, _FRAMES = 2, 3, 4


@dataclass(frozen=True, slots=True)
class Description:
    """The description of a model in its bundle, except for what the model itself states.

    Attributes:
        name: of the model, for people.
        licence: of the weights, as an SPDX identifier if possible.
        recipe: the resolved recipe, JSON-ready.
        decoding: defaults, chosen on the development part.
        provenance: training data, seeds, pretrained weights.
        scores: what was measured.
        limits: what a user should know, a sentence each.
        clip_frames: frames that are sampled from a clip; 1 for a model that learned from photos.
        int8: the step graph multiplies in 8-bit integers, see :mod:`negah.export.int8`.
        created: ISO 8601; now by default.
    """

    name: str
    licence: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    provenance: Provenance | None = None
    scores: Sequence[Score] = ()
    limits: Sequence[str] = ()
    clip_frames: int = 1
    int8: bool = False
    created: str | None = None


def export_bundle(
    encoder: Encoder,
    captioner: CaptionModel,
    tokenizer: Tokenizer,
    folder: str | Path,
    description: Description,
    *,
    encoder_from: str | None = None,
) -> Bundle:
    """Write a bundle.

    The graphs compute with the numbers of :func:`~negah.export.weights.rounded_copy`;
    the modules that are given stay as they are. Prove the result with
    :func:`~negah.export.prove.prove`.

    Args:
        encoder: gives the preprocessing and the grid, too.
        captioner: on any device, in any mode.
        tokenizer: with the vocabulary that the captioner was trained on.
        folder: where; an older bundle there is replaced, anything else is refused.
        description: what else stands in the bundle.
        encoder_from: a model of the package with this very encoder, which is then left there.

    Raises:
        UsageError: the parts do not belong together, ``folder`` is something else, or
            ``encoder_from`` has another encoder.
        NegahError: a weight is not a number, or too large for float16.
    """
    _check(encoder, captioner, tokenizer)
    refuse_to_overwrite(Path(folder))
    encoder, captioner = rounded_copy(encoder), rounded_copy(captioner)
    if encoder.concepts is not None:
        captioner.read_concepts(encoder.concepts)  # of the copy: each number is stored once
    weights = named_weights({"encoder": encoder, "captioner": captioner})
    start, step, tensors = capture_captioner(captioner, encoder.regions, weights)
    if description.int8:
        logger.info("%d products of the step graph are in int8", multiply_in_int8(step))
    graphs = {"start": start, "step": step}
    specs = {graph: _graph_spec(graph, graphs[graph]) for graph in graphs}
    # a classifier of the encoder is left behind
    kept = {weight for graph in graphs.values() for weight in graph.weights}
    source = None
    if encoder_from is None:
        graphs["encoder"] = capture_encoder(encoder, weights)
        specs["encoder"] = _graph_spec("encoder", graphs["encoder"])
        kept |= set(graphs["encoder"].weights)
    else:
        source, specs["encoder"] = share_encoder(encoder_from, encoder, weights)
        kept |= {weight for weight in weights if weight.startswith("encoder.concepts.")}
    config = _config(encoder, captioner, description, specs, tensors, source)

    def write_files(target: Path) -> None:
        used = {weight: tensor for weight, tensor in weights.items() if weight in kept}
        stored = write_weights(target / WEIGHTS_FILE, used)
        for graph, captured in graphs.items():
            write_graph(captured, target / f"{graph}.onnx", stored)
        tokenizer.save(target / TOKENIZER_FILE)

    bundle = write_bundle(folder, config, write_files)
    size = sum(file.bytes for file in bundle.config.files.values())
    logger.info("exported %s: %s bytes", folder, f"{size:,}")
    return bundle


def _config(
    encoder: Encoder,
    captioner: CaptionModel,
    description: Description,
    graphs: Mapping[str, GraphSpec],
    tensors: Mapping[str, tuple[TensorSpec, ...]],
    source: EncoderSource | None,
) -> BundleConfig:
    options = captioner.options.model_dump(mode="json")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    unknown = Provenance(encoder_weights_sha256=encoder.weights_sha256)
    return BundleConfig(
        negah_version=negah.__version__,
        name=description.name,
        created=description.created or now,
        licence=description.licence,
        recipe=dict(description.recipe),
        model=ModelSpec(kind=options["kind"], options=options),
        vocabulary_size=captioner.vocabulary_size,
        encoder=EncoderSpec(
            name=encoder.name,
            trainable_blocks=encoder.options.trainable_blocks,
            rows=encoder.grid[0],
            columns=encoder.grid[1],
            channels=encoder.channels,
            stream=encoder.options.stream,
            motion_step=encoder.options.motion_step,
            pool=encoder.options.pool,
            concepts=() if encoder.concepts is None else encoder.concepts.words,
        ),
        encoder_from=source,
        step_precision="int8" if description.int8 else "float32",
        clip_frames=description.clip_frames,
        preprocessing=encoder.preprocessing,
        graphs=Graphs(**graphs),
        memory=tensors["memory"],
        state=tensors["state"],
        evidence=tensors["evidence"],
        decoding=description.decoding,
        provenance=description.provenance or unknown,
        scores=tuple(description.scores),
        limits=tuple(description.limits),
    )


def capture_encoder(encoder: Encoder, weights: Mapping[str, Tensor]) -> CapturedGraph:
    """The encoder graph: pixels (N, 3, H, W) to features (N, R, C), and to concepts (N, W).

    Args:
        encoder: in evaluation mode.
        weights: what :func:`~negah.export.weights.named_weights` calls ``encoder.*``.
    """
    pixels = torch.zeros(_PHOTOS, 3, *encoder.preprocessing.size)
    outputs = ["features"] if encoder.concepts is None else ["features", "concepts"]
    return capture(
        EncoderGraph(encoder), {"pixels": pixels}, {"pixels": {0: "N"}}, outputs, weights
    )


def capture_captioner(
    captioner: CaptionModel, regions: int, weights: Mapping[str, Tensor]
) -> tuple[CapturedGraph, CapturedGraph, dict[str, tuple[TensorSpec, ...]]]:
    """The start graph, the step graph, and what passes between them.

    Args:
        captioner: in evaluation mode.
        regions: R.
        weights: what :func:`~negah.export.weights.named_weights` calls ``captioner.*``.

    Returns:
        start, step, and the specs of "memory", "state" and "evidence".
    """
    tokens = torch.zeros(_PHOTOS, _CAPTIONS, dtype=torch.long)
    features = torch.zeros(_PHOTOS, _FRAMES, regions, captioner.channels)
    memory, state, evidence = _one_step(captioner, features, tokens)
    longer = _one_step(captioner, features[:, :1].repeat(1, _FRAMES + 1, 1, 1), tokens)
    axes = {
        group: {name: _axes(tensors[name].shape, more[name].shape, leading) for name in tensors}
        for group, leading, tensors, more in zip(
            ("memory", "state", "evidence"), (["B"], ["B", "K"], ["B", "K"]),
            (memory, state, evidence), longer, strict=True,
        )
    }  # fmt: skip
    step = capture(
        StepGraph(captioner),
        {"tokens": tokens, "state": state, "memory": memory},
        {"tokens": {0: "B", 1: "K"}, **{g: _dynamic(axes[g]) for g in ("state", "memory")}},
        ["logprobs", *_prefixed("next_state", state), *_prefixed("evidence", evidence)],
        weights,
    )
    memory = {name: memory[name] for name in memory if f"memory.{name}" in step.inputs}
    start = capture(
        StartGraph(captioner, memory),
        {"features": features, "frames": torch.ones(_PHOTOS, _FRAMES, dtype=torch.bool)},
        {"features": {0: "B", 1: "F"}, "frames": {0: "B", 1: "F"}},
        [*_prefixed("memory", memory), *_prefixed("state", state)],
        weights,
    )
    given = {"memory": memory, "state": state, "evidence": evidence}
    specs = {group: _specs(tensors, axes[group]) for group, tensors in given.items()}
    return start, step, specs


def _one_step(
    captioner: CaptionModel, features: Tensor, tokens: Tensor
) -> tuple[Tensors, Tensors, Tensors]:
    """Memory, state and evidence of a first step."""
    with torch.inference_mode():
        memory, first = captioner.start(features)
        state = expand_captions(first, tokens.shape[1])
        evidence = captioner.step(memory, state, tokens).evidence
    return _fresh(memory), _fresh(state), _fresh(evidence)


def _axes(shape: Sequence[int], longer: Sequence[int], leading: Sequence[str]) -> tuple[Axis, ...]:
    """What the axes of a tensor are: those that grew with the clip are F."""
    rest = zip(shape, longer, strict=True)
    named: list[Axis] = [size if size == other else "F" for size, other in rest]
    return (*leading, *named[len(leading) :])  # type: ignore[arg-type]


def _dynamic(axes: Mapping[str, tuple[Axis, ...]]) -> dict[str, dict[int, str]]:
    """The axes that have a name, tensor by tensor."""
    return {
        name: {place: axis for place, axis in enumerate(of) if isinstance(axis, str)}
        for name, of in axes.items()
    }


def _check(encoder: Encoder, captioner: CaptionModel, tokenizer: Tokenizer) -> None:
    if captioner.channels != encoder.channels:
        raise UsageError(
            f"the captioner reads features of {captioner.channels} channels, but {encoder.name} "
            f"gives {encoder.channels}: export it with the encoder that it was trained on"
        )
    if captioner.vocabulary_size != len(tokenizer):
        raise UsageError(
            f"the captioner has {captioner.vocabulary_size:,} tokens, the tokenizer "
            f"{len(tokenizer):,}: export it with the tokenizer that it was trained on"
        )


def _fresh(tensors: Tensors) -> Tensors:
    """Contiguous copies that may enter an export (tensors of inference mode may not)."""
    return {name: tensor.clone().contiguous() for name, tensor in tensors.items()}


def _prefixed(prefix: str, tensors: Tensors) -> list[str]:
    return [f"{prefix}.{name}" for name in tensors]


def _graph_spec(name: str, graph: CapturedGraph) -> GraphSpec:
    return GraphSpec(file=f"{name}.onnx", inputs=graph.inputs, outputs=graph.outputs)


def _specs(tensors: Tensors, axes: Mapping[str, tuple[Axis, ...]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, dtype=_dtype(tensor), axes=axes[name])
        for name, tensor in tensors.items()
    )


def _dtype(tensor: Tensor) -> Any:
    return str(tensor.dtype).removeprefix("torch.")
