"""A trained model to a bundle: three graphs, one file of weights, and what they mean.

``F`` is fixed when a bundle is exported, 1 for photos: the region attention of CAM-RNN walks
the frames in order, so its graph has that many steps.

Axes: N photos, B photos or clips, K hypotheses of each, F frames, R regions, C channels.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

import negah
from negah.bundle import (
    Bundle,
    BundleConfig,
    EncoderSpec,
    Graphs,
    GraphSpec,
    ModelSpec,
    Provenance,
    Score,
    TensorSpec,
    write_bundle,
)
from negah.bundle.schema import TOKENIZER_FILE, WEIGHTS_FILE
from negah.bundle.writer import refuse_to_overwrite
from negah.decoding import DecodingOptions
from negah.errors import UsageError
from negah.export.graphs import EncoderGraph, Graph, StartGraph, StepGraph, capture, write_graph
from negah.export.weights import named_weights, rounded_copy, write_weights
from negah.models import Captioner, Encoder, Tensors
from negah.models.captioner import expand_captions
from negah.options import Options
from negah.text import Tokenizer

logger = logging.getLogger(__name__)

#: Sizes of the example inputs. Torch takes sizes of 0 and 1 for constants, so they are larger.
_PHOTOS, _CAPTIONS = 2, 3


def export_bundle(
    encoder: Encoder,
    captioner: Captioner,
    tokenizer: Tokenizer,
    folder: str | Path,
    *,
    name: str,
    model: Options,
    licence: str,
    recipe: Mapping[str, Any] | None = None,
    decoding: DecodingOptions | None = None,
    provenance: Provenance | None = None,
    scores: Sequence[Score] = (),
    limits: Sequence[str] = (),
    frames: int = 1,
    created: str | None = None,
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
        name: of the model, for people.
        model: the options that ``captioner`` was built from.
        licence: of the weights, as an SPDX identifier where there is one.
        recipe: the resolved recipe, JSON-ready.
        decoding: defaults, chosen on the development part.
        provenance: training data, seeds, pretrained weights.
        scores: what was measured.
        limits: what a user should know, a sentence each.
        frames: F.
        created: ISO 8601; now by default.

    Raises:
        UsageError: the parts do not belong together, or ``folder`` is something else.
        NegahError: a weight is not a number, or too large for float16.
    """
    _check(encoder, captioner, tokenizer)
    refuse_to_overwrite(Path(folder))
    encoder, captioner = rounded_copy(encoder), rounded_copy(captioner)
    weights = named_weights({"encoder": encoder, "captioner": captioner})
    start, step, tensors = capture_captioner(captioner, encoder.regions, frames, weights)
    graphs = {"encoder": capture_encoder(encoder, weights), "start": start, "step": step}
    options = model.model_dump(mode="json")
    config = BundleConfig(
        negah_version=negah.__version__,
        name=name,
        created=created or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        licence=licence,
        recipe=dict(recipe or {}),
        model=ModelSpec(kind=options["kind"], options=options),
        vocabulary_size=captioner.vocabulary_size,
        encoder=EncoderSpec(
            name=encoder.name,
            trainable_blocks=encoder.options.trainable_blocks,
            rows=encoder.grid[0],
            columns=encoder.grid[1],
            channels=encoder.channels,
        ),
        frames=frames,
        preprocessing=encoder.preprocessing,
        graphs=Graphs(**{graph: _graph_spec(graph, graphs[graph]) for graph in graphs}),
        memory=tensors["memory"],
        state=tensors["state"],
        evidence=tensors["evidence"],
        decoding=decoding or DecodingOptions(),
        provenance=provenance or Provenance(encoder_weights_sha256=encoder.weights_sha256),
        scores=tuple(scores),
        limits=tuple(limits),
    )
    # A classifier of the encoder is left behind; of the captioner even what photos never use
    # stays (the weight of the frame before), so that it can be trained further.
    kept = {weight for graph in graphs.values() for weight in graph.weights}
    kept |= {weight for weight in weights if weight.startswith("captioner.")}

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


def capture_encoder(encoder: Encoder, weights: Mapping[str, Tensor]) -> Graph:
    """The encoder graph: pixels (N, 3, H, W) to features (N, R, C).

    Args:
        encoder: in evaluation mode.
        weights: what :func:`~negah.export.weights.named_weights` calls ``encoder.*``.
    """
    pixels = torch.zeros(_PHOTOS, 3, *encoder.preprocessing.size)
    return capture(
        EncoderGraph(encoder), {"pixels": pixels}, {"pixels": {0: "N"}}, ["features"], weights
    )


def capture_captioner(
    captioner: Captioner, regions: int, frames: int, weights: Mapping[str, Tensor]
) -> tuple[Graph, Graph, dict[str, tuple[TensorSpec, ...]]]:
    """The start graph, the step graph, and what passes between them.

    Args:
        captioner: in evaluation mode.
        regions: R.
        frames: F.
        weights: what :func:`~negah.export.weights.named_weights` calls ``captioner.*``.

    Returns:
        start, step, and the specs of "memory", "state" and "evidence".
    """
    features = torch.zeros(_PHOTOS, frames, regions, captioner.channels)
    tokens = torch.zeros(_PHOTOS, _CAPTIONS, dtype=torch.long)
    with torch.inference_mode():
        memory, first = captioner.start(features)
        state = expand_captions(first, _CAPTIONS)
        evidence = captioner.step(memory, state, tokens).evidence
    memory, state = _fresh(memory), _fresh(state)
    step = capture(
        StepGraph(captioner),
        {"tokens": tokens, "state": state, "memory": memory},
        {"tokens": {0: "B", 1: "K"}, "state": {0: "B", 1: "K"}, "memory": {0: "B"}},
        ["logprobs", *_prefixed("next_state", state), *_prefixed("evidence", evidence)],
        weights,
    )
    memory = {name: memory[name] for name in memory if f"memory.{name}" in step.inputs}
    start = capture(
        StartGraph(captioner, memory),
        {"features": features},
        {"features": {0: "B"}},
        [*_prefixed("memory", memory), *_prefixed("state", state)],
        weights,
    )
    specs = {
        "memory": _specs(memory, ("B",)),
        "state": _specs(state, ("B", "K")),
        "evidence": _specs(evidence, ("B", "K")),
    }
    return start, step, specs


def _check(encoder: Encoder, captioner: Captioner, tokenizer: Tokenizer) -> None:
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


def _graph_spec(name: str, graph: Graph) -> GraphSpec:
    return GraphSpec(file=f"{name}.onnx", inputs=graph.inputs, outputs=graph.outputs)


def _specs(tensors: Tensors, leading: tuple[Literal["B", "K"], ...]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, dtype=_dtype(tensor), axes=(*leading, *tensor.shape[len(leading) :]))
        for name, tensor in tensors.items()
    )


def _dtype(tensor: Tensor) -> Any:
    return str(tensor.dtype).removeprefix("torch.")
