"""Fitting the prediction of CIDEr by which the candidates of a beam are ranked again.

For every n-gram of the training captions, a ridge regression predicts the mean, over a photo's
references, of its weight in their unit vectors (:class:`negah.decoding.ExpectedCider`). It reads
the square roots of the probabilities of the encoder's concepts. The regression's matrix is replaced
by one of lower rank that changes the predictions on the training photos least.

Axes: N photos, W concepts, G n-grams, L rank, E pairs of an n-gram and a photo captioned with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from negah.arrays import DoubleArray, FloatArray, IntArray
from negah.backends import Encoded
from negah.bundle import Bundle
from negah.bundle.expected_cider import EXPECTED_CIDER_FILE, write_expected_cider
from negah.bundle.revise import revise_bundle
from negah.data import Example
from negah.decoding.decoder import MAX_ORDER, ExpectedCider, count_grams
from negah.errors import DataError, MediaError, UsageError
from negah.media import MAX_PIXELS
from negah.options import Options
from negah.pipeline import batched, map_ahead
from negah.runtime.isolation import isolate_errors
from negah.runtime.onnx import OnnxBackend
from negah.runtime.stages import ENCODED_TOGETHER, PreparedPhoto, see_photo
from negah.text import PAD

#: Pairs (E) whose rows are held together.
_PAIRS = 16_384
_LARGEST = 127
_LEAST = 1e-6


class RerankOptions(Options):
    """Options of the fit."""

    rank: int = Field(256, ge=1, le=4096, description="L, the rank of the regression's matrix.")
    min_photos: int = Field(
        10, ge=1, description="N-grams of the captions of fewer photos are left out."
    )
    ridge: float = Field(10.0, gt=0, description="Weight of the squared coefficients.")
    max_pixels: int = Field(MAX_PIXELS, ge=1, description="Larger files are not read.")


@dataclass(frozen=True, slots=True, eq=False)
class Reranking:
    """The fitted prediction.

    Attributes:
        expected: predicts CIDEr.
        photos: N.
        unread: names of the photos that could not be read.
    """

    expected: ExpectedCider
    photos: int
    unread: tuple[str, ...]


def refuse_without_concepts(backend: OnnxBackend) -> None:
    """Refuse a model for which nothing can be fitted.

    Raises:
        UsageError: it has no concepts.
    """
    if not backend.sight.concepts:
        raise UsageError(
            f"{backend.identity.name} has no concepts to predict CIDEr from: use a model that was "
            "trained with encoder.concepts=1000"
        )


def fit_reranking(
    backend: OnnxBackend,
    examples: Sequence[Example],
    options: RerankOptions | None = None,
    *,
    progress: Callable[[], None] = lambda: None,
) -> Reranking:
    """Fit the prediction of CIDEr on captioned photos.

    Args:
        backend: a bundle with concepts.
        examples: of the part train; clips are left out.
        options: of the fit.
        progress: called for every photo that has been encoded.

    Raises:
        UsageError: the model has no concepts.
        DataError: too few photos can be read, or their captions have no n-gram in common.
    """
    options = options or RerankOptions()
    refuse_without_concepts(backend)
    photos = [example for example in examples if example.captions and not example.is_clip]
    kept, probabilities_NW, unread = _encode(backend, photos, options.max_pixels, progress)
    if len(kept) < 2:
        raise DataError(f"{len(kept)} photos with captions can be read; give two or more")
    encode = backend.tokenizer.encode
    captions = [[encode(caption) for caption in example.captions] for example in kept]
    expected = fit_expected_cider(captions, probabilities_NW, options)
    return Reranking(expected, len(kept), unread)


def save_reranking(bundle: Bundle, expected: ExpectedCider, folder: str | Path) -> Bundle:
    """Write a bundle with a prediction of CIDEr; an earlier one is replaced.

    Scores on its card that were measured with the earlier one are left out.

    Args:
        bundle: the model; it may be in ``folder``, which is then replaced in one step.
        expected: of this model.
        folder: of the result.

    Raises:
        UsageError: ``folder`` contains something other than a bundle.
        BundleError: the prediction does not fit the model.
    """
    config = bundle.config
    return revise_bundle(
        bundle,
        folder,
        write_others=lambda target: write_expected_cider(expected, target / EXPECTED_CIDER_FILE),
        scores=() if config.decoding.expected_cider else config.scores,
    )


def fit_expected_cider(
    captions: Sequence[Sequence[Sequence[int]]],
    probabilities_NW: FloatArray,
    options: RerankOptions,
) -> ExpectedCider:
    """Fit the prediction on token ids and probabilities.

    Args:
        captions: the token ids of the captions of each photo; one caption or more.
        probabilities_NW: of the concepts.
        options: of the fit.

    Raises:
        DataError: no n-gram occurs in the captions of ``min_photos`` photos.
    """
    counted = [[count_grams(caption) for caption in some] for some in captions]
    frequencies = Counter(
        gram for some in counted for gram in {g for one in some for grams in one for g in grams}
    )
    grams = sorted(
        (gram for gram, photos in frequencies.items() if photos >= options.min_photos),
        key=lambda gram: (len(gram), gram),
    )
    if not grams:
        raise DataError(
            f"no n-gram occurs in the captions of {options.min_photos} photos: give more photos, "
            "or a lower --min-photos"
        )
    idf = {gram: math.log(len(captions) / photos) for gram, photos in frequencies.items()}
    places = {gram: place for place, gram in enumerate(grams)}
    targets = _targets(counted, idf, places)
    roots_NW = np.sqrt(np.clip(probabilities_NW, 0, 1)).astype(np.float64)
    usual_G, left_GL, mixing_LW = _regress(roots_NW, targets, len(grams), options)
    scales_G = np.maximum(np.abs(left_GL).max(1), _LEAST**2) / _LARGEST
    padded = [(*gram, *[PAD] * (MAX_ORDER - len(gram))) for gram in grams]
    return ExpectedCider(
        grams_G4=np.array(padded, np.int64),
        idf_G=np.array([idf[gram] for gram in grams], np.float32),
        usual_G=usual_G.astype(np.float32),
        vectors_GL=np.rint(left_GL / scales_G[:, None]).astype(np.int8),
        scales_G=scales_G.astype(np.float32),
        mixing_LW=mixing_LW.astype(np.float32),
        photos=len(captions),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Targets:
    """What is predicted, where it is not 0, in the order of n-grams.

    Attributes:
        grams_E: the place of the n-gram.
        photos_E: the photo.
        weights_E: the mean weight of the n-gram in the unit vectors of the photo's captions.
    """

    grams_E: IntArray
    photos_E: IntArray
    weights_E: DoubleArray


def _targets(
    counted: Sequence[Sequence[Sequence[Counter[tuple[int, ...]]]]],
    idf: dict[tuple[int, ...], float],
    places: dict[tuple[int, ...], int],
) -> _Targets:
    pairs: list[tuple[int, int, float]] = []
    for photo, some in enumerate(counted):
        weights: Counter[int] = Counter()
        for grams in (grams for one in some for grams in one):
            norm = math.sqrt(sum((n * idf[gram]) ** 2 for gram, n in grams.items()))
            for gram, n in grams.items():
                if norm and gram in places:
                    weights[places[gram]] += n * idf[gram] / norm / len(some)  # type: ignore[assignment]
        pairs += [(place, photo, weight) for place, weight in weights.items()]
    pairs.sort()
    grams_E, photos_E, weights_E = zip(*pairs, strict=True) if pairs else ((), (), ())
    return _Targets(np.array(grams_E, np.int64), np.array(photos_E, np.int64), np.array(weights_E))


def _regress(
    roots_NW: DoubleArray, targets: _Targets, grams: int, options: RerankOptions
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Intercepts (G,) and the two factors (G, L) and (L, W) of the coefficients.

    With centred inputs X, targets Y and C = X'X / N, the coefficients are
    B = Y'X (X'X + ridge I)^-1, and the rank is lowered by the largest singular vectors of B S with
    S S' = C, so that the squared change of the predictions is least (C. Eckart and G. Young, 1936).
    """
    mean_W = roots_NW.mean(0)
    centred_NW = roots_NW - mean_W
    size = centred_NW.shape[1]
    covered_GW = np.zeros((grams, size))
    for first in range(0, len(targets.grams_E), _PAIRS):
        part = slice(first, first + _PAIRS)
        rows_EW = centred_NW[targets.photos_E[part]] * targets.weights_E[part, None]
        own_E = targets.grams_E[part]
        starts = np.flatnonzero(np.diff(own_E, prepend=-1))
        covered_GW[own_E[starts]] += np.add.reduceat(rows_EW, starts)
    moments_WW = centred_NW.T @ centred_NW
    ridged_WW = moments_WW + options.ridge * np.eye(size)
    coefficients_GW = np.linalg.solve(ridged_WW, covered_GW.T).T
    usual_G = np.bincount(targets.grams_E, targets.weights_E, grams) / len(roots_NW)
    shaped_WW = np.linalg.cholesky(moments_WW / len(roots_NW) + _LEAST * np.eye(size))
    whole_GW = coefficients_GW @ shaped_WW
    _, vectors_WW = np.linalg.eigh(whole_GW.T @ whole_GW)
    kept_WL = vectors_WW[:, -min(options.rank, size) :]
    left_GL = whole_GW @ kept_WL
    mixing_LW = np.linalg.solve(shaped_WW.T, kept_WL).T
    return usual_G - left_GL @ (mixing_LW @ mean_W), left_GL, mixing_LW


