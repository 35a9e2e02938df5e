"""The source of a stored feature (a photo, a clip, or a span of a clip) and its pixels.

A photograph gives one picture. A clip gives the frames at the centres of equal time spans, or only
its middle frame; for a motion encoder, the differences between frames. A view mirrors a picture or
crops it, as if the camera were nearer.

Axes: F frames, 3 colours, H rows, W columns of pixels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from negah.arrays import FloatArray
from negah.data.examples import with_span
from negah.errors import MediaError
from negah.media.frames import Frame
from negah.media.images import MAX_PIXELS, read_image
from negah.media.kinds import is_clip
from negah.media.motion import SampledPictures, look_at
from negah.media.preprocess import Preprocessing
from negah.media.videos import Clip, open_clip

#: The crops of the views ``zoom-1`` to ``zoom-8``: the share of each side, and the position from 0
#: (left, top) to 1 (right, bottom).
ZOOMS = (
    (0.80, 0.0, 0.5),
    (0.80, 1.0, 0.5),
    (0.65, 0.8, 0.6),
    (0.65, 0.2, 0.6),
    (0.85, 0.5, 0.5),
    (0.85, 0.5, 0.2),
    (0.60, 0.5, 0.4),
    (0.60, 0.5, 0.7),
)
VIEW_PATTERN = r"^(plain|flip|(flip-)?zoom-[1-8])$"


@dataclass(frozen=True, slots=True)
class MediaItem:
    """A photo or clip, or a span of a clip.

    Attributes:
        path: the file.
        span: start and end in seconds; None for the whole file.
    """

    path: Path
    span: tuple[float, float] | None = None

    def __str__(self) -> str:
        """The path, with the span if there is one: what failures are recorded under."""
        return with_span(str(self.path), self.span)

    def row_sha256(self, content: str) -> str:
        """The identity of the row: the file's SHA-256, or a hash of that and the span."""
        if self.span is None:
            return content
        start, end = map(float, self.span)
        return hashlib.sha256(f"{content} {start!r} {end!r}".encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class ItemPictures:
    """The preprocessed pictures of one item.

    Attributes:
        pixels_F3HW: float32.
        times: the time of each picture in seconds, float64 (F,); 0 for a photograph.
        warnings: faults of the file, such as missing content.
    """

    pixels_F3HW: FloatArray
    times: npt.NDArray[np.float64]
    warnings: tuple[str, ...] = ()


def read_pictures(
    item: MediaItem,
    preprocessing: Preprocessing,
    view: str,
    frames: int | None,
    motion_step: float | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> ItemPictures:
    """The pixels of one item, under one view.

    Args:
        item: a photograph or a clip.
        preprocessing: how a picture becomes pixels.
        view: see :data:`VIEW_PATTERN`.
        frames: maximum number of frames of a clip; None for one picture: a photograph, or the
            middle frame of a clip.
        motion_step: see :class:`~negah.media.motion.SampledPictures`.
        max_pixels: larger pictures are refused.

    Raises:
        MediaError: it cannot be read, is a photograph although ``frames`` is given, or its span
            lies outside the clip.
    """
    warnings: tuple[str, ...] = ()
    if is_clip(item.path):
        clip = open_clip(item.path, max_pixels=max_pixels)
        shown = _frames(
            clip,
            item,
            SampledPictures(
                count=frames or 1,
                prepare=lambda image: preprocessing.resize(_zoomed(image, view)),
                motion_step=motion_step,
            ),
        )
        pixels_F3HW = preprocessing.to_pixels_NCHW([frame.image for frame in shown])
        times = np.array([frame.time for frame in shown], dtype=np.float64)
        warnings = clip.warnings
    elif frames is None and item.span is None:
        # With the target size, large JPEGs are decoded at a reduced size, as at run time.
        opened = read_image(item.path, max_pixels=max_pixels, target_size=preprocessing.size)
        pixels_F3HW = preprocessing.apply(_zoomed(opened.image, view))[None]
        times, warnings = np.zeros(1), opened.warnings
    else:
        wanted = f"{frames} frames are" if frames else "a span of a clip is"
        raise MediaError(str(item.path), f"is no clip by its name, but {wanted} wanted of it")
    if view.startswith("flip"):
        pixels_F3HW = np.ascontiguousarray(pixels_F3HW[..., ::-1])
    return ItemPictures(pixels_F3HW, times, warnings)


def _frames(clip: Clip, item: MediaItem, look: SampledPictures) -> tuple[Frame, ...]:
    start, end = clip.info.start, clip.info.end
    if item.span is not None:
        start, end = max(start, item.span[0]), min(end, item.span[1])
        if not start < end:
            raise MediaError(
                str(item.path),
                f"has frames from {clip.info.start:g} to {clip.info.end:g} s, but none between "
                f"{item.span[0]:g} and {item.span[1]:g} s; correct the span",
            )
    ((shown,),) = look_at(clip, [(start, end)], [look])
    return shown


def _zoomed(image: Image.Image, view: str) -> Image.Image:
    _, zoom, number = view.rpartition("zoom-")
    if not zoom:
        return image
    side, x, y = ZOOMS[int(number) - 1]
    width, height = max(1, round(image.width * side)), max(1, round(image.height * side))
    left, top = round((image.width - width) * x), round((image.height - height) * y)
    return image.crop((left, top, left + width, top + height))
