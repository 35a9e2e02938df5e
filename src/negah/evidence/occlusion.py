"""Occlusion: the loss of a word when a place of the picture is removed.

A window around each cell is replaced by neutral content, the caption is scored by the model again,
and the cell gets the decrease of each word's log-odds,

    log p / (1 - p) of the word with the whole picture - the same without the window

(M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014). Log-odds
rather than log-probabilities, since a word that is nearly certain can hardly lose probability.
Windows are larger than a cell, since an object without one cell is still recognised from the
neighbouring cells.

A model whose encoder predicts concepts also uses them to choose captions
(:mod:`negah.decoding.decoder`): a word then loses the log-odds of its concept as well, with a
weight; closer looks at a photo may say where the concept is (:mod:`negah.evidence.closer`).
``docs/explain.md`` has what was measured.

Axes: X windows, T words, F frames, R = H x W cells in rows and columns, C channels, W concepts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from negah.arrays import BoolArray, ByteArray, FloatArray
from negah.backends import Backend, ConceptLayer
from negah.errors import UsageError
from negah.evidence.closer import closer_odds
from negah.evidence.subject import Subject
from negah.evidence.windows import to_cells, windows

#: Of patches: rows and columns of cells.
_PATCHES = 7

#: A picture is blurred over this share of its longer side, so that nothing can be told.
_BLUR = 1 / 12

#: Logarithms of probabilities no nearer to 0 than this, in float32.
_NEAREST = 1e-6


@dataclass(frozen=True, slots=True)
class FeatureOcclusion:
    """Cells of the features are replaced by the mean of the picture's own.

    Quick, since the encoder runs once. For models whose features are one for each cell of a grid.

    Attributes:
        side: of the windows in cells, see :func:`~negah.evidence.windows.windows`.
        concepts: the weight of the concepts' log-odds; 0 leaves them out.
        closer: the weight of closer looks at photos; 0 leaves them out.
    """

    side: int = 3
    concepts: float = 0.3
    closer: float = 0.0

    @property
    def signature(self) -> str:
        """See :class:`~negah.evidence.methods.Evidence`."""
        return (
            f"occlusion|windows {self.side}x{self.side}|by the picture's mean|log-odds"
            f"|concepts x {self.concepts:g}"
            + (f"|closer looks x {self.closer:g}" if self.closer else "")
        )

    def check(self, backend: Backend) -> None:
        """Refuse models whose features are not those of cells, or that have no concepts to find."""
        if self.closer and not (backend.sight.concepts and isinstance(backend, ConceptLayer)):
            raise UsageError(
                f"{backend.identity.name} has no concepts, which closer looks need: use the "
                f"method occlusion"
            )
        grid = backend.sight.grid
        blank = Image.new("RGB", backend.sight.size[::-1], (128, 128, 128))
        if grid is None or backend.encode(backend.pixels([blank])).features.shape[1] != (
            grid[0] * grid[1]
        ):
            raise UsageError(
                f"the features of {backend.identity.name} are not one for each cell of a grid, so "
                f"no place can be removed from them: use the method patches"
            )

    def maps(self, subject: Subject) -> FloatArray:
        """The fall of the log-odds, in nats; the cells are those of the features."""
        grid = subject.backend.sight.grid
        assert grid is not None
        features_FRC = subject.features_FRC
        mean_C = features_FRC.mean((0, 1))

        def without(inside_XFHW: BoolArray) -> Iterator[FloatArray]:
            for inside_FR in inside_XFHW.reshape(len(inside_XFHW), len(features_FRC), -1):
                yield np.where(inside_FR[..., None], mean_C, features_FRC)

        shape = (subject.frames, *grid)
        inside_XFHW = windows(shape, self.side)
        falls_XT = _falls(subject, features_FRC, without(inside_XFHW), len(inside_XFHW))
        known = _known(subject)
        absent_FRW = _absent(subject) if known else None
        if absent_FRW is not None:
            absent_TFR = np.moveaxis(absent_FRW[..., list(known.values())], -1, 0)
            falls_XT[:, list(known)] += self.concepts * concept_falls(absent_TFR, inside_XFHW)
        maps_TFHW = to_cells(falls_XT, shape, self.side)
        if absent_FRW is not None and self.closer and subject.frames == 1:
            concepts = list(known.values())
            odds_THW = closer_odds(subject.backend, subject.images[0], concepts, grid)
            if odds_THW is not None:
                maps_TFHW[list(known), 0] += self.closer * odds_THW
        return maps_TFHW


@dataclass(frozen=True, slots=True)
class PatchOcclusion:
    """Patches of the picture are blurred away before the encoder sees it, for any model.

    Slow, since every window takes a pass of the encoder.

    Attributes:
        side: of the windows in cells of a grid of 7 x 7.
    """

    side: int = 3

    @property
    def signature(self) -> str:
        """See :class:`~negah.evidence.methods.Evidence`."""
        return f"patches|windows {self.side}x{self.side} of {_PATCHES}x{_PATCHES}|by blur|log-odds"

    def check(self, backend: Backend) -> None:
        """Takes every model."""

    def maps(self, subject: Subject) -> FloatArray:
        """The fall of the log-odds, in nats; 7 x 7 cells."""
        clear = [np.asarray(image) for image in subject.images]
        away = [blurred(image) for image in clear]
        whole_FRC = subject.encode(subject.images)

        def without(inside_XFHW: BoolArray) -> Iterator[FloatArray]:
            for inside_FHW in inside_XFHW:
                # only the frames in the window are encoded again
                touched = [f for f, inside in enumerate(inside_FHW) if inside.any()]
                changed = [
                    Image.fromarray(replaced(inside_FHW[f], clear[f], away[f])) for f in touched
                ]
                features_FRC = whole_FRC.copy()
                features_FRC[touched] = subject.encode(changed)
                yield features_FRC

        shape = (subject.frames, _PATCHES, _PATCHES)
        inside_XFHW = windows(shape, self.side)
        falls_XT = _falls(subject, whole_FRC, without(inside_XFHW), len(inside_XFHW))
        return to_cells(falls_XT, shape, self.side)


def _falls(
    subject: Subject, whole_FRC: FloatArray, without: Iterable[FloatArray], count: int
) -> FloatArray:
    """By how much each window lowers the log-odds of each word, float32 (X, T).

    Args:
        subject: whose words.
        whole_FRC: features of the whole picture.
        without: features without each window.
        count: of the windows.
    """
    variants = itertools.chain([whole_FRC], without)
    odds_XT = log_odds(subject.logprobs(variants, 1 + count))
    return odds_XT[:1] - odds_XT[1:]


def _known(subject: Subject) -> dict[int, int]:
    """The places of the words that are concepts, and which each is."""
    known = {word: place for place, word in enumerate(subject.backend.sight.concepts)}
    texts = [subject.backend.tokenizer.tokens[token] for token in subject.tokens]
    return {t: known[text] for t, text in enumerate(texts) if text in known}


def _absent(subject: Subject) -> FloatArray | None:
    """For each concept log(1 - P) of the cells, (F, R, W).

    None for a model that cannot tell concepts cell by cell.
    """
    if not isinstance(subject.backend, ConceptLayer):
        return None
    return subject.backend.absent(subject.features_FRC)


def concept_falls(absent_TFR: FloatArray, inside_XFHW: BoolArray) -> FloatArray:
    """By how much windows lower the log-odds of concepts: float32 (X, T), in nats.

    A picture shows a concept if one of its cells does (noisy-or), and a clip what its surest frame
    shows; cells inside the window show nothing.
    """
    inside_XFR = inside_XFHW.reshape(*inside_XFHW.shape[:2], -1).astype(np.float32)
    whole_TF = absent_TFR.sum(2)
    rest_XTF = whole_TF - np.einsum("xfr,tfr->xtf", inside_XFR, absent_TFR)
    return np.asarray(_odds_of_absence(whole_TF.min(1)) - _odds_of_absence(rest_XTF.min(2)))


def _odds_of_absence(absent: FloatArray) -> FloatArray:
    """log P / (1 - P) of log(1 - P)."""
    return -log_odds(absent)


def log_odds(logprobs: FloatArray) -> FloatArray:
    """log p / (1 - p) of log p, in nats."""
    sure = np.minimum(logprobs, -_NEAREST)
    return np.asarray(sure - np.log(-np.expm1(sure)), np.float32)


def blurred(pixels_HW3: ByteArray) -> ByteArray:
    """A blurred picture in which only brightness and colour are recognisable."""
    radius = max(pixels_HW3.shape) * _BLUR
    return np.asarray(Image.fromarray(pixels_HW3).filter(ImageFilter.GaussianBlur(radius)))


def replaced(inside_HW: BoolArray, pixels_HW3: ByteArray, others_HW3: ByteArray) -> ByteArray:
    """A picture with the pixels of another one of its size inside some cells."""
    rows = np.arange(pixels_HW3.shape[0]) * inside_HW.shape[0] // pixels_HW3.shape[0]
    columns = np.arange(pixels_HW3.shape[1]) * inside_HW.shape[1] // pixels_HW3.shape[1]
    return np.where(inside_HW[rows][:, columns, None], others_HW3, pixels_HW3)


FEATURES = FeatureOcclusion()
CLOSER = FeatureOcclusion(closer=1.0)
PATCHES = PatchOcclusion()
