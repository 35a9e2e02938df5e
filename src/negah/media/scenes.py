"""Splitting of a long clip into shots, so that each can be captioned.

Boundaries are detected by :mod:`negah.media.transitions`. Every frame is decoded, which is
necessary for exact cuts, but only the histogram of a thumbnail is kept of each, for a few seconds:
memory does not grow with the length of the clip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from negah.media.frames import to_array
from negah.media.transitions import SMALL, Boundary, Signature, find_boundaries, signature
from negah.media.videos import Clip
from negah.options import Options

# A fade leads through a blank picture that lasts no longer, in seconds; longer, it is a scene.
_LONGEST_BLANK = 2.0
_NEAR_BLANK = 0.1


@dataclass(frozen=True, slots=True)
class Scene:
    """One shot of a clip: the frames that are shown from ``start`` until just before ``end``.

    Attributes:
        start: in seconds, as the times of frames.
        end: in seconds; the start of the next scene, or the end of the clip.
    """

    start: float
    end: float

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.end - self.start


class SceneOptions(Options):
    """Options for the detection of scenes."""

    minimum: float = Field(
        default=1.0, ge=0, le=3600, description="No scene is shorter than this, in seconds."
    )
    threshold: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Minimum change of the colour histograms at a boundary, 0 to 1. Lower values "
        "find more scenes.",
    )


def find_scenes(
    clip: Clip,
    options: SceneOptions | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Scene]:
    """The scenes of a clip, each as soon as its end is known, without gaps between them.

    Args:
        clip: what to look at. All of it is decoded.
        options: default: ``SceneOptions()``.
        progress: called about once a second of the clip with the time that was reached.

    Yields:
        At least one scene. The first begins and the last ends with the clip.

    Raises:
        MediaError: the clip can no longer be read.
    """
    chosen = options or SceneOptions()
    start, end = clip.info.start, clip.info.end
    for boundary in _spaced(clip, chosen, progress):
        if boundary.time - start >= chosen.minimum and end - boundary.time >= chosen.minimum:
            yield Scene(start, boundary.time)
            start = boundary.time
    yield Scene(start, end)


def _spaced(
    clip: Clip, options: SceneOptions, progress: Callable[[float], None] | None
) -> Iterator[Boundary]:
    """Boundaries in order, at least the minimum apart: of two that are closer the stronger."""
    blanks = _Blanks()
    waiting: list[Boundary] = []
    held: Boundary | None = None
    for settled, found in find_boundaries(
        blanks.watch(_signatures(clip, progress)), options.threshold
    ):
        waiting = sorted(waiting + found)
        while waiting and waiting[0].time < settled:
            boundary = blanks.centred(waiting.pop(0))
            if held is None:
                held = boundary
            elif boundary.time - held.time < options.minimum:
                held = max(held, boundary, key=lambda one: one.strength)
            else:
                yield held
                held = boundary
    if held is not None:
        yield held


def _signatures(clip: Clip, progress: Callable[[float], None] | None) -> Iterator[Signature]:
    told = float("-inf")
    for time, frame in clip.decode():
        small = to_array(frame, SMALL, exact=False)
        yield signature(time, np.ascontiguousarray(small[..., :3]))
        if progress is not None and time - told >= 1:
            told = time
            progress(time)


class _Blanks:
    """Where the picture was black or white all over: between the two halves of a fade."""

    def __init__(self) -> None:
        self._runs: deque[tuple[float, float]] = deque(maxlen=16)
        self._open = False

    def watch(self, signatures: Iterator[Signature]) -> Iterator[Signature]:
        """Pass the frames on, and take note."""
        for one in signatures:
            if self._open:
                # A blank frame is shown until the next one.
                self._runs[-1] = (self._runs[-1][0], one.time)
            elif one.blank:
                self._runs.append((one.time, one.time))
            self._open = one.blank
            yield one

    def centred(self, boundary: Boundary) -> Boundary:
        """A boundary that is one half of a fade moves to the middle of the whole."""
        reach = boundary.reach + _NEAR_BLANK
        for start, end in self._runs:
            touches = start - reach <= boundary.time <= end + reach
            if touches and end - start <= _LONGEST_BLANK:
                return boundary._replace(time=(start + end) / 2)
        return boundary
