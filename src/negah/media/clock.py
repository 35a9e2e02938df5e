"""A continuous clock for clips whose timestamps restart where recordings were joined.

Time continues over a joint: the first frame after it is shown when the last one before it ends. A
single damaged timestamp is not taken for a joint.
"""

from __future__ import annotations

from typing import NamedTuple

# A clock that steps back further than this, in seconds, was reset: frames are stored in
# another order than they are shown in, but that is less.
_BACK_SECONDS = 1.0
# ... where packets have only the time of showing, in frames: as far as codecs reorder.
_BACK_FRAMES = 20
# ... where the time of decoding is stored, and a decoder may begin, in frames.
_LEAST_FRAMES = 1.5

# The time of showing is never so far from that of decoding, in seconds, and in frames.
_APART_SECONDS = 10.0
_APART_FRAMES = 40


class Stamps(NamedTuple):
    """The timestamps of a packet.

    Attributes:
        shown: in seconds of the file's own clock; None if it does not say.
        decoded: when it must be decoded, likewise.
        key: whether a decoder may begin here.
    """

    shown: float | None
    decoded: float | None
    key: bool = False

    @property
    def time(self) -> float | None:
        """The presentation time, if known."""
        return self.decoded if self.shown is None else self.shown


class Clock:
    """Maps file time to continuous time over joints.

    Args:
        frame_seconds: duration of a frame without one.
        longest_gap: a longer forward step, in seconds, also counts as a restart.
        exact: whether the format stores times of decoding; else FFmpeg makes them up.

    Attributes:
        shift: what is added to the file's own time, in seconds.
        end: when the last frame so far stops being shown, in seconds; None if no time is known.
        joints: so far, including resets of the clock.
        fresh: whether another recording follows.
    """

    def __init__(self, frame_seconds: float, longest_gap: float, *, exact: bool) -> None:
        self.shift = 0.0
        self.end: float | None = None
        self.joints = 0
        self.fresh = False
        self._frame_seconds = frame_seconds
        self._longest_gap = longest_gap
        self._exact = exact
        self._shown: float | None = None  # the latest
        self._decoded: float | None = None  # of the last packet

    def begin(self, frame_seconds: float, longest_gap: float, *, exact: bool) -> None:
        """Another recording follows: its first packet is always a joint."""
        self._frame_seconds = frame_seconds
        self._longest_gap = longest_gap
        self._exact = exact
        self.fresh = True

    def are_apart(self, shown: float, decoded: float) -> bool:
        """Whether presentation and decoding times are so far apart that one must be damaged."""
        apart = abs(shown - decoded)
        return apart > _APART_SECONDS and apart > _APART_FRAMES * self._frame_seconds

    def breaks(self, stamps: Stamps) -> bool:
        """Whether these timestamps do not continue the previous ones."""
        if self.fresh:
            return True
        if stamps.decoded is not None and self._decoded is not None:
            step = stamps.decoded - self._decoded
            back = _BACK_SECONDS
            if self._exact and stamps.key:
                back = min(back, _LEAST_FRAMES * self._frame_seconds)
        elif stamps.shown is not None and self._shown is not None:
            step = stamps.shown - self._shown
            # Frames are stored out of order, but no decoder begins with one of those.
            back = max(_BACK_SECONDS, _BACK_FRAMES * self._frame_seconds)
            back = back if stamps.key else float("inf")
        else:
            return False
        return step < -back or step > self._longest_gap

    def leap(self, stamps: Stamps) -> float | None:
        """By how many seconds these are too late, if the same recording continues.

        It does if the clock jumps between key frames: the frames depend on earlier ones.
        """
        if self.fresh or stamps.key or stamps.decoded is None or self._decoded is None:
            return None
        ahead = stamps.decoded - self._decoded - self._frame_seconds
        return ahead if ahead > 0 else None

    def join(self, stamps: Stamps) -> None:
        """Continue the time after a restart of the file's clock."""
        if stamps.time is not None and self.end is not None:
            self.shift = self.end - stamps.time
        self.joints += 1
        self.fresh = False
        self._shown = self._decoded = None

    def advance(self, stamps: Stamps, lasting: float) -> float | None:
        """The presentation time in seconds of the whole clip.

        Args:
            stamps: of the packet.
            lasting: for how long it is shown, in seconds; 0 if it does not say, and less than 0
                if it is not shown at all.
        """
        shown, decoded, _ = stamps
        if shown is not None and (self._shown is None or shown > self._shown):
            self._shown = shown
        if decoded is not None:
            self._decoded = decoded
        time = stamps.time
        if time is None:
            return None
        time += self.shift
        if lasting >= 0:
            end = time + (lasting or self._frame_seconds)
            if self.end is None or end > self.end:
                self.end = end
        return time
