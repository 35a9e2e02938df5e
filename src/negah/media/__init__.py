"""Reading photos and clips from files as arrays for an encoder.

``sources`` finds the files, ``images`` opens them as upright RGB pictures, ``preprocess`` resizes
and normalises: NumPy and Pillow only. ``videos``, ``sampling`` and ``scenes`` read clips; they
load FFmpeg, so they are imported by name and not from here.
"""

from __future__ import annotations

from negah.media.images import MAX_PIXELS, OpenedImage, open_image, read_image
from negah.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_clip
from negah.media.preprocess import Preprocessing, to_rgb
from negah.media.sources import FoundMedia, find_media

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "VIDEO_SUFFIXES",
    "FoundMedia",
    "OpenedImage",
    "Preprocessing",
    "find_media",
    "is_clip",
    "open_image",
    "read_image",
    "to_rgb",
]
