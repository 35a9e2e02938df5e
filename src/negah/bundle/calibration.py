"""The calibration of a model: ``calibration.json`` and ``references.npy``.

:mod:`negah.runtime.seen` computes ``seen`` and ``confidence`` from both files. They are part of a
bundle, or in a separate folder for any model (:mod:`negah.runtime.calibrated`). Without them, words
have no ``seen`` and captions no ``confidence``. The files are untrusted: names, sizes and numbers
are checked before anything is computed.

Axes: V vocabulary, W concepts, P reference pictures, R regions, C channels, M measures, T terms.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from negah.arrays import FloatArray, HalfArray
from negah.errors import BundleError, UsageError
from negah.options import Options

CALIBRATION_FILE = "calibration.json"
REFERENCES_FILE = "references.npy"

MAX_REFERENCES = 16
MAX_LEXICON = 100_000
_MAX_BYTES = 16 * 2**20
#: Of bytes before the numbers of a ``.npy`` file.
_MAX_HEADER = 4096

Coefficient = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Scale = Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]

#: What is measured of a word; see :mod:`negah.runtime.seen`.
WordMeasure = Literal[
    "logprob", "lift", "least_lift", "gate", "concept", "no_concept", "contrast", "agreed",
    "thing", "person", "position", "length", "caption_logprob", "other_concepts", "concept_mass",
]  # fmt: skip
#: What is measured of a caption.
CaptionMeasure = Literal[
    "product", "least", "mean", "words", "logprob", "lift", "concept_mass", "top_concept",
    "concept_entropy", "distance", "variety",
]  # fmt: skip


class Logistic(Options):
    """A probability: 1 / (1 + exp(-(intercept + sum of weight x term))).

    A term is a measure or the product of two. Each measure is standardised with its mean and scale,
    and clipped to [-4, 4], so that no single measure decides the result.
    """

    measures: tuple[str, ...] = Field(max_length=40, description="The M measures.")
    means: tuple[Coefficient, ...] = Field(max_length=40, description="Of each.")
    scales: tuple[Scale, ...] = Field(max_length=40, description="Of each.")
    terms: tuple[tuple[Annotated[int, Field(ge=0, lt=40)], ...], ...] = Field(
        max_length=400, description="Places of the measures that are multiplied: one or two."
    )
    weights: tuple[Coefficient, ...] = Field(max_length=400, description="Of each term.")
    intercept: Coefficient = Field(description="Added to their sum.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if not len(self.measures) == len(self.means) == len(self.scales):
            raise ValueError("measures, means and scales are as many")
        if len(set(self.measures)) < len(self.measures):
            raise ValueError("a measure stands twice")
        if len(self.terms) != len(self.weights):
            raise ValueError("terms and weights are as many")
        if any(not 1 <= len(term) <= 2 or max(term) >= len(self.measures) for term in self.terms):
            raise ValueError("a term is one measure or two")
        return self


class WordRegression(Logistic):
    """The probability that the picture supports a word."""

    measures: tuple[WordMeasure, ...] = Field(max_length=40, description="The M measures.")


class CaptionRegression(Logistic):
    """The probability that the picture supports all content words of a caption."""

    measures: tuple[CaptionMeasure, ...] = Field(max_length=40, description="The M measures.")


class CalibrationSpec(Options):
    """The whole of ``calibration.json``."""

    words: WordRegression
    captions: CaptionRegression
    photographs: CaptionRegression = Field(
        description="The probability that it is a photograph at all; confidence is the product."
    )
    lexicon: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        default=(),
        max_length=MAX_LEXICON,
        description="Of a model that writes pieces of words: the words that the next three tables "
        "are of, in the place of its V tokens.",
    )
    unlisted: Coefficient = Field(
        default=0.0, description="What 'agreed' is of words that are not in the lexicon."
    )
    agreed: tuple[Coefficient, ...] = Field(
        max_length=1_000_000,
        description="Of the V tokens: the log-odds that when one person says it of a photo, "
        "another one does.",
    )
    kin: tuple[Annotated[int, Field(ge=-1, lt=10_000)], ...] = Field(
        max_length=1_000_000,
        description="Of the V tokens: the place of the concept that speaks for it, its own or "
        "that of a word of its stem; -1: there is none.",
    )
    sorts: tuple[Annotated[int, Field(ge=-1, le=2)], ...] = Field(
        max_length=1_000_000,
        description="Of the V tokens: -1 is no content word; of the others 2 names people, 1 "
        "another of COCO's categories, 0 something else.",
    )
    rates: tuple[Coefficient, ...] = Field(
        max_length=10_000, description="Of the W concepts: the mean of its log-odds over photos."
    )
    centre: tuple[Coefficient, ...] = Field(
        max_length=65_536, description="Of the C channels: the mean of photos."
    )
    spread: tuple[Scale, ...] = Field(
        max_length=65_536, description="Of the C channels: the standard deviation of photos."
    )
    threshold: Probability = Field(
        description="Captions with less confidence are most likely of no photograph."
    )
    references: int = Field(
        default=0, ge=0, le=MAX_REFERENCES, description="P, reference pictures."
    )
    fitted_on: str = Field(max_length=20_000, description="Which captions it was fitted on.")

    def complaints(self, *, vocabulary: int, concepts: int, channels: int) -> list[str]:
        """Mismatches with a model of V tokens, W concepts and C channels."""
        words = len(self.lexicon) or vocabulary
        sizes = {
            "agreed": (len(self.agreed), words),
            "kin": (len(self.kin), words),
            "sorts": (len(self.sorts), words),
            "rates": (len(self.rates), concepts),
            "centre": (len(self.centre), channels),
            "spread": (len(self.spread), channels),
        }
        wrong = [f"{name} has {n} numbers, not {m}" for name, (n, m) in sizes.items() if n != m]
        if len(set(self.lexicon)) < len(self.lexicon):
            wrong.append("a word stands twice in the lexicon")
        if max(self.kin, default=-1) >= concepts:
            wrong.append(f"kin names concept {max(self.kin)} of {concepts}")
        return wrong


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A calibration, checked against its model.

    Attributes:
        spec: its numbers.
        references_PRC: features of pictures that stand in for the one that is captioned, float32.
    """

    spec: CalibrationSpec
    references_PRC: FloatArray


