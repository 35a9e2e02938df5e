"""Random views of a photograph: crops, mirrored, in other light and colour.

As is usual since A. Krizhevsky et al. (2012) and, for crops of random area and aspect, C. Szegedy
et al. (2015). Captions that say "left" or "right" are not changed where a photo is mirrored.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance
from pydantic import Field

from negah.options import Options


class AugmentOptions(Options):
    """How a photograph of the training part is changed, anew in every epoch."""

    crop: float = Field(
        0.5, gt=0, le=1, description="least share of the area that is seen; 1: all of it"
    )
    aspect: float = Field(
        0.25,
        ge=0,
        le=2,
        description="a crop is wider by a factor of up to exp(aspect), or narrower",
    )
    colour: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="brightness, contrast and colour change by a factor of up to 1 - or + this",
    )
    flip: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of photos that are seen mirrored; training.flips is not read then",
    )

    def decoded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) of a whole picture whose least crop has ``size``."""
        least = math.sqrt(self.crop * math.exp(-self.aspect))
        return math.ceil(size[0] / least), math.ceil(size[1] / least)


def augment(
    image: Image.Image, options: AugmentOptions, size: tuple[int, int], random: np.random.Generator
) -> Image.Image:
    """One random view of a picture.

    The area of the crop is uniform in [crop, 1] of the picture's, the logarithm of its aspect,
    relative to the picture's, uniform in [-aspect, aspect], its place uniform where it fits. It is
    resized to ``size`` whatever its aspect, bicubic, mirrored or not, and its brightness, contrast
    and colour are changed in that order, each by a factor of its own.

    Args:
        image: RGB.
        options: how much.
        size: (height, width) of the result, in pixels.
        random: where chance comes from.
    """
    area = random.uniform(options.crop, 1)
    aspect = math.exp(random.uniform(-options.aspect, options.aspect))
    width = image.width * min(1.0, math.sqrt(area * aspect))
    height = image.height * min(1.0, math.sqrt(area / aspect))
    left = random.uniform(0, image.width - width)
    top = random.uniform(0, image.height - height)
    # sums of fractions may come out above the side that they stand for
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    view = image.resize(size[::-1], Image.Resampling.BICUBIC, box=box)
    if random.random() < options.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if options.colour:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            view = change(view).enhance(random.uniform(1 - options.colour, 1 + options.colour))
    return view