def _encode(
    backend: OnnxBackend,
    examples: Sequence[Example],
    max_pixels: int,
    progress: Callable[[], None],
) -> tuple[list[Example], FloatArray, tuple[str, ...]]:
    """The photos that can be read, their concepts, and the names of the others."""

    def see(example: Example) -> PreparedPhoto | None:
        try:
            return see_photo(example.path, [backend], max_pixels=max_pixels)
        except MediaError:
            return None

    def encode(some: Sequence[tuple[PreparedPhoto, Example]]) -> Encoded:
        return backend.encode(backend.pixels([one.images[0] for one, _ in some]))

    kept: list[Example] = []
    unread: list[str] = []
    found: list[FloatArray] = []
    looked = map_ahead(see, examples, threads=2, ahead=2 * ENCODED_TOGETHER)
    for batch in batched(zip(examples, looked, strict=True), ENCODED_TOGETHER):
        unread += [example.name for example, one in batch if one is None]
        opened = [(one, example) for example, one in batch if one is not None]
        for some, encoded in isolate_errors(opened, encode) if opened else ():
            if isinstance(encoded, MediaError):
                unread += [example.name for _, example in some]
                continue
            assert encoded.concepts is not None
            kept += [example for _, example in some]
            found.append(encoded.concepts)
        for _ in batch:
            progress()
    every_NW = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
    return kept, every_NW, tuple(unread)
