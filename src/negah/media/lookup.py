"""Frames at given times, with as little decoding as the format allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from negah.errors import UsageError
from negah.media.clip_reader import ClipReader, TimedFrame

_MICROSECOND = 1e-6


def shown_at(reader: ClipReader, times: Iterable[float]) -> Iterator[TimedFrame]:
    """The frame shown at each time.

    Args:
        reader: at its beginning.
        times: seconds, in ascending order; one is taken when its frame is asked for.

    Raises:
        UsageError: the times do not ascend.
        MediaError: the clip can no longer be read.
    """
    frames = reader.frames()
    shown: TimedFrame | None = None
    coming: TimedFrame | None = None
    begun = False
    for time in _ascending(times):
        if not begun or (coming is not None and coming.time <= time):
            jumped = reader.jump(time, coming.time if coming is not None else None)
            if jumped is not None:
                frames, shown = jumped, None
            if jumped is not None or not begun:
                coming = next(frames, None)
            begun = True
        while coming is not None and coming.time <= time:
            shown, coming = coming, next(frames, None)
        found = shown or coming
        if found is not None:
            yield found


def _ascending(times: Iterable[float]) -> Iterator[float]:
    last = float("-inf")
    for time in times:
        if not time >= last:
            raise UsageError(f"times must ascend, but {time} s comes after {last} s; sort them")
        last = time
        # A frame that begins at the very time is meant, whatever the last bit of either says.
        yield time + _MICROSECOND
