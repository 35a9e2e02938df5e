"""A photo or frame -> the pixels an encoder reads.

One object does this in training and at run time, and its options are stored in the
bundle, so that both see the same numbers. Resizing is Pillow's, which widens the
filter when it shrinks (antialiasing).

Axes: N images, 3 colours (red, green, blue), H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from negah.arrays import FloatArray
from negah.media.colours import to_rgb
from negah.options import Options

Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Fit = Literal["squash", "crop", "pad"]

_RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_Side = Annotated[int, Field(ge=1, le=16_384)]
_Mean = Annotated[float, Field(ge=0, le=1)]
_Std = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Preprocessing(Options):
    """Size and normalisation of what an encoder reads.

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
    fit: Fit = Field(
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
                :func:`~negah.media.colours.to_rgb` does.

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
