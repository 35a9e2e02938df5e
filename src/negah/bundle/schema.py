"""The schema of ``bundle.json``: everything needed to caption a photo.

A bundle is a folder of data: this description, a tokenizer, three ONNX graphs, their weights
and a model card. Unknown keys and implausible sizes are refused, because bundles are untrusted.

Axes: B photos or clips, K hypotheses of each, F frames, R regions, C channels, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from negah.decoding import DecodingOptions
from negah.media.preprocess import Preprocessing
from negah.options import Options
from negah.split import TrainingSplit

#: Goes up when an older Negah could no longer read what is written.
FORMAT_VERSION = 2

CONFIG_FILE = "bundle.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "README.md"

MAX_VOCABULARY = 1_000_000
MAX_BUNDLE_BYTES = 2 * 2**30
MAX_SIDE = 4096
#: Numbers that one photo, or one hypothesis of it, may occupy in one tensor.
MAX_TENSOR_SIZE = 2**26

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
BoundedText = Annotated[str, Field(max_length=20_000)]
#: A name of one file in the bundle's own folder: no separators, no leading dot.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
#: B photos or clips, K hypotheses of each, F frames; a number is a fixed size.
Axis = Literal["B", "K", "F"] | Count
TensorName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,99}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def max_frames(size: int) -> int:
    """Maximum number of frames of a clip, with ``size`` features each, held in memory together."""
    return MAX_TENSOR_SIZE // size


class ModelSpec(Options):
    """The captioner: kind and options."""

    kind: BoundedText = Field(description="The registered name, such as cam-rnn.")
    options: dict[str, Any] = Field(description="Its options, as its recipe resolved them.")


class EncoderSpec(Options):
    """The image encoder, its input, and its grid."""

    name: BoundedText = Field(description="The timm model.")
    trainable_blocks: int = Field(
        ge=0, le=64, description="How many of its last blocks were fine-tuned."
    )
    rows: int = Field(ge=1, le=1024, description="Rows of the region grid.")
    columns: int = Field(ge=1, le=1024, description="Columns of the region grid.")
    channels: int = Field(ge=1, le=65_536, description="C, channels of a region feature.")
    stream: Literal["appearance", "motion"] = Field(
        default="appearance",
        description="appearance: it reads frames; motion: pictures of how they change.",
    )
    motion_step: float = Field(
        default=0.2, gt=0, le=10, description="Seconds between the two frames of stream motion."
    )
    pool: int | None = Field(
        default=None,
        ge=0,
        le=64,
        description="Rows and columns that the map is averaged to; 0: as it is. None in bundles of "
        "before this was stored.",
    )
    concepts: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(
        default=(),
        max_length=10_000,
        description="Words of the vocabulary for which the graph predicts if a picture supports "
        "them; empty: no concepts.",
    )

    @property
    def regions(self) -> int:
        """R, the number of regions of a frame."""
        return self.rows * self.columns

    @property
    def motion(self) -> float | None:
        """``motion_step`` of an encoder of motion; None for appearance."""
        return self.motion_step if self.stream == "motion" else None


class TensorSpec(Options):
    """A tensor that the start graph returns or the step graph passes on."""

    name: TensorName = Field(description="Its name without the prefix memory, state or evidence.")
    dtype: Literal["float32", "int64", "bool"] = Field(description="What it is made of.")
    axes: tuple[Axis, ...] = Field(
        min_length=1,
        max_length=8,
        description="B photos, K hypotheses of each, F frames; numbers are fixed sizes.",
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        size = math.prod(axis for axis in self.axes if isinstance(axis, int))
        if size > MAX_TENSOR_SIZE:
            raise ValueError(f"{size:,} numbers a frame; at most {MAX_TENSOR_SIZE:,} are allowed")
        return self


class GraphSpec(Options):
    """One ONNX graph of the bundle."""

    file: FileName = Field(description="Its file.")
    inputs: tuple[TensorName, ...] = Field(max_length=100, description="Names, in order.")
    outputs: tuple[TensorName, ...] = Field(max_length=100, description="Names, in order.")


class Graphs(Options):
    """The graphs of a captioner."""

    encoder: GraphSpec = Field(
        description="pixels (N, 3, H, W) to features (N, R, C), and to concepts (N, W)."
    )
    start: GraphSpec = Field(
        description="features (B, F, R, C), and frames (B, F) where they are real, to memory and "
        "first state."
    )
    step: GraphSpec = Field(description="tokens (B, K), memory and state to the next word.")

    def each(self) -> dict[str, GraphSpec]:
        """The graphs by name."""
        return {"encoder": self.encoder, "start": self.start, "step": self.step}


class EncoderSource(Options):
    """The bundled model whose encoder a bundle uses instead of its own.

    Its graph computes the features; the concepts, which are words, belong to the bundle.
    """

    model: FileName = Field(description="The name of a model in the package.")
    graph_sha256: Sha256 = Field(description="Of its encoder graph.")
    weights_sha256: Sha256 = Field(description="Of its weights, which that graph reads.")


class FileSpec(Options):
    """Size and checksum of a file of the bundle."""

    sha256: Sha256 = Field(description="Of its content, in lower-case hexadecimal.")
    bytes: int = Field(ge=0, le=MAX_BUNDLE_BYTES, description="Its size.")


class TrainingData(Options):
    """One data set on which the model was trained."""

    name: BoundedText = Field(description="As people know it, with the part that was used.")
    licence: BoundedText = Field(description="Under which terms it may be used.")
    images: int = Field(default=0, ge=0, description="How many photos; 0 where unknown.")
    note: BoundedText = Field(default="", description="Anything else that one should know.")


class Provenance(Options):
    """Provenance of the weights."""

    training_data: tuple[TrainingData, ...] = Field(default=(), max_length=100)
    seeds: tuple[int, ...] = Field(default=(), max_length=100, description="One for each run.")
    split: TrainingSplit | None = Field(
        default=None, description="How its data were divided; None where that is not recorded."
    )
    objective: BoundedText = Field(
        default="",
        description="How training steps were made, where the recipe does not say it all.",
    )
    encoder_weights: BoundedText = Field(
        default="", description="The encoder's pretrained weights."
    )
    encoder_weights_sha256: BoundedText = Field(
        default="", description="Of those, before fine-tuning."
    )


class Score(Options):
    """A measured score."""

    dataset: BoundedText = Field(description="What it was measured on.")
    split: BoundedText = Field(description="Which part of it.")
    metric: BoundedText = Field(description="Such as CIDEr-D.")
    value: float = Field(allow_inf_nan=False)
    low: float | None = Field(default=None, allow_inf_nan=False, description="Interval, lower end.")
    high: float | None = Field(default=None, allow_inf_nan=False, description="Its upper end.")
    n: int = Field(ge=1, description="Photos measured.")
    signature: BoundedText = Field(description="How: tokenizer, variant, references, version.")


class BundleConfig(Options):
    """The whole of ``bundle.json``."""

    format_version: Literal[2] = Field(default=2, description="FORMAT_VERSION of its writer.")
    negah_version: BoundedText = Field(description="The Negah that wrote it.")
    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="Of the model.")
    created: BoundedText = Field(description="When, as ISO 8601.")
    licence: BoundedText = Field(description="Of the weights, as an SPDX identifier if possible.")
    recipe: dict[str, Any] = Field(description="The resolved recipe that it was trained by.")
    model: ModelSpec
    vocabulary_size: int = Field(ge=5, le=MAX_VOCABULARY, description="V, specials included.")
    encoder: EncoderSpec
    encoder_from: EncoderSource | None = Field(
        default=None,
        description="The model of the package that holds the encoder; None: the bundle does.",
    )
    step_precision: Literal["float32", "int8"] = Field(
        default="float32",
        description="How the step graph multiplies matrices; the weights are stored alike.",
    )
    clip_frames: int = Field(
        ge=1,
        le=4096,
        description="Frames that are sampled from a clip unless a user asks for another number; "
        "1 for a model that learned from photos.",
    )
    preprocessing: Preprocessing
    graphs: Graphs
    memory: tuple[TensorSpec, ...] = Field(max_length=40, description="Constant, once a photo.")
    state: tuple[TensorSpec, ...] = Field(min_length=1, max_length=40, description="Word to word.")
    evidence: tuple[TensorSpec, ...] = Field(
        max_length=40, description="Evidence of a step: attention, gate."
    )
    decoding: DecodingOptions = Field(description="Defaults, chosen on the development part.")
    provenance: Provenance
    scores: tuple[Score, ...] = Field(default=(), max_length=1000)
    limits: tuple[BoundedText, ...] = Field(default=(), max_length=100, description="Known limits.")
    files: dict[FileName, FileSpec] = Field(
        default={}, max_length=50, description="Every file but this one."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        complaints = [*self._sizes(), *self._tensors(), *self._names()]
        if complaints:
            raise ValueError("; ".join(complaints))
        return self

    def _sizes(self) -> list[str]:
        complaints = []
        if max(self.preprocessing.size) > MAX_SIDE:
            complaints.append(
                f"preprocessing to {self.preprocessing.size} pixels; at most {MAX_SIDE} a side"
            )
        if self.decoding.support and not self.encoder.concepts:
            complaints.append(
                f"decoding by a support of {self.decoding.support:g}, and no concepts to take it of"
            )
        total = sum(file.bytes for file in self.files.values())
        if total > MAX_BUNDLE_BYTES:
            complaints.append(f"files of {total:,} bytes; at most {MAX_BUNDLE_BYTES:,} together")
        if self.clip_frames > self.max_frames:
            features = self.encoder.regions * self.encoder.channels
            complaints.append(
                f"{self.clip_frames:,} frames with features of {features:,} numbers each; at most "
                f"{MAX_TENSOR_SIZE:,} together"
            )
        return complaints

    @property
    def max_frames(self) -> int:
        """Maximum number of frames of a clip held in memory together; 0: not even one fits."""
        return max_frames(self.encoder.regions * self.encoder.channels)

    def _tensors(self) -> list[str]:
        leading = {"memory": ("B",), "state": ("B", "K"), "evidence": ("B", "K")}
        complaints = []
        for group, axes in leading.items():
            for spec in getattr(self, group):
                named = tuple(axis for axis in spec.axes if isinstance(axis, str))
                allowed = (axes,) if group == "state" else (axes, (*axes, "F"))
                if named not in allowed or spec.axes[: len(axes)] != axes:
                    frames = "" if group == "state" else ", F at most once"
                    complaints.append(
                        f"{group}.{spec.name} has the axes {spec.axes}; "
                        f"{', '.join(axes)} and then fixed sizes are allowed{frames}"
                    )
        return complaints

    @property
    def own_graphs(self) -> dict[str, GraphSpec]:
        """The graphs whose files are in the bundle, by name."""
        return {
            name: graph
            for name, graph in self.graphs.each().items()
            if name != "encoder" or self.encoder_from is None
        }

    def _names(self) -> list[str]:
        complaints = []
        for graph, (inputs, outputs) in self.expected_names().items():
            given = self.graphs.each()[graph]
            if (given.inputs, given.outputs) != (inputs, outputs):
                complaints.append(
                    f"the {graph} graph maps {list(given.inputs)} to {list(given.outputs)}; "
                    f"memory, state and evidence make that {list(inputs)} to {list(outputs)}"
                )
        return complaints

    def expected_names(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """By graph, the input and output names required by memory, state and evidence.

        Names in ONNX are unique, so the state after a step has another name than the state before
        it: ``next_state.h`` is the new ``state.h``.
        """
        memory = tuple(f"memory.{spec.name}" for spec in self.memory)
        state = tuple(f"state.{spec.name}" for spec in self.state)
        after = tuple(f"next_{name}" for name in state)
        evidence = tuple(f"evidence.{spec.name}" for spec in self.evidence)
        tells = self.encoder.concepts and self.encoder_from is None
        return {
            "encoder": (("pixels",), ("features", "concepts") if tells else ("features",)),
            "start": (("features", "frames"), memory + state),
            "step": (("tokens", *state, *memory), ("logprobs", *after, *evidence)),
        }
