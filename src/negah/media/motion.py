"""The pictures of a clip for a model: its frames, or their differences.

CAM-RNN encodes a clip twice, by appearance and by motion. Motion is represented as a picture, so
that any image encoder can read it: mid-grey plus half the signed difference between the frame at a
time and the one that is shown a short step later.

A clip is read once, for all of its parts and all models, and only the frames that the models use
are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from negah.errors import MediaError
from negah.media.frames import Frame
from negah.media.sampling import uniform_times
from negah.media.videos import Clip

#: The value of a difference picture where nothing changes.
MID_GREY = 128

# So close to its end, in seconds, a part is over: the frame shown then may belong to the next.
_MARGIN = 1e-5


@dataclass(frozen=True, slots=True)
class SampledPictures:
    """The pictures that one model needs from a part of a clip.

    Attributes:
        count: number of pictures, evenly spaced in time.
        prepare: converts a frame to what is kept of it; all results have one size.
        motion_step: seconds between the two frames whose difference is used; None for a model that
            uses the frames themselves.
    """

    count: int
    prepare: Callable[[Image.Image], Image.Image]
    motion_step: float | None = None

    def pairs(self, start: float, end: float) -> list[tuple[float, float]]:
        """The times that are looked at between ``start`` and ``end``, each with another.

        That is a step later; where the part is over by then a step earlier; and where the part is
        too short for either, its end that is further away. For a model that sees the frames
        themselves it is the time itself.
        """
        times = uniform_times(start, end, self.count)
        if self.motion_step is None:
            return [(time, time) for time in times]
        return [(time, _beside(time, start, end, self.motion_step)) for time in times]


def _beside(time: float, start: float, end: float, step: float) -> float:
    if time + step < end - _MARGIN:
        return time + step
    if time - step >= start:
        return time - step
    return start if time - start >= end - time else end - _MARGIN


def difference(earlier: Image.Image, later: Image.Image) -> Image.Image:
    """The difference of two pictures: mid-grey plus half the change.

    Args:
        earlier: RGB.
        later: RGB, of the same size.

    Returns:
        RGB; every channel is 128 + (later - earlier) / 2, cut to a whole number between 1 and 255.
    """
    before, after = (np.asarray(image, dtype=np.int16) for image in (earlier, later))
    # truncated towards zero, so that a change and its reverse are equally far from mid-grey
    half = ((after - before) / np.float32(2)).astype(np.int16)
    return Image.fromarray((MID_GREY + half).astype(np.uint8))


def look_at(
    clip: Clip,
    parts: Iterable[tuple[float, float]],
    looks: Sequence[SampledPictures],
    *,
    tell: bool = True,
) -> Iterator[tuple[tuple[Frame, ...], ...]]:
    """The pictures of each model for each part of a clip.

    Args:
        clip: what is looked at.
        parts: from when to when, in seconds, in ascending order; taken one at a time.
        looks: of one model each.
        tell: at the end, add damage to :attr:`Clip.warnings`.

    Yields:
        for each look its pictures, with the times at which their frames are first shown: as many
        as it wants or fewer, where several of its times fall to one frame; at least one.

    Raises:
        MediaError: the clip can no longer be read, or has no frames from the start of a part on.
    """
    asked: deque[float] = deque()

    def times() -> Iterator[float]:
        while asked:
            yield asked.popleft()

    # One walk serves all parts: it is asked for the times of a part when that is taken.
    walk = clip.at(times(), repeat=True)
    for start, end in parts:
        pairs = [look.pairs(start, end) for look in looks]
        wanted = [{time for pair in own for time in pair} for own in pairs]
        every = sorted(set().union(*wanted))
        asked.extend(every)
        shown: dict[float, float] = {}
        kept: list[dict[float, Image.Image]] = [{} for _ in looks]
        for time, frame in zip(every, walk, strict=False):
            shown[time] = frame.time
            for look, own, images in zip(looks, wanted, kept, strict=True):
                if time in own and frame.time not in images:
                    images[frame.time] = look.prepare(frame.image)
        if not shown:
            raise MediaError(clip.name, f"its frames from {start:.2f} s on cannot be read")
        yield tuple(
            _pictures(look, own, shown, images)
            for look, own, images in zip(looks, pairs, kept, strict=True)
        )
    if tell:
        next(walk, None)


def _pictures(
    look: SampledPictures,
    pairs: Sequence[tuple[float, float]],
    shown: dict[float, float],
    images: dict[float, Image.Image],
) -> tuple[Frame, ...]:
    """The pictures of one look.

    Args:
        look: whose.
        pairs: of times, as :meth:`SampledPictures.pairs` gives them.
        shown: for each time when its frame is first shown; in a damaged clip some are missing.
        images: those frames.
    """
    found: dict[float, Frame] = {}
    for time, other in pairs:
        if time not in shown or shown[time] in found:
            continue
        at = shown[time]
        image = images[at]
        if look.motion_step is not None:
            earlier, later = (images[when] for when in sorted((at, shown.get(other, at))))
            # Where recordings of several sizes were joined, a step may lead over the joint.
            image = difference(earlier, later.resize(earlier.size))
        found[at] = Frame(at, image)
    return tuple(found.values())