def read_calibration(
    folder: Path, *, vocabulary: int, concepts: int, regions: int, channels: int
) -> Calibration:
    """Read and check the two files of a calibration.

    Args:
        folder: of the files; their checksums have been compared.
        vocabulary, concepts, regions, channels: V, W, R and C of the model.

    Raises:
        BundleError: it is damaged, or belongs to another model.
    """
    file = folder / CALIBRATION_FILE
    if file.stat().st_size > _MAX_BYTES:
        raise BundleError(f"{CALIBRATION_FILE} is larger than {_MAX_BYTES:,} bytes")
    try:
        values = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{CALIBRATION_FILE} is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise BundleError(f"{CALIBRATION_FILE} holds no object")
    try:
        spec = CalibrationSpec.parse(values, where=CALIBRATION_FILE)
    except (UsageError, RecursionError) as error:
        raise BundleError(str(error).rstrip(".")[:2000]) from None
    wrong = spec.complaints(vocabulary=vocabulary, concepts=concepts, channels=channels)
    if wrong:
        raise BundleError(f"{CALIBRATION_FILE} is of another model: {'; '.join(wrong)}")
    shape = (spec.references, regions, channels)
    return Calibration(spec, _read_references(folder / REFERENCES_FILE, shape))


def _read_references(file: Path, shape: tuple[int, int, int]) -> FloatArray:
    if not shape[0]:
        return np.zeros(shape, np.float32)
    wanted = int(np.prod(shape)) * 2
    if not file.is_file() or not wanted < file.stat().st_size <= wanted + _MAX_HEADER:
        raise BundleError(
            f"{REFERENCES_FILE} holds no float16 numbers of shape {shape}, as {CALIBRATION_FILE} "
            "says"
        )
    try:
        stored: HalfArray = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise BundleError(f"{REFERENCES_FILE} is no array ({error})") from None
    if stored.dtype != np.dtype("<f2") or stored.shape != shape:
        raise BundleError(
            f"{REFERENCES_FILE} holds {stored.dtype} {stored.shape}, not float16 {shape}"
        )
    references_PRC = np.array(stored, np.float32, order="C")
    if not np.isfinite(references_PRC).all():
        raise BundleError(f"{REFERENCES_FILE} holds numbers that are not finite")
    return references_PRC
