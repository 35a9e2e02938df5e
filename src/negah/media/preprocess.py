"""Preprocessing of a photo or frame for an encoder.

Pictures of any mode are converted to RGB. The same object is used in training and at run time, and
its options are stored in the bundle, so that both get the same pixels. Resizing is Pillow's, which
widens the filter when it shrinks (antialiasing).

Axes: N images, 3 colours (red, green, blue), H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from negah.arrays import FloatArray
from negah.options import Options

#: What a reader may note in the ``info`` of a picture in 16-bit grey or fractions: how many of
#: the bits count, and that white is the least value.
GREY_BITS, WHITE_IS_ZERO = "negah: bits of grey", "negah: white is zero"

Interpolation = Literal["bilinear", "bicubic", "lanczos"]
ResizeMode = Literal["squash", "crop", "pad"]

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_Side = Annotated[int, Field(ge=1, le=16_384)]
_Mean = Annotated[float, Field(ge=0, le=1)]
_Std = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Preprocessing(Options):
    """Size and normalisation of an encoder's input.

    ``mean`` and ``std`` are in units of the full range, 0 to 1, as in timm: the
    ImageNet mean of red is 0.485, not 123.675.
    """

    height: _Side = Field(description="Rows of the result, in pixels.")
    width: _Side = Field(description="Columns of the result, in pixels.")
    mean: tuple[_Mean, _Mean, _Mean] = Field(
        description="Subtracted from red, green, blue, on a scale of 0 to 1."
    )
    std: tuple[_Std, _Std, _Std] = Field(
        description="Divides red, green, blue after the subtraction, on a scale of 0 to 1."
    )
    interpolation: Interpolation = Field(
        default="bicubic", description="Resizing filter; all are antialiased."
    )
    fit: ResizeMode = Field(
        default="squash",
        description="squash: resize both sides, ignoring the aspect; crop: the largest centred "
        "part of the right aspect; pad: the whole picture, centred on the mean colour.",
    )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels, as in arrays. Pillow's sizes are the other way round."""
        return (self.height, self.width)

    def resize(self, image: Image.Image) -> Image.Image:
        """The RGB picture of ``size`` that :meth:`apply` normalises."""
        rgb = to_rgb(image)
        if self.fit == "crop":
            return self._resize(rgb, self.width, self.height, box=self._centre(rgb))
        if self.fit == "pad":
            return self._letterbox(rgb)
        return self._resize(rgb, self.width, self.height)

    def apply(self, image: Image.Image) -> FloatArray:
        """Resize and normalise one picture.

        Args:
            image: any mode; other modes than RGB are converted as
                :func:`~to_rgb` does.

        Returns:
            float32 (3, height, width): ``(x / 255 - mean) / std`` per colour.
        """
        pixels_3HW = np.empty((3, *self.size), dtype=np.float32)
        self._normalise(image, pixels_3HW)
        return pixels_3HW

    def to_pixels_NCHW(self, images: Sequence[Image.Image]) -> FloatArray:  # noqa: N802 - axes
        """:meth:`apply` to each picture, stacked: float32 (N, 3, height, width)."""
        pixels_N3HW = np.empty((len(images), 3, *self.size), dtype=np.float32)
        for image, pixels_3HW in zip(images, pixels_N3HW, strict=True):
            self._normalise(image, pixels_3HW)
        return pixels_N3HW

    def _normalise(self, image: Image.Image, out_3HW: FloatArray) -> None:
        bytes_HW3 = np.asarray(self.resize(image))
        std = np.array(self.std)
        scale = (1 / (255 * std)).astype(np.float32)
        offset = (np.array(self.mean) / std).astype(np.float32)
        np.multiply(bytes_HW3.transpose(2, 0, 1), scale[:, None, None], out=out_3HW)
        np.subtract(out_3HW, offset[:, None, None], out=out_3HW)

    def _resize(
        self,
        image: Image.Image,
        width: int,
        height: int,
        box: tuple[float, float, float, float] | None = None,
    ) -> Image.Image:
        return image.resize((width, height), _RESAMPLING[self.interpolation], box=box)

    def _centre(self, image: Image.Image) -> tuple[float, float, float, float]:
        """The largest centred box of the right aspect: left, top, right, bottom.

        Resizing this box, rather than the whole picture and cropping then, bounds the
        memory for a picture that is thousands of times as long as it is high.
        """
        scale = max(self.width / image.width, self.height / image.height)
        width = min(self.width / scale, image.width)
        height = min(self.height / scale, image.height)
        left = (image.width - width) / 2
        top = (image.height - height) / 2
        return (left, top, left + width, top + height)

    def _letterbox(self, image: Image.Image) -> Image.Image:
        scale = min(self.width / image.width, self.height / image.height)
        width = min(self.width, max(1, round(image.width * scale)))
        height = min(self.height, max(1, round(image.height * scale)))
        red, green, blue = (round(255 * mean) for mean in self.mean)
        canvas = Image.new("RGB", (self.width, self.height), (red, green, blue))
        inside = self._resize(image, width, height)
        canvas.paste(inside, ((self.width - width) // 2, (self.height - height) // 2))
        return canvas


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB, 8 bits a colour.

    Alpha, of the mode or of a palette, is composited on white. 16-bit grey is divided by 257,
    unless its reader set :data:`GREY_BITS` or :data:`WHITE_IS_ZERO`. Other grey numbers (modes
    ``I`` and ``F``) keep their meaning where it is unambiguous: integers up to 65535 are 16-bit
    grey, fractions from 0 to 1 span black to white, fractions from 0 to 255 are 8-bit grey;
    anything else is stretched from its least to its greatest value.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_to_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey_to_8_bit(image: Image.Image) -> Image.Image:
    raw_HW = np.asarray(image)
    black, white = _grey_range(image.mode, raw_HW, image.info.get(GREY_BITS, 16))
    if image.info.get(WHITE_IS_ZERO):
        black, white = white, black
    values_HW = raw_HW.astype(np.float64)
    values_HW -= black
    values_HW *= 255 / (white - black)
    values_HW[~np.isfinite(values_HW)] = 0
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        values_HW[raw_HW == transparent] = 255
    return Image.fromarray(np.rint(values_HW).astype(np.uint8))


def _grey_range(mode: str, raw_HW: npt.NDArray[Any], bits: int) -> tuple[float, float]:
    """The least and the greatest number, of which one stands for black and one for white."""
    if mode.startswith("I;16"):
        return 0.0, 2.0**bits - 1
    finite = raw_HW[np.isfinite(raw_HW)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    plain = (65_535.0,) if mode == "I" else (1.0, 255.0)
    for white in plain:
        if low >= 0 and high <= white:
            return 0.0, white
    return (low, high) if high > low else (low, low + 1)
