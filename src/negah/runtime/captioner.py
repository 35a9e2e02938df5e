"""Photos in, captions with evidence out.

Photos are opened and preprocessed in threads while the batch before them is encoded and
decoded; ONNX Runtime and Pillow let go of Python's lock while they work.

Axes: N photos, H rows and W columns of pixels, R regions, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from negah.bundle import read_bundle
from negah.captions import Caption
from negah.decoding import DecodingOptions, decode
from negah.decoding.protocol import FloatArray
from negah.errors import BundleError, MediaError, UsageError
from negah.media import Preprocessing, open_image
from negah.runtime.bundled import find_bundle
from negah.runtime.options import RuntimeOptions
from negah.runtime.pipeline import batched, map_ahead
from negah.runtime.session import OnnxEncoder, OnnxStepModel
from negah.runtime.words import to_caption

#: A path, the content of an image file, a Pillow image, or an array uint8 (H, W) or (H, W, 3).
Photo: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8]"

OnError = Literal["raise", "report"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one photo.

    Attributes:
        photo: as it was given.
        caption: its caption; None if it could not be read.
        error: why not; None if it could.
    """

    photo: Photo
    caption: Caption | None
    error: MediaError | None


class Captioner:
    """A bundle, ready to caption. It may be used from several threads.

    Args:
        model: the name of a model in the package, or the folder of a bundle; None for the
            default model. See :func:`~negah.runtime.find_bundle`.
        options: fields of :class:`~negah.runtime.RuntimeOptions`.

    Attributes:
        bundle: what was loaded.
        options: how it is run.

    Raises:
        UsageError: there is no such model, or an option is wrong.
        BundleError: the bundle is damaged, or is for clips.
    """

    def __init__(self, model: str | os.PathLike[str] | None = None, **options: Any) -> None:
        self.options = RuntimeOptions.parse(options, where="captioner")
        self.bundle = read_bundle(find_bundle(model))
        config = self.bundle.config
        if config.frames != 1:
            raise BundleError(
                f"{self.bundle.path} captions clips of {config.frames} frames; "
                "this captioner takes photos, so load a bundle for photos"
            )
        self._grid = (config.encoder.rows, config.encoder.columns)
        self._encoder = OnnxEncoder(self.bundle, threads=self.options.threads)
        self._model = OnnxStepModel(self.bundle, threads=self.options.threads)

    def caption(self, photo: Photo, **decoding: Any) -> Caption:
        """Caption one photo.

        Args:
            photo: a path, the bytes of an image file, a Pillow image (turned upright as its
                EXIF orientation says), or an array uint8 (H, W, 3) or (H, W).
            decoding: fields of :class:`~negah.decoding.DecodingOptions` that replace the
                bundle's defaults. ``n_best`` widens the beam where ``beam`` is not given.

        Raises:
            MediaError: the photo cannot be read.
            UsageError: an option is wrong.
        """
        options = self.decoding_options(decoding)
        pixels_3HW = to_pixels(photo, self.bundle.config.preprocessing)
        return self._caption_batch(pixels_3HW[None], options, [0])[0]

    def caption_many(
        self,
        photos: Iterable[Photo],
        *,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        **decoding: Any,
    ) -> Iterator[Result]:
        """Caption photos as they come, in batches, and give the results in their order.

        Args:
            photos: as in :meth:`caption`; may be endless. Two batches are read ahead.
            batch_size: photos that are captioned together; by default that of ``options``.
            on_error: "raise" stops at a photo that cannot be read; "report" gives a result
                with its ``error`` and goes on.
            decoding: as in :meth:`caption`.

        Raises:
            MediaError: a photo cannot be read, with "raise"; after the results before it.
            UsageError: an option is wrong; raised here, before the first result is asked for.
        """
        options = self.decoding_options(decoding)
        if on_error not in ("raise", "report"):
            raise UsageError(f"on_error is 'raise' or 'report', not {on_error!r}")
        size = self.options.batch_size if batch_size is None else batch_size
        if size < 1:
            raise UsageError(f"batch_size is 1 or more, not {size}")
        return self._caption_many(photos, size, on_error, options)

    def decoding_options(self, replacements: dict[str, Any]) -> DecodingOptions:
        """The bundle's decoding options with some replaced.

        Raises:
            UsageError: an unknown option, a wrong value, or a contradiction.
        """
        defaults = self.bundle.config.decoding
        values = {**defaults.model_dump(), **replacements}
        n_best = replacements.get("n_best")
        if "beam" not in replacements and isinstance(n_best, int) and values["method"] == "beam":
            values["beam"] = max(defaults.beam, n_best)
        return DecodingOptions.parse(values, where="decoding options")

    def _caption_many(
        self, photos: Iterable[Photo], size: int, on_error: OnError, options: DecodingOptions
    ) -> Iterator[Result]:
        preprocessing = self.bundle.config.preprocessing

        def prepare(photo: Photo) -> tuple[Photo, FloatArray | MediaError]:
            try:
                return photo, to_pixels(photo, preprocessing)
            except MediaError as error:
                return photo, error

        first = 0
        prepared = map_ahead(prepare, photos, threads=self.options.readers, ahead=2 * size)
        for batch in batched(prepared, size):
            readable = [
                (first + place, pixels)
                for place, (_, pixels) in enumerate(batch)
                if not isinstance(pixels, MediaError)
            ]
            captions: list[Caption] = []
            if readable:
                places, pixels_3HW = zip(*readable, strict=True)
                captions = self._caption_batch(np.stack(pixels_3HW), options, places)
            coming = iter(captions)
            for photo, pixels in batch:
                if not isinstance(pixels, MediaError):
                    yield Result(photo, next(coming), None)
                elif on_error == "raise":
                    raise pixels
                else:
                    yield Result(photo, None, pixels)
            first += len(batch)

    def _caption_batch(
        self, pixels_N3HW: FloatArray, options: DecodingOptions, photo_ids: Sequence[int]
    ) -> list[Caption]:
        features_NRC = self._encoder.encode(pixels_N3HW)
        tokenizer = self.bundle.tokenizer
        found = decode(
            self._model,
            features_NRC[:, None],
            options,
            tokens=tokenizer.tokens,
            photo_ids=photo_ids,
        )
        return [to_caption(hypotheses, tokenizer, self._grid) for hypotheses in found]


def to_pixels(photo: Photo, preprocessing: Preprocessing) -> FloatArray:
    """Open and preprocess one photo: float32 (3, H, W).

    Raises:
        MediaError: it cannot be read.
        UsageError: it is nothing that can be a photo.
    """
    if isinstance(photo, np.ndarray):
        image = _from_array(photo)
    elif isinstance(photo, Image.Image):
        image = _from_pillow(photo)
    elif isinstance(photo, str | bytes | os.PathLike):
        image = open_image(photo, target_size=preprocessing.size)
    else:
        raise UsageError(
            "a photo is a path, the bytes of an image file, a Pillow image or an array, "
            f"not {type(photo).__name__}"
        )
    return preprocessing.apply(image)


def _from_pillow(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:
        # A Pillow image may not be decoded yet; its readers raise whatever they trip over.
        name = getattr(image, "filename", "") or "Pillow image"
        raise MediaError(name, f"cannot be decoded: {error}") from error


def _from_array(pixels: npt.NDArray[Any]) -> Image.Image:
    grey, colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (grey or colour) or 0 in pixels.shape:
        raise UsageError(
            "an array is a photo if it is uint8 of shape (height, width, 3) or (height, width), "
            f"not {pixels.dtype} {pixels.shape}"
        )
    return Image.fromarray(pixels)
