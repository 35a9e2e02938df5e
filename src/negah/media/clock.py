"""One clock for a clip whose own clock begins anew where recordings were joined.

The time goes on from where it was: the first frame after the joint is shown when the last one
before it ends. What is only a damaged number among sound ones is not taken for a joint.
"""

from __future__ import annotations

from typing import NamedTuple

# A clock that steps back further than this, in seconds, was set anew: frames are stored in
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
    """What a packet says of its time.

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
        """When it is shown, as far as that is known."""
        return self.decoded if self.shown is None else self.shown


class Clock:
    """Continues the time over joints.

    Args:
        frame_seconds: how long a frame is shown that does not say so.
        longest_gap: a clock that steps on further than this, in seconds, was set anew too.
        exact: whether the format stores times of decoding; else FFmpeg makes them up.

    Attributes:
        shift: what is added to the file's own time, in seconds.
        end: when the last frame so far stops being shown, in seconds; None if no time is known.
        joints: so far, with those where only the clock was set anew.
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
        """Another recording follows: its first packet is a joint in any case."""
        self._frame_seconds = frame_seconds
        self._longest_gap = longest_gap
        self._exact = exact
        self.fresh = True

    def are_apart(self, shown: float, decoded: float) -> bool:
        """Whether a time of showing is so far from that of decoding that it must be damaged."""
        apart = abs(shown - decoded)
        return apart > _APART_SECONDS and apart > _APART_FRAMES * self._frame_seconds

    def breaks(self, stamps: Stamps) -> bool:
        """Whether these do not go on from those before."""
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
        """By how many seconds these are too late, if the same recording goes on with them.

        It does where the clock steps on between key frames: the frames lean on those before.
        """
        if self.fresh or stamps.key or stamps.decoded is None or self._decoded is None:
            return None
        ahead = stamps.decoded - self._decoded - self._frame_seconds
        return ahead if ahead > 0 else None

    def join(self, stamps: Stamps) -> None:
        """Let the time go on from where it was, as these begin anew."""
        if stamps.time is not None and self.end is not None:
            self.shift = self.end - stamps.time
        self.joints += 1
        self.fresh = False
        self._shown = self._decoded = None

    def advance(self, stamps: Stamps, lasting: float) -> float | None:
        """When these are shown, in seconds of the whole.

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
