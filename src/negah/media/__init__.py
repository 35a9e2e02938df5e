"""Photos and clips in files -> the arrays that an encoder reads.

``sources`` finds the files, ``images`` opens them as upright RGB pictures, ``preprocess`` resizes
and normalises: NumPy and Pillow only. ``videos``, ``sampling`` and ``scenes`` read clips; they
load FFmpeg, so they are imported by name and not from here.
"""

from __future__ import annotations

from negah.media.images import MAX_PIXELS, open_image, to_rgb
from negah.media.preprocess import Preprocessing
from negah.media.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_media, is_clip

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "VIDEO_SUFFIXES",
    "Preprocessing",
    "find_media",
    "is_clip",
    "open_image",
    "to_rgb",
]
