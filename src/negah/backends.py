"""What captions: the seam behind ``--model`` and :func:`negah.load`.

A backend turns pictures into features and gives the :class:`~negah.decoding.StepModel` that
decoding walks, the tokenizer of its words, and what a user should know of it. Three kinds come
with the package: the bundle, run by ONNX Runtime; a training run, by PyTorch; and captioners of
Hugging Face, by transformers. Other packages add theirs by entry points of the group
``negah.backends``.

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
from negah.decoding import DecodingOptions, StepModel
from negah.decoding.protocol import Vocabulary
from negah.registry import Registry
from negah.split import TrainingSplit
from negah.text.languages import DEFAULT

if TYPE_CHECKING:
    from negah.runtime.seen import Judge


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model this is.

    Attributes:
        name: as reports call it.
        kind: of backend, as it is registered.
        source: where it was opened from: a folder, or a name with its scheme (``hf:ORG/NAME``).
        licence: of the weights, SPDX where there is one; "not stated" where nothing says.
        sha256: of the weights, in lower-case hexadecimal.
        files: the files that were read, so that no output replaces one of them.
        split: how the data that it learned from were divided; None where nothing says.
        scores: what its card says that was measured.
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
    """What an encoder makes of pictures.

    Attributes:
        features: of the regions, float32 (N, R, C).
        concepts: the probabilities that the pictures support the words of ``Sight.concepts``,
            float32 (N, W); None for a model that tells none.
    """

    features: FloatArray
    concepts: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model sees, of photos and of clips.

    Attributes:
        size: (height, width) in pixels of a picture as the encoder reads it.
        grid: (rows, columns) of the regions that the evidence is about; None where the model
            gives none.
        motion: seconds between the two frames of which a picture shows the difference; None for a
            model that sees frames as they are. A model of motion sees nothing of a photo.
        clip_frames: frames that are sampled from a clip unless a user asks for another number.
        max_frames: most frames of one clip that it can take.
        max_words: most tokens of a caption that it can take, the end token not counted; None for
            any number.
        concepts: W words of the vocabulary, for each of which the encoder tells whether a picture
            supports it.
        judge: what tells how far the picture supports each word; None for a model that has not
            been calibrated (``negah calibrate``).
    """

    size: tuple[int, int]
    grid: tuple[int, int] | None
    motion: float | None = None
    clip_frames: int = 1
    max_frames: int = 1
    max_words: int | None = None
    concepts: tuple[str, ...] = ()
    judge: Judge | None = field(default=None, compare=False)


class Backend(Protocol):
    """A model, opened and ready to caption. It may be used from several threads at once."""

    @property
    def identity(self) -> Identity:
        """Which one it is."""
        ...

    @property
    def sight(self) -> Sight:
        """What it sees."""
        ...

    @property
    def decoding(self) -> DecodingOptions:
        """Its own options of decoding."""
        ...

    @property
    def tokenizer(self) -> Vocabulary:
        """Its words."""
        ...

    @property
    def model(self) -> StepModel:
        """What decoding walks; started with features float32 (B, F, R, C)."""
        ...

    def resize(self, image: Image.Image) -> Image.Image:
        """A picture as small as :meth:`pixels` makes it, RGB; frames are kept in this size."""
        ...

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """Pictures of any size and mode, resized or not, to the encoder's input: (N, 3, H, W)."""
        ...

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """What the model reads of preprocessed pictures; a few are given at a time."""
        ...


@runtime_checkable
class ConceptLayer(Protocol):
    """A backend that can tell its concepts cell by cell, too.

    A picture supports a concept if one region or more shows it (noisy-or), so that what the
    encoder says of a picture without some of its regions is known without asking it again.
    """

    def absent(self, features_NRC: FloatArray) -> FloatArray | None:
        """log(1 - P) of each region and concept, float32 (N, R, W); None without concepts."""
        ...


@runtime_checkable
class Widening(Protocol):
    """A backend that can divide the arithmetic of one photo among the cores.

    Of many, batches side by side use the cores better; one that somebody waits for has them all.
    """

    def alone(self) -> Backend:
        """The same model, for one photo at a time; opened when it is first asked for."""
        ...


class BackendKind(Protocol):
    """One kind of backend, as it is registered."""

    def recognises(self, path: Path) -> bool:
        """Whether a file or folder is a model of this kind. Reads names, not weights."""
        ...

    def open(self, source: str | os.PathLike[str], *, threads: int) -> Backend:
        """Open a model.

        Args:
            source: a path; or, for a model named ``SCHEME:REST`` with the kind's registered name
                as scheme, the whole of that.
            threads: cores that the captioner uses; batches are captioned side by side, so one
                batch should not use them all.

        Raises:
            UsageError: there is no such model.
            BundleError, CheckpointError: it is damaged.
            MissingExtraError: what runs it is not installed.
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


__all__ = ["BACKENDS", "Backend", "BackendKind", "ConceptLayer", "Identity", "Sight", "Widening"]
