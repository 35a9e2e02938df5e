"""Data augmentation: random crops, mirroring, and changes of brightness, contrast and colour.

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
    """The augmentation of training photographs, sampled anew in every epoch."""

    crop: float = Field(
        0.5, gt=0, le=1, description="minimum share of the area in a crop; 1: the whole picture"
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
        description="share of mirrored photos; replaces training.flips",
    )

    def decoded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) of a whole picture whose smallest crop has ``size``."""
        least = math.sqrt(self.crop * math.exp(-self.aspect))
        return math.ceil(size[0] / least), math.ceil(size[1] / least)


def augment(
    image: Image.Image, options: AugmentOptions, size: tuple[int, int], random: np.random.Generator
) -> Image.Image:
    """One random view of a picture.

    The area of the crop is uniform in [crop, 1] of the picture's, the logarithm of its aspect,
    relative to the picture's, uniform in [-aspect, aspect], its position uniform where it fits. It
    is resized to ``size`` whatever its aspect, bicubic, mirrored or not, and its brightness,
    contrast and colour are changed in that order, each by a factor of its own.

    Args:
        image: RGB.
        options: of the augmentation.
        size: (height, width) of the result, in pixels.
        random: where chance comes from.
    """
    area = random.uniform(options.crop, 1)
    aspect = math.exp(random.uniform(-options.aspect, options.aspect))
    width = image.width * min(1.0, math.sqrt(area * aspect))
    height = image.height * min(1.0, math.sqrt(area / aspect))
    left = random.uniform(0, image.width - width)
    top = random.uniform(0, image.height - height)
    # rounding may make sums of fractions larger than the side
    box = (left, top, min(left + width, image.width), min(top + height, image.height))
    view = image.resize(size[::-1], Image.Resampling.BICUBIC, box=box)
    if random.random() < options.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if options.colour:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            view = change(view).enhance(random.uniform(1 - options.colour, 1 + options.colour))
    return view
