"""Photos in files -> the arrays that an encoder reads.

``sources`` finds the files, ``images`` opens them as upright RGB pictures,
``preprocess`` resizes and normalises. NumPy and Pillow only.
"""

from __future__ import annotations

from negah.media.images import MAX_PIXELS, open_image, to_rgb
from negah.media.preprocess import Preprocessing
from negah.media.sources import IMAGE_SUFFIXES, find_images

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "Preprocessing",
    "find_images",
    "open_image",
    "to_rgb",
]
