"""Sampling of frames from a clip.

Frames are chosen by presentation time, not by index, so that clips with variable frame rate are
sampled evenly in time. Frames are never repeated: a clip of three frames, or a still shown for a
minute, yields fewer frames than requested.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from negah.media.frames import Frame
from negah.media.videos import Clip
from negah.options import Options

Mode = Literal["uniform", "fps", "keyframes"]


class FrameSampling(Options):
    """Options for sampling frames of a clip."""

    mode: Mode = Field(
        default="uniform",
        description="uniform: at the centres of equal spans of the clip; fps: every 1/rate "
        "seconds from the first frame on; keyframes: the key frames of the video codec, often at "
        "changes of the picture.",
    )
    frames: int = Field(
        default=28,
        ge=1,
        le=10_000,
        description="uniform: number of frames; fps and keyframes: maximum number. If there would "
        "be more, fps becomes uniform, and key frames are thinned out evenly.",
    )
    rate: float | None = Field(
        default=None, gt=0, le=1000, description="fps only: frames per second."
    )

    @model_validator(mode="after")
    def _rate_belongs_to_fps(self) -> Self:
        if (self.mode == "fps") != (self.rate is not None):
            raise ValueError("a rate belongs to mode fps, and mode fps needs one")
        return self


def sample(
    clip: Clip, sampling: FrameSampling, *, size: tuple[int, int] | None = None
) -> Iterator[Frame]:
    """The chosen frames, one by one, in the order of showing: at least one.

    Args:
        clip: what to sample.
        sampling: which frames.
        size: (height, width) in pixels to scale to; default: as shown.

    Raises:
        MediaError: the clip can no longer be read.
    """
    return clip.at(sample_times(clip, sampling), size=size)


def sample_times(clip: Clip, sampling: FrameSampling) -> list[float]:
    """The times that :func:`sample` looks at, in ascending seconds.

    For ``keyframes`` the file is read through; otherwise not at all.
    """
    start, end = clip.info.start, clip.info.end
    if sampling.mode == "keyframes":
        return _thinned(clip.keyframe_times() or [start], sampling.frames)
    if sampling.rate is not None:
        # Rounded: 2 seconds at 1.5 frames a second are 3 frames, whatever the last bit says.
        count = max(1, math.ceil(round((end - start) * sampling.rate, 6)))
        if count <= sampling.frames:
            return [start + number / sampling.rate for number in range(count)]
    return uniform_times(start, end, sampling.frames)


def uniform_times(start: float, end: float, count: int) -> list[float]:
    """The centres of ``count`` equal spans between ``start`` and ``end``, in seconds."""
    span = (end - start) / count
    return [start + (number + 0.5) * span for number in range(count)]


def _thinned(times: list[float], count: int) -> list[float]:
    if len(times) <= count:
        return times
    return [times[int((number + 0.5) * len(times) / count)] for number in range(count)]
