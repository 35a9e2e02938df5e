"""Reading photos and clips from files as arrays for an encoder.

``sources`` finds the files, ``images`` opens them as upright RGB pictures, ``preprocess`` resizes
and normalises: NumPy and Pillow only. ``videos``, ``motion`` and ``scenes`` read clips; they load
FFmpeg, so their names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from negah.lazy_names import lazy_names
from negah.media.images import MAX_PIXELS, OpenedImage, open_image, read_image
from negah.media.kinds import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_clip
from negah.media.preprocess import Preprocessing, to_rgb
from negah.media.sources import FoundMedia, find_media

if TYPE_CHECKING:
    from negah.media.clip_reader import TimedFrame
    from negah.media.containers import ClipSource
    from negah.media.frames import Frame
    from negah.media.motion import SampledPictures
    from negah.media.scenes import Scene, SceneOptions
    from negah.media.videos import Clip, VideoInfo, open_clip
else:
    _VIDEOS = dict.fromkeys(("Clip", "VideoInfo", "open_clip"), "negah.media.videos")
    _SCENES = dict.fromkeys(("Scene", "SceneOptions"), "negah.media.scenes")
    _FRAMES = {
        "ClipSource": "negah.media.containers",
        "Frame": "negah.media.frames",
        "SampledPictures": "negah.media.motion",
        "TimedFrame": "negah.media.clip_reader",
    }
    __getattr__ = lazy_names(__name__, _VIDEOS | _SCENES | _FRAMES)

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "VIDEO_SUFFIXES",
    "Clip",
    "ClipSource",
    "FoundMedia",
    "Frame",
    "OpenedImage",
    "Preprocessing",
    "SampledPictures",
    "Scene",
    "SceneOptions",
    "TimedFrame",
    "VideoInfo",
    "find_media",
    "is_clip",
    "open_clip",
    "open_image",
    "read_image",
    "to_rgb",
]
