"""A clip -> for each part that is captioned, the frames that the captioner sees.

Frames are chosen evenly over the part, by time, and are made as small as the model wants them
when they are decoded. A clip is walked through once for its frames, beside the walk that finds
its scenes, however many scenes there are.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, TypeAlias

from PIL import Image

from negah.errors import MediaError, UsageError
from negah.media import Preprocessing
from negah.media.sampling import uniform_times
from negah.media.scenes import Scene, SceneOptions, find_scenes
from negah.media.videos import Clip, open_clip

#: A path, the content of a video file, a file open for reading bytes, or an open clip.
Video: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Clip"


@dataclass(frozen=True, slots=True)
class Shot:
    """A part of a clip as a captioner sees it.

    Attributes:
        start: of the part, in seconds.
        end: likewise.
        times: when the frames are first shown, in seconds.
        images: the frames in the size that the model reads; as many as ``times``.
    """

    start: float
    end: float
    times: tuple[float, ...]
    images: tuple[Image.Image, ...]


def open_video(video: Video) -> Clip:
    """The clip in whatever form it is given.

    Raises:
        MediaError: it cannot be read.
        UsageError: it is nothing that can be a clip.
    """
    if isinstance(video, Clip):
        return video
    if isinstance(video, str | bytes | os.PathLike) or hasattr(video, "read"):
        return open_clip(video)
    raise UsageError(
        "a clip is a path, the bytes of a video file, a file open for reading bytes or an open "
        f"clip, not {type(video).__name__}"
    )


def read_shot(
    video: Video,
    preprocessing: Preprocessing,
    count: int,
    span: tuple[float, float] | None = None,
) -> Shot:
    """``count`` frames of a clip, or of a span of it; fewer where it has fewer.

    Raises:
        MediaError: it cannot be read.
        UsageError: the span is not in the clip.
    """
    clip = open_video(video)
    whole = Scene(clip.info.start, clip.info.end)
    part = whole if span is None else _part(clip, span)
    (shot,) = _shots(clip, preprocessing, count, [part])
    return shot


def read_scenes(
    clip: Clip,
    preprocessing: Preprocessing,
    count: int,
    scenes: SceneOptions | Iterable[Scene] | None,
    progress: Callable[[float], None] | None,
) -> Iterator[Shot]:
    """``count`` frames of each scene, scene by scene.

    Args:
        clip: what to read.
        preprocessing: of the model.
        count: frames of a scene; of a scene that has fewer, those that it has.
        scenes: what counts as one, or the scenes themselves, in order; None finds them.
        progress: called with the time that was reached, in seconds.

    Raises:
        MediaError: the clip can no longer be read.
        UsageError: scenes that are given are not in order, or not in the clip.
    """
    if scenes is None or isinstance(scenes, SceneOptions):
        found = find_scenes(clip, scenes, progress=progress)
        return _shots(clip, preprocessing, count, found, tell=False)
    return _shots(clip, preprocessing, count, _given(clip, scenes, progress))


def equal_scenes(clip: Clip, seconds: float) -> Iterator[Scene]:
    """Parts of equal length; what would remain, if it is less than half of that, joins the last.

    Raises:
        UsageError: ``seconds`` is not positive.
    """
    if not seconds > 0:
        raise UsageError(f"parts of a clip last more than 0 seconds, not {seconds}")
    start, end = clip.info.start, clip.info.end
    while end - start >= 1.5 * seconds:
        yield Scene(start, start + seconds)
        start += seconds
    yield Scene(start, end)


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
    clip: Clip,
    preprocessing: Preprocessing,
    count: int,
    scenes: Iterable[Scene],
    *,
    tell: bool = True,
) -> Iterator[Shot]:
    """The frames of each scene; with ``tell``, the log has what was damaged in the clip."""
    asked: deque[float] = deque()

    def times() -> Iterator[float]:
        while asked:
            yield asked.popleft()

    # One walk serves all scenes: it is asked for the times of a scene when that is found.
    walk = clip.at(times(), repeat=True)
    for scene in scenes:
        asked.extend(uniform_times(scene.start, scene.end, count))
        images: dict[float, Image.Image] = {}
        for frame in islice(walk, count):
            if frame.time not in images:
                images[frame.time] = preprocessing.resize(frame.image)
        if not images:
            raise MediaError(clip.name, f"its frames from {scene.start:.2f} s on cannot be read")
        yield Shot(scene.start, scene.end, tuple(images), tuple(images.values()))
    if tell:
        next(walk, None)
