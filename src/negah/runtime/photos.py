"""One photo, in whatever form it is given -> the pixels that an encoder reads.

Axes: H rows and W columns of pixels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from negah.arrays import FloatArray
from negah.errors import MediaError, UsageError
from negah.media import MAX_PIXELS, OpenedImage, Preprocessing, read_image

#: A path, the content of an image file, a Pillow image, or an array uint8 (H, W) or (H, W, 3).
Photo: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8]"


@dataclass(frozen=True, slots=True)
class ClipPart:
    """A part of a clip, to be captioned as if it were all of it.

    Attributes:
        path: of the file.
        span: from when to when, in seconds.
    """

    path: str | os.PathLike[str]
    span: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """One photo as an encoder reads it.

    Attributes:
        pixels_3HW: float32.
        warnings: what a caption of it should say, such as that half of it was missing.
    """

    pixels_3HW: FloatArray
    warnings: tuple[str, ...] = ()


def see(photo: Photo, preprocessing: Preprocessing, max_pixels: int = MAX_PIXELS) -> Seen:
    """Open and preprocess one photo.

    Args:
        photo: in any of its forms.
        preprocessing: of the encoder.
        max_pixels: of a file, see :func:`~negah.media.read_image`.

    Raises:
        MediaError: it cannot be read.
        UsageError: it is nothing that can be a photo.
    """
    if isinstance(photo, np.ndarray):
        opened = OpenedImage(_from_array(photo))
    elif isinstance(photo, Image.Image):
        opened = OpenedImage(_from_pillow(photo))
    elif isinstance(photo, str | bytes | os.PathLike):
        opened = read_image(photo, max_pixels=max_pixels, target_size=preprocessing.size)
    else:
        raise UsageError(
            "a photo is a path, the bytes of an image file, a Pillow image or an array, "
            f"not {type(photo).__name__}"
        )
    return Seen(preprocessing.apply(opened.image), opened.warnings)


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
