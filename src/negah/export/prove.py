"""The proof of an export: ONNX and PyTorch caption the same photos in the same words.

A model for clips captions each photo alone and then all of them again as the frames of clips.
Both start from the files. The photos take the way of the feature store and PyTorch on one side,
the way of the runtime and ONNX Runtime on the other; decoding is the same code.

Axes: N photos, B clips, F frames, R regions, C channels, T words, H and W rows and columns of
pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from negah.arrays import FloatArray
from negah.backends import Backend, Encoded, Identity
from negah.bundle import Bundle
from negah.decoding import DecodingOptions, Hypothesis, Support, decode
from negah.errors import NegahError, UsageError
from negah.export.weights import rounded_copy
from negah.media import MAX_PIXELS, open_image
from negah.models import CaptionModel, Encoder
from negah.models.adapter import TorchBackend
from negah.runtime import OnnxBackend
from negah.runtime.stages import see_photo

logger = logging.getLogger(__name__)

#: The path of a photo, or a frame of a clip.
PictureInput: TypeAlias = Path | Image.Image


@dataclass(frozen=True, slots=True)
class ExportTolerance:
    """How far ONNX may differ from PyTorch.

    Attributes:
        equal_text_share: at least, in [0, 1].
        difference: at most, of log-probabilities in nats and of evidence.
    """

    equal_text_share: float
    difference: float


#: By the precision of the step graph.
LIMITS = {"float32": ExportTolerance(0.99, 1e-3), "int8": ExportTolerance(0.85, 0.25)}


@dataclass(frozen=True, slots=True)
class Proof:
    """How close ONNX came to PyTorch.

    Attributes:
        n: captions that were compared: of photos, and of clips for a model that takes them.
        equal_text_share: of them, the share with the same text, in [0, 1].
        max_logprob_difference: the largest between the log-probabilities of a token, in nats,
            over the captions of equal text.
        max_evidence_difference: the largest between two weights of the same name and word.
        preprocessing_equal: whether every pixel of every photo was the same number.
    """

    n: int
    equal_text_share: float
    max_logprob_difference: float
    max_evidence_difference: float
    preprocessing_equal: bool

    def complaints(self, limits: ExportTolerance = LIMITS["float32"]) -> list[str]:
        """What makes the export unfit for use; empty if nothing does."""
        complaints = []
        if not self.preprocessing_equal:
            complaints.append("training and bundle do not make the same pixels of a photo")
        if self.equal_text_share < limits.equal_text_share:
            complaints.append(
                f"{self.equal_text_share:.1%} of the captions are equal; "
                f"{limits.equal_text_share:.0%} must be"
            )
        differences = {
            "log-probabilities": self.max_logprob_difference,
            "evidence": self.max_evidence_difference,
        }
        for what, difference in differences.items():
            if not difference <= limits.difference:
                complaints.append(
                    f"{what} differ by up to {difference:.2g}; {limits.difference:g} is allowed"
                )
        return complaints


def prove(
    bundle: Bundle,
    encoder: Encoder,
    captioner: CaptionModel,
    pictures: Sequence[PictureInput],
    *,
    options: DecodingOptions | None = None,
    batch_size: int = 16,
    max_pixels: int = MAX_PIXELS,
) -> Proof:
    """Caption photos with the bundle and with the models that it was exported from.

    PyTorch computes with the weights as the bundle stores them, so that the proof measures the
    export and not the rounding.

    Args:
        bundle: what was exported.
        encoder: what it was exported from.
        captioner: likewise.
        pictures: real photos or frames, some 200 of them.
        options: of decoding; the bundle's defaults.
        batch_size: photos at a time.
        max_pixels: a picture that would be decoded to more cannot be read.

    Raises:
        UsageError: there are no photos.
        MediaError: one of them cannot be read.
        NegahError: the proof does not keep within :data:`LIMITS`, or the pixels differ.
    """
    if not pictures:
        raise UsageError("a proof needs photos; none were given")
    # the trained model has no prediction of CIDEr
    options = (options or bundle.config.decoding).changed({"expected_cider": 0.0})
    encoder, captioner = rounded_copy(encoder), rounded_copy(captioner)
    exported = OnnxBackend(bundle, threads=torch.get_num_threads())
    clip_frames = bundle.config.clip_frames
    source = Identity(bundle.config.name, "run", str(bundle.path), bundle.config.licence, "")
    trained = TorchBackend(
        encoder, captioner, bundle.tokenizer, options, source, clip_frames=clip_frames
    )
    comparison = _Agreement(bundle)
    done = 0
    for batch in _batches(pictures, max(batch_size, clip_frames)):
        trained_N3HW, run_N3HW = _pixels(batch, trained, exported, max_pixels)
        comparison.add_pixels(trained_N3HW, run_N3HW)
        ours, theirs = trained.encode(trained_N3HW), exported.encode(run_N3HW)
        comparison.add_concepts(ours, theirs)
        for frames in sorted({1, clip_frames}):
            expected = _decode(trained, ours, frames, options)
            given = _decode(exported, theirs, frames, options)
            for one, other in zip(expected, given, strict=True):
                comparison.add_caption(one, other)
        done += len(batch)
        logger.info("proof: %d of %d photos", done, len(pictures))
    proof = comparison.result()
    complaints = proof.complaints(LIMITS[bundle.config.step_precision])
    if complaints:
        raise NegahError(
            f"bundle {bundle.path} is not what it was exported from: {'; '.join(complaints)} "
            f"({proof.n} captions). Do not use it; please report this with the versions of "
            "torch, onnxscript and onnxruntime."
        )
    return proof


class _Agreement:
    """How far ONNX and PyTorch agree in what was compared so far."""

    def __init__(self, bundle: Bundle) -> None:
        self.tokenizer = bundle.tokenizer
        self.n = 0
        self.equal = 0
        self.logprobs = 0.0
        self.evidence = 0.0
        self.pixels_equal = True

    def add_pixels(self, one: FloatArray, other: FloatArray) -> None:
        self.pixels_equal = self.pixels_equal and np.array_equal(one, other)

    def add_concepts(self, one: Encoded, other: Encoded) -> None:
        if one.concepts is not None and other.concepts is not None:
            self.evidence = _largest(self.evidence, one.concepts, other.concepts)

    def add_caption(self, one: Hypothesis, other: Hypothesis) -> None:
        self.n += 1
        if self.tokenizer.decode(one.tokens) != self.tokenizer.decode(other.tokens):
            return
        self.equal += 1
        if one.tokens != other.tokens or one.finished != other.finished:
            return
        self.logprobs = _largest(self.logprobs, one.logprobs, other.logprobs)
        for name, weights in one.evidence.items():
            self.evidence = _largest(self.evidence, weights, other.evidence[name])

    def result(self) -> Proof:
        share = self.equal / self.n
        return Proof(self.n, share, self.logprobs, self.evidence, self.pixels_equal)


def _pixels(
    pictures: Sequence[PictureInput], trained: Backend, exported: Backend, max_pixels: int
) -> tuple[FloatArray, FloatArray]:
    """The same pictures as training and as the runtime see them, float32 (N, 3, H, W)."""
    images = [
        open_image(picture, max_pixels=max_pixels, target_size=trained.sight.size)
        if isinstance(picture, Path)
        else picture
        for picture in pictures
    ]
    seen = [see_photo(picture, [exported], max_pixels=max_pixels) for picture in pictures]
    return trained.pixels(images), exported.pixels([one.images[0] for one in seen])


def _decode(
    backend: Backend, encoded: Encoded, frames: int, options: DecodingOptions
) -> list[Hypothesis]:
    """Captions of clips of ``frames`` photos each; the last clip is padded."""
    photos = len(encoded.features)
    clips = -(-photos // frames)
    real_BF = (np.arange(clips * frames) < photos).reshape(clips, frames)
    support = None
    if encoded.concepts is not None:
        concepts_BFW = _as_clips(encoded.concepts, clips, frames)
        sight = backend.sight
        support = Support(sight.concepts, concepts_BFW.max(1), sight.expected_cider)
    found = decode(
        backend.model, _as_clips(encoded.features, clips, frames), options,
        vocabulary=backend.tokenizer, real_frames=real_BF, support=support,
    )  # fmt: skip
    return [best[0] for best in found]


def _as_clips(pictures: FloatArray, clips: int, frames: int) -> FloatArray:
    """An array of N pictures as that of ``clips`` clips, the last one padded with zeros."""
    padded = np.zeros((clips * frames, *pictures.shape[1:]), dtype=np.float32)
    padded[: len(pictures)] = pictures
    return padded.reshape(clips, frames, *pictures.shape[1:])


def _largest(so_far: float, one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """NaN once a difference is NaN."""
    return float(np.max(np.abs(np.subtract(one, other)), initial=so_far))


def _batches(pictures: Sequence[PictureInput], size: int) -> Iterator[Sequence[PictureInput]]:
    for first in range(0, len(pictures), size):
        yield pictures[first : first + size]
