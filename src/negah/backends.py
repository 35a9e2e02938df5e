"""Backends: the kinds of models behind ``--model`` and :func:`negah.load`.

A backend turns pictures into features and provides the :class:`~negah.decoding.StepModel` for
decoding, its tokenizer, and a description of the model. Three kinds come with the package: the
bundle, run by ONNX Runtime; a training run, by PyTorch; and captioners of Hugging Face, by
transformers. Other packages add their own by entry points of the group ``negah.backends``.

Axes: N pictures, B photos or clips, F frames, R regions, C channels, W concepts; (N, 3, H, W):
H rows and W columns of pixels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from PIL import Image

from negah.arrays import FloatArray
from negah.bundle.schema import Score
from negah.decoding import DecodingOptions, ExpectedCider, StepModel
from negah.decoding.protocol import Vocabulary
from negah.registry import Registry
from negah.split import TrainingSplit
from negah.text.languages import DEFAULT

if TYPE_CHECKING:
    from negah.runtime.seen import Judge


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a model.

    Attributes:
        name: as shown in reports.
        kind: of backend, as it is registered.
        source: where it was opened from: a folder, or a name with its scheme (``hf:ORG/NAME``).
        licence: of the weights, an SPDX identifier if there is one; "not stated" if unknown.
        sha256: of the weights, in lower-case hexadecimal.
        files: the files that were read, so that no output replaces one of them.
        split: how its training data were divided; None if unknown.
        scores: the measured scores on its model card.
        language: the code of the language that it captions in.
    """

    name: str
    kind: str
    source: str
    licence: str
    sha256: str
    files: tuple[Path, ...] = ()
    split: TrainingSplit | None = None
    scores: tuple[Score, ...] = ()
    language: str = DEFAULT


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The output of an encoder for a batch of pictures.

    Attributes:
        features: of the regions, float32 (N, R, C).
        concepts: the probabilities that the pictures support the words of ``Sight.concepts``,
            float32 (N, W); None without concepts.
    """

    features: FloatArray
    concepts: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """The input of a model: picture size, grid, frames, and its limits.

    Attributes:
        size: (height, width) in pixels of a picture as the encoder reads it.
        grid: (rows, columns) of the regions of the evidence; None for a model without regions.
        motion: seconds between the two frames whose difference is the input; None for a model that
            takes frames themselves. A motion model cannot caption a photo.
        clip_frames: default number of frames sampled from a clip.
        max_frames: maximum number of frames of a clip.
        max_words: maximum number of tokens of a caption, the end token not counted; None for no
            limit.
        concepts: W words of the vocabulary whose probability the encoder predicts from a picture.
        expected_cider: predicts the CIDEr of a caption from the concepts; None for a model for
            which it has not been fitted (``negah rerank``).
        judge: estimates how far the picture supports each word; None for a model that has not been
            calibrated (``negah calibrate``).
    """

    size: tuple[int, int]
    grid: tuple[int, int] | None
    motion: float | None = None
    clip_frames: int = 1
    max_frames: int = 1
    max_words: int | None = None
    concepts: tuple[str, ...] = ()
    expected_cider: ExpectedCider | None = field(default=None, compare=False)
    judge: Judge | None = field(default=None, compare=False)


class Backend(Protocol):
    """A model, opened and ready to caption. It may be used from several threads at once."""

    @property
    def identity(self) -> Identity:
        """The identity of the model."""
        ...

    @property
    def sight(self) -> Sight:
        """The input of the model."""
        ...

    @property
    def decoding(self) -> DecodingOptions:
        """The model's default decoding options."""
        ...

    @property
    def tokenizer(self) -> Vocabulary:
        """The tokenizer of the model."""
        ...

    @property
    def model(self) -> StepModel:
        """The step model for decoding; started with features float32 (B, F, R, C)."""
        ...

    def resize(self, image: Image.Image) -> Image.Image:
        """A picture resized to the size that :meth:`pixels` needs, RGB; frames are stored at this
        size."""
        ...

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """Pictures of any size and mode, resized or not, to the encoder's input: (N, 3, H, W)."""
        ...

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """Features of a batch of preprocessed pictures."""
        ...


@runtime_checkable
class ConceptLayer(Protocol):
    """A backend that also gives the concepts of each region.

    A picture supports a concept if one region or more shows it (noisy-or), so the concepts of a
    picture without some of its regions need no second run of the encoder.
    """

    def absent(self, features_NRC: FloatArray) -> FloatArray | None:
        """log(1 - P) of each region and concept, float32 (N, R, W); None without concepts."""
        ...


@runtime_checkable
class Widening(Protocol):
    """A backend that can use all cores for a single photo.

    Batches in parallel use the cores better for many photos; a single photo is faster on all cores.
    """

    def alone(self) -> Backend:
        """The same model with all cores for one photo at a time; opened at first use."""
        ...


class BackendKind(Protocol):
    """A registered kind of backend."""

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder is a model of this kind, judged by file names, not by
        weights."""
        ...

    def open(self, source: str | os.PathLike[str], *, threads: int) -> Backend:
        """Open a model.

        Args:
            source: a path; or the whole name of a model named ``SCHEME:REST``, where the scheme is
                the registered name of the kind.
            threads: cores that the captioner uses; batches are captioned in parallel, so one batch
                should not use all of them.

        Raises:
            UsageError: there is no such model.
            BundleError, CheckpointError: it is damaged.
            MissingExtraError: a dependency of this backend is not installed.
        """
        ...


#: All kinds of backends; a path is offered to each in this order.
BACKENDS: Registry[BackendKind] = Registry(
    "kind of model",
    "negah.backends",
    {
        "bundle": "negah.runtime.onnx:KIND",
        "run": "negah.runtime.models:RUN_KIND",
        "hf": "negah.hf.backend:KIND",
    },
)


__all__ = [
    "BACKENDS",
    "Backend",
    "BackendKind",
    "ConceptLayer",
    "Encoded",
    "Identity",
    "Score",
    "Sight",
    "TrainingSplit",
    "Vocabulary",
    "Widening",
]
