"""A picture of any mode -> RGB, 8 bits a colour.

Axes: H rows, W columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

#: What a reader may note in the ``info`` of a picture in 16-bit grey or fractions: how many of
#: the bits count, and that white is the least value.
GREY_BITS, WHITE_IS_ZERO = "negah: bits of grey", "negah: white is zero"


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB, 8 bits a colour.

    Alpha, of the mode or of a palette, is composited on white. 16-bit grey is divided
    by 257, unless its reader noted :data:`GREY_BITS` or :data:`WHITE_IS_ZERO`. Other grey
    numbers (modes ``I`` and ``F``) keep their meaning where it is plain: integers up to 65535
    are 16-bit grey, fractions from 0 to 1 span black to white, fractions from 0 to 255 are
    8-bit grey; anything else is stretched from its least to its greatest value.
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
