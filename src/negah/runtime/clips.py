"""The pictures of each captioned part of a clip, for the models.

Frames are chosen evenly over the part, by time, and are made as small as a model wants them
when they are decoded. A clip is walked through once for its frames, beside the walk that finds
its scenes, however many scenes and models there are.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeAlias

from negah.errors import UsageError
from negah.media import MAX_PIXELS
from negah.media.frames import Frame
from negah.media.motion import SampledPictures, look_at
from negah.media.scenes import Scene, SceneOptions, find_scenes
from negah.media.videos import MAX_SECONDS, Clip, open_clip

logger = logging.getLogger(__name__)

#: A path, the content of a video file, a file open for reading bytes, or an open clip.
Video: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Clip"


# Shorter than a frame of most clips, in seconds: less would only make more parts.
_SHORTEST_PART = 0.1


@dataclass(frozen=True, slots=True)
class Shot:
    """A part of a clip with its pictures for the models.

    Attributes:
        start: of the part, in seconds.
        end: likewise.
        seen: by each model, its pictures in the size that it reads.
        size: (width, height) of a frame of the clip, in pixels.
        warnings: what a caption of it should say, such as that damaged places were skipped.
    """

    start: float
    end: float
    seen: tuple[tuple[Frame, ...], ...]
    size: tuple[int, int]
    warnings: tuple[str, ...] = ()

    @property
    def times(self) -> tuple[float, ...]:
        """When the frames of the first model are first shown, in seconds."""
        return tuple(frame.time for frame in self.seen[0])


def open_video(video: Video, max_pixels: int = MAX_PIXELS) -> Clip:
    """Open the clip from any supported input.

    Args:
        video: the clip.
        max_pixels: of a frame, see :func:`~negah.media.videos.open_clip`.

    Raises:
        MediaError: it cannot be read.
        UsageError: the type of input is not supported.
    """
    if isinstance(video, Clip):
        return video
    if isinstance(video, str | bytes | os.PathLike) or hasattr(video, "read"):
        return open_clip(video, max_pixels=max_pixels)
    raise UsageError(
        "a clip is a path, the bytes of a video file, a file open for reading bytes or an open "
        f"clip, not {type(video).__name__}"
    )


def read_shot(
    video: Video,
    looks: Sequence[SampledPictures],
    span: tuple[float, float] | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> Shot:
    """The pictures of a clip, or of a span of it, for the models.

    Args:
        video: the clip.
        looks: of each model.
        span: in seconds; None for the whole clip.
        max_pixels: of a frame.

    Raises:
        MediaError: it cannot be read.
        UsageError: the span is not in the clip.
    """
    clip = open_video(video, max_pixels)
    whole = Scene(clip.info.start, clip.info.end)
    part = whole if span is None else _part(clip, span)
    (shot,) = _shots(clip, looks, [part])
    return replace(shot, warnings=clip.warnings)


def read_scenes(
    clip: Clip,
    looks: Sequence[SampledPictures],
    scenes: SceneOptions | Iterable[Scene] | None,
    progress: Callable[[float], None] | None,
) -> Iterator[Shot]:
    """The pictures of each scene for the models.

    Args:
        clip: what to read.
        looks: of each model.
        scenes: what counts as one, or the scenes themselves, in order; None finds them.
        progress: called with the time that was reached, in seconds.

    Raises:
        MediaError: the clip can no longer be read.
        UsageError: scenes that are given are not in order, or not in the clip.
    """
    if scenes is None or isinstance(scenes, SceneOptions):
        found = find_scenes(clip, scenes, progress=progress)
        return _shots(clip, looks, found, tell=False)
    return _log_warnings(clip, _shots(clip, looks, _given(clip, scenes, progress)))


def equal_scenes(clip: Clip, seconds: float) -> Iterator[Scene]:
    """Parts of equal length; what would remain, if it is less than half of that, joins the last.

    Raises:
        UsageError: ``seconds`` is not from 0.1 to :data:`~negah.media.videos.MAX_SECONDS`.
    """
    if not _SHORTEST_PART <= seconds <= MAX_SECONDS:
        raise UsageError(
            f"parts of a clip last more than 0 seconds, from {_SHORTEST_PART} to {MAX_SECONDS}, "
            f"not {seconds}"
        )
    start, end = clip.info.start, clip.info.end
    while end - start >= 1.5 * seconds:
        yield Scene(start, start + seconds)
        start += seconds
    yield Scene(start, end)


def _log_warnings(clip: Clip, shots: Iterator[Shot]) -> Iterator[Shot]:
    """The shots; what was wrong with the clip is known behind the last, and the log has it."""
    yield from shots
    for warning in clip.warnings:
        logger.warning("%s: %s", clip.name, warning)


def _given(
    clip: Clip, scenes: Iterable[Scene], progress: Callable[[float], None] | None
) -> Iterator[Scene]:
    for scene in scenes:
        part = _part(clip, (scene.start, scene.end))
        if progress is not None:
            progress(part.start)
        yield part


def _part(clip: Clip, span: tuple[float, float]) -> Scene:
    info = clip.info
    part = Scene(max(span[0], info.start), min(span[1], info.end))
    if not part.start < part.end:
        raise UsageError(
            f"there is nothing from {span[0]} s to {span[1]} s: {clip.name} lasts from "
            f"{info.start:.2f} s to {info.end:.2f} s"
        )
    return part


def _shots(
    clip: Clip, looks: Sequence[SampledPictures], scenes: Iterable[Scene], *, tell: bool = True
) -> Iterator[Shot]:
    """What is seen of each scene; with ``tell``, the clip then knows what was damaged."""
    coming, looked_at = itertools.tee(scenes)
    size = (clip.info.width, clip.info.height)
    parts = ((scene.start, scene.end) for scene in coming)
    for seen, scene in zip(look_at(clip, parts, looks, tell=tell), looked_at, strict=False):
        yield Shot(scene.start, scene.end, seen, size)
