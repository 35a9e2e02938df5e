"""Lengths and frame sizes of the clips of a data set, and the unreadable ones.

Every file is opened once, regardless of its number of spans: its first frame is decoded and its end
determined, which takes about 30 ms for a clip of MSVD.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from negah.data.examples import Example, Span
from negah.errors import MediaError
from negah.media import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class ClipCounts:
    """The clips of a data set.

    Attributes:
        files: number of files; several spans of one file may be captioned.
        total_seconds: of all readable clips and spans, like the following statistics.
        min_seconds: of the shortest; 0 if there is none.
        median_seconds: likewise.
        max_seconds: of the longest.
        sizes: number of files by frame size ("640x360"), the most frequent first.
        unreadable: clips that do not open, or end before their span begins, with the reason.
    """

    files: int
    total_seconds: float
    min_seconds: float
    median_seconds: float
    max_seconds: float
    sizes: dict[str, int]
    unreadable: tuple[str, ...]


def count_clips(
    clips: Sequence[Example],
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ClipCounts:
    """Open every clip.

    Args:
        clips: examples that are clips.
        progress: called with the numbers of files opened and to open.
        max_pixels: a clip with larger frames does not open.
    """
    # Loads FFmpeg, so only if there are clips.
    from negah.media.videos import VideoInfo, open_clip

    infos: dict[str, VideoInfo | str] = {}
    paths = list(dict.fromkeys(str(example.path) for example in clips))
    for done, path in enumerate(paths, start=1):
        try:
            infos[path] = open_clip(path, max_pixels=max_pixels).info
        except MediaError as error:
            infos[path] = error.reason
        if progress is not None:
            progress(done, len(paths))
    seconds: list[float] = []
    unreadable: list[str] = []
    for example in clips:
        info = infos[str(example.path)]
        if isinstance(info, str):
            unreadable.append(f"{example.name}: {info}")
            continue
        length = _length(example.span, info.end, info.duration)
        if length is None:
            unreadable.append(f"{example.name}: the span begins after the clip's {info.end:.1f} s")
        else:
            seconds.append(length)
    read = [info for info in infos.values() if not isinstance(info, str)]
    sizes = Counter(f"{info.width}x{info.height}" for info in read)
    return ClipCounts(
        files=len(paths),
        total_seconds=round(sum(seconds), 3),
        min_seconds=round(min(seconds, default=0.0), 3),
        median_seconds=round(float(np.median(seconds)), 3) if seconds else 0.0,
        max_seconds=round(max(seconds, default=0.0), 3),
        sizes=dict(sizes.most_common()),
        unreadable=tuple(unreadable),
    )


def _length(span: Span, end: float, duration: float) -> float | None:
    """Seconds of the span that are inside the clip; None if it is outside."""
    if span is None:
        return duration
    length = min(span[1], end) - span[0]
    return length if length > 0 else None
