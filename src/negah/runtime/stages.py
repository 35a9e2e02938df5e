"""The stages of captioning a photo or clip: open, encode, search, detokenise.

A single model captions alone. Several are fused late: they read the same photo or clip, by
appearance or by motion, with as many frames as each is made for, and choose every word together.

Axes: N photos or clips, F frames, R regions (rows x columns of a grid), C channels, H rows and W
columns of pixels, T words, S phrases.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from negah.arrays import FloatArray
from negah.backends import Backend, Encoded, Widening
from negah.captions import Caption, Word
from negah.decoding import (
    DecodingOptions,
    FusedStepModel,
    Hypothesis,
    StepModel,
    Streams,
    Support,
    decode,
)
from negah.errors import MediaError, UsageError
from negah.media import MAX_PIXELS, OpenedImage, is_clip, read_image, to_rgb
from negah.runtime.lazy import LazyPhoto

if TYPE_CHECKING:
    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.runtime.seen import Judged

#: A path, the content of an image file, a Pillow image, an array uint8 (H, W) or (H, W, 3), or
#: what fetches the content of a file.
Photo: TypeAlias = (
    "str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8] | LazyPhoto"
)

#: Pictures that pass an encoder at once: its activations are most of the memory, and larger
#: batches are no faster on a CPU.
ENCODED_TOGETHER = 2

#: Longer side in pixels of a picture that is kept for drawing.
_KEPT_SIDE = 720

#: The warning of a caption whose confidence is below the calibration's threshold.
_DOUBTED = "the picture probably supports hardly any of this caption, and may not be a photograph"


@dataclass(frozen=True, slots=True)
class ClipSpan:
    """A part of a clip that is captioned by itself.

    Attributes:
        path: of the file.
        span: start and end in seconds.
    """

    path: str | os.PathLike[str]
    span: tuple[float, float]


def is_of_clip(photo: Any) -> bool:
    """Whether it is the path of a clip, or a part of one."""
    return isinstance(photo, ClipSpan) or (isinstance(photo, str | os.PathLike) and is_clip(photo))


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """A photo prepared for the encoders.

    Attributes:
        images: for each model that sees photos, the picture in its size, RGB: a third of the
            memory that its pixels take.
        warnings: what a caption of it should say, such as that half of it was missing.
        picture: the photo itself, RGB and small enough to be kept, where that was asked for.
    """

    images: tuple[Image.Image, ...]
    warnings: tuple[str, ...] = ()
    picture: Image.Image | None = None


def of_photos(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    """The models that can caption photos, that is, not motion models.

    Raises:
        UsageError: there are none.
    """
    found = tuple(backend for backend in backends if backend.sight.motion is None)
    if not found:
        names = " and ".join(backend.identity.source for backend in backends)
        raise UsageError(
            f"{names} captions clips by their motion, and a photo has none: give a clip, or "
            "caption photos with a model of appearance"
        )
    return found


def alone(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    """The same models, each with all cores for one photo."""
    return tuple(one.alone() if isinstance(one, Widening) else one for one in backends)


def check_decoding(options: DecodingOptions, backends: Sequence[Backend]) -> None:
    """Refuse options of decoding that do not suit the models.

    Raises:
        UsageError: captions are chosen by concepts, and no model tells any; or they may be longer
            than a model can take.
    """
    if options.support and not any(one.sight.concepts for one in backends):
        raise UsageError(
            f"support {options.support:g} chooses captions by concepts, and "
            f"{backends[0].identity.name} has none: leave it out, or use a model that does "
            "(trained with encoder.concepts=1000)"
        )
    first = next((one for one in backends if one.sight.concepts), backends[0])
    if options.expected_cider and first.sight.expected_cider is None:
        raise UsageError(
            f"expected_cider {options.expected_cider:g} chooses captions by a prediction of CIDEr, "
            f"and {first.identity.name} has none: leave it out, or fit its bundle with negah rerank"
        )
    for one in backends:
        most = one.sight.max_words
        if most is not None and options.max_length > most:
            raise UsageError(
                f"max_length is {options.max_length}, and {one.identity.name} can take "
                f"captions of {most} words at most: lower max_length"
            )


def see_photo(
    photo: Photo,
    backends: Sequence[Backend],
    *,
    max_pixels: int = MAX_PIXELS,
    keep_picture: bool = False,
) -> PreparedPhoto:
    """Open one photo and prepare it for each model.

    Args:
        photo: in any of its forms.
        backends: that see photos.
        max_pixels: of a file, see :func:`~negah.media.read_image`.
        keep_picture: whether the result has the picture, too.

    Raises:
        MediaError: it cannot be read.
        UsageError: the type of input is not supported.
    """
    opened = open_photo(photo, backends, max_pixels=max_pixels)
    return see_picture(opened, backends, keep_picture=keep_picture)


def open_photo(
    photo: Photo, backends: Sequence[Backend], *, max_pixels: int = MAX_PIXELS
) -> OpenedImage:
    """Open one photo, as large as a model wants it; for the rest see :func:`see_photo`."""
    if isinstance(photo, np.ndarray):
        return OpenedImage(_from_array(photo))
    if isinstance(photo, Image.Image):
        return OpenedImage(_from_pillow(photo))
    if isinstance(photo, str | bytes | os.PathLike):
        heights, widths = zip(*(backend.sight.size for backend in backends), strict=True)
        size = (max(heights), max(widths))
        return read_image(photo, max_pixels=max_pixels, target_size=size)
    if isinstance(photo, LazyPhoto):
        with photo.content() as content:
            return open_photo(content, backends, max_pixels=max_pixels)
    raise UsageError(
        "a photo is a path, the bytes of an image file, a Pillow image or an array, "
        f"not {type(photo).__name__}"
    )


def see_picture(
    opened: OpenedImage, backends: Sequence[Backend], *, keep_picture: bool = False
) -> PreparedPhoto:
    """Prepare an open photo for each model; for the arguments see :func:`see_photo`."""
    images = tuple(backend.resize(opened.image) for backend in backends)
    kept = None
    if keep_picture:
        kept = to_rgb(opened.image).copy()
        kept.thumbnail((_KEPT_SIDE, _KEPT_SIDE))
    return PreparedPhoto(images, opened.warnings, kept)


def _from_pillow(image: Image.Image) -> Image.Image:
    try:
        image.load()
    except Exception as error:
        # A Pillow image may not be decoded yet; its readers raise whatever they trip over.
        name = getattr(image, "filename", "") or "Pillow image"
        raise MediaError(name, f"cannot be decoded: {error}") from error
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image  # damaged EXIF says nothing


def _from_array(pixels: npt.NDArray[Any]) -> Image.Image:
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or colour) or 0 in pixels.shape:
        raise UsageError(
            "an array is a photo if it is uint8 of shape (height, width, 3) or (height, width), "
            f"not {pixels.dtype} {pixels.shape}"
        )
    return Image.fromarray(pixels)


def caption_photos(
    photos: Sequence[PreparedPhoto],
    backends: Sequence[Backend],
    decoding: DecodingOptions,
    ids: Sequence[int],
) -> list[Caption]:
    """The captions of some photos; for the arguments see :func:`decode_photos`."""
    found = decode_photos(photos, backends, decoding, ids)
    judged = judge_found(found, backends)
    first = backends[0]
    return [
        to_caption(hypotheses, first, judged=verdicts, warnings=photo.warnings)
        for photo, hypotheses, verdicts in zip(photos, found.hypotheses, judged, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class DecodedBatch:
    """The result of decoding photos or clips.

    Attributes:
        hypotheses: of each, best first.
        features_BFRC: of them by the first model.
        support: what an encoder says of words, if one does.
    """

    hypotheses: list[list[Hypothesis]]
    features_BFRC: FloatArray
    support: Support | None


def decode_photos(
    photos: Sequence[PreparedPhoto],
    backends: Sequence[Backend],
    decoding: DecodingOptions,
    ids: Sequence[int],
) -> DecodedBatch:
    """Decode some photos.

    Args:
        photos: as :func:`see_photo` gave them.
        backends: that see photos.
        decoding: how words are searched.
        ids: see ``photo_ids`` of :func:`~negah.decoding.decode`.
    """
    encoded = [
        join_encoded(
            backend.encode(backend.pixels(images[first : first + ENCODED_TOGETHER]))
            for first in range(0, len(images), ENCODED_TOGETHER)
        )
        for backend, images in zip(
            backends, zip(*(photo.images for photo in photos), strict=True), strict=True
        )
    ]
    features = [one.features[:, None] for one in encoded]
    support = support_of(backends, [one.concepts for one in encoded])
    return decode_features(backends, features, support, decoding, ids)


def join_encoded(parts: Iterable[Encoded]) -> Encoded:
    """Parts of a batch as one."""
    every = list(parts)
    concepts = [part.concepts for part in every if part.concepts is not None]
    return Encoded(
        np.concatenate([part.features for part in every]),
        np.concatenate(concepts) if concepts else None,
    )


def support_of(
    backends: Sequence[Backend], concepts: Sequence[FloatArray | None]
) -> Support | None:
    """The concepts of photos or clips, by the first model that has concepts."""
    for backend, concepts_BW in zip(backends, concepts, strict=True):
        if concepts_BW is not None:
            return Support(backend.sight.concepts, concepts_BW, backend.sight.expected_cider)
    return None


def decode_features(
    backends: Sequence[Backend],
    features: Sequence[FloatArray],
    support: Support | None,
    decoding: DecodingOptions,
    ids: Sequence[int],
) -> DecodedBatch:
    """Decode photos or clips, with the evidence of the first model.

    Args:
        backends: that caption together.
        features: of each, float32 (N, F, R, C); F, R and C may differ.
        support: what an encoder says of words, if one does.
        decoding: how words are searched.
        ids: see ``photo_ids`` of :func:`~negah.decoding.decode`.
    """
    first = backends[0]
    model: StepModel = first.model
    given: Any = features[0]
    if len(backends) > 1:
        model = FusedStepModel([backend.model for backend in backends])
        given = Streams(tuple(features), (None,) * len(backends))
    hypotheses = decode(
        model, given, decoding, vocabulary=first.tokenizer, photo_ids=ids, support=support
    )
    return DecodedBatch(hypotheses, features[0], support)


def judge_found(found: DecodedBatch, backends: Sequence[Backend]) -> list[list[Judged | None]]:
    """The calibrated support of captions; None for uncalibrated or fused models."""
    judge = backends[0].sight.judge
    if judge is None or len(backends) > 1:
        return [[None] * len(some) for some in found.hypotheses]
    concepts_BW = None if found.support is None else found.support.probabilities_BW
    return [list(some) for some in judge.judge(found.hypotheses, found.features_BFRC, concepts_BW)]


def to_caption(
    hypotheses: Sequence[Hypothesis],
    backend: Backend,
    times: tuple[float, ...] = (0.0,),
    judged: Sequence[Judged | None] = (),
    warnings: tuple[str, ...] = (),
) -> Caption:
    """The best hypothesis as a caption, the others as its alternatives.

    Args:
        hypotheses: of one photo or clip, best first; at least one.
        backend: that wrote them.
        times: of the frames, in seconds.
        judged: how far each is supported; None, or nothing at all, where nobody has told.
        warnings: of the photo or clip.
    """
    vocabulary, grid = backend.tokenizer, backend.sight.grid
    best, *others = (
        Caption(
            times=times,
            language=backend.identity.language,
            text=vocabulary.decode(hypothesis.tokens),
            score=hypothesis.score,
            logprob=sum(hypothesis.logprobs),
            words=tuple(
                _word(hypothesis, t, vocabulary.tokens[token], grid, verdict)
                for t, token in enumerate(hypothesis.tokens)
            ),
            confidence=None if verdict is None else verdict.confidence,
        )
        for hypothesis, verdict in zip_longest(hypotheses, judged)
    )
    if judged and judged[0] is not None and judged[0].doubted:
        warnings = (*warnings, _DOUBTED)
    return replace(best, alternatives=tuple(others), warnings=warnings)


def _word(
    hypothesis: Hypothesis,
    t: int,
    text: str,
    grid: tuple[int, int] | None,
    verdict: Judged | None,
) -> Word:
    gate_T = hypothesis.evidence.get("gate")
    regions_TFR = hypothesis.evidence.get("regions")
    frames_TF = hypothesis.evidence.get("frames")
    phrases_TS = hypothesis.evidence.get("phrases")
    return Word(
        text=text,
        logprob=hypothesis.logprobs[t],
        gate=None if gate_T is None else float(gate_T[t]),
        regions=(
            None if regions_TFR is None or grid is None else regions_TFR[t].reshape(-1, *grid)
        ),
        frames=None if frames_TF is None else frames_TF[t],
        # Before word t stand t words and the start token: no phrase is longer than that.
        phrases=None if phrases_TS is None else phrases_TS[t, : t + 1],
        seen=None if verdict is None else verdict.seen[t],
    )
