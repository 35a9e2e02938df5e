"""Walking through one clip's frames, from its beginning or from a key frame near a time.

Every frame gets the second at which it is shown, also where the file gives none. Whatever a
damaged file makes FFmpeg raise ends here: what can be decoded is given, the rest is counted.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import NamedTuple, Self

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from negah.errors import MediaError
from negah.media.containers import Source, check_pixels, explain, open_container

logger = logging.getLogger(__name__)

# Their packets can be found by time and decoded from a key frame. Others are walked through:
# MPEG programme streams, whose timestamps change with the place one starts from; GIF and APNG,
# which call frames key frames that are none; and streams without any timestamps.
_SEEKABLE = frozenset({"mov", "matroska", "avi", "mpegts", "flv", "asf", "nut", "ivf", "mxf"})

# How far before a time to look for its key frame, in seconds, when the nearest found is too late.
_STEPS_BACK = (0.0, 1.0, 4.0, 16.0, 64.0)

# Without an index nobody knows where the next key frame is: closer than this, decode on.
_NEAR_SECONDS = 5.0

# Damaged packets in a row after which a file is taken to have ended.
_MOST_FAILURES = 100

# A clock that steps back further than this was set anew (recordings joined end to end).
_RESET_SECONDS = 1.0

_USUAL_RATE = Fraction(25)
_HIGHEST_RATE = 1000


class TimedFrame(NamedTuple):
    """A decoded frame and the second at which it is first shown."""

    time: float
    frame: VideoFrame


class Reader:
    """One open clip. A context manager; not for several threads at once.

    Args:
        source: where the clip is.
        max_pixels: refuse frames of more pixels than this.
        origin: the file's own time, in seconds, that counts as 0.
    """

    def __init__(self, source: Source, *, max_pixels: int, origin: float = 0.0) -> None:
        self.origin = origin
        self.failures = 0
        self._source = source
        self._max_pixels = max_pixels
        self._clip = open_container(source, max_pixels)
        rate = self.frame_rate or _USUAL_RATE
        self.frame_seconds = float(1 / rate)
        self._seekable = self.format_name in _SEEKABLE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clip.close()

    @property
    def stream(self) -> VideoStream:
        """The moving picture, as the file's header describes it."""
        return self._clip.stream

    @property
    def format_name(self) -> str:
        """FFmpeg's name of the container, such as ``avi``; the first of several."""
        return self._clip.container.format.name.split(",")[0]

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second as the file states them, if that is believable."""
        for rate in (self.stream.average_rate, self.stream.guessed_rate):
            if rate is not None and 0 < rate <= _HIGHEST_RATE:
                return rate
        return None

    @property
    def starts(self) -> list[float]:
        """The file's own times, in seconds, at which its streams of sound begin."""
        return [
            float(stream.start_time * stream.time_base)
            for stream in self._clip.container.streams.audio
            if stream.start_time is not None and stream.time_base is not None
        ]

    def rewind(self) -> None:
        """Back to the first frame. Opening anew is the one way that works for every format."""
        self._clip.close()
        self._clip = open_container(self._source, self._max_pixels)

    def frames(self, packets: Iterable[Packet[VideoStream]] | None = None) -> Iterator[TimedFrame]:
        """Every frame of the packets, in the order of showing; times strictly rise.

        Args:
            packets: default: those from here on.

        Raises:
            MediaError: a frame is too large.
        """
        last: float | None = None
        shift = 0.0
        for frame in self._decode(self.packets() if packets is None else packets):
            time = self.seconds(_timestamp_of(frame))
            if time is None:
                time = 0.0 if last is None else last + self.frame_seconds
            elif last is None:
                pass
            elif time + shift < last - _RESET_SECONDS:
                shift = last + self.frame_seconds - time
                time += shift
            else:
                time = max(time + shift, last + min(0.001, self.frame_seconds / 2))
            last = time
            yield TimedFrame(time, frame)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets from here on; damaged ones are counted and skipped."""
        in_a_row = 0
        while in_a_row < _MOST_FAILURES:
            try:
                for packet in self._clip.container.demux(self.stream):
                    if packet.size:
                        in_a_row = 0
                        yield packet
                return
            except (av.FFmpegError, ValueError) as error:
                logger.debug("%s: a packet cannot be read: %s", self._source.name, explain(error))
                self.failures += 1
                in_a_row += 1

    def seconds(self, timestamp: int | None) -> float | None:
        """A timestamp of the stream as a player counts: seconds after the origin."""
        base = self.stream.time_base
        if timestamp is None or base is None:
            return None
        return timestamp * base.numerator / base.denominator - self.origin

    def jump(self, time: float, position: float | None) -> Iterator[TimedFrame] | None:
        """Frames from a key frame at or before ``time``, if that saves decoding.

        Args:
            time: in seconds.
            position: time of the frame that was decoded last; None at the beginning.

        Returns:
            None where decoding on is as good. Else the frames; whatever was being walked
            through is no longer valid. They begin at the first frame of the clip if no key
            frame before ``time`` is found.
        """
        if not self._seekable or not self._may_skip(time, position):
            return None
        for back in _STEPS_BACK:
            if time - back <= 0:
                break
            found = self._frames_from_key(time - back, time)
            if found is not None:
                return found
        self.rewind()
        return self.frames()

    def end(self) -> float | None:
        """When the last frame stops being shown, in seconds. Reads no more than it must.

        The header's duration is not asked: it may be that of the sound, or of a file that was
        cut short since. None if the packets carry no times.
        """
        stated = self._stated_end()
        if self._seekable and stated is not None:
            for back in _STEPS_BACK:
                end = self._last_end() if self._seek(max(stated - back, 0.0)) else None
                if end is not None:
                    return end
        self.rewind()
        return self._last_end(from_key=False)

    def _decode(self, packets: Iterable[Packet[VideoStream]]) -> Iterator[VideoFrame]:
        for packet in packets:
            yield from self._checked(packet)
        # What the decoder still holds back.
        yield from self._checked(None)

    def _checked(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        try:
            frames = self.stream.decode(packet)
        except EOFError:
            return
        except MemoryError:
            raise MediaError(self._source.name, "its frames do not fit into memory") from None
        except (av.FFmpegError, ValueError) as error:
            logger.debug("%s: a frame cannot be decoded: %s", self._source.name, explain(error))
            self.failures += 1
            return
        for frame in frames:
            check_pixels(frame.width, frame.height, self._source.name, self._max_pixels)
            yield frame

    def _may_skip(self, time: float, position: float | None) -> bool:
        """Whether there may be a key frame between the position and ``time``."""
        if position is None:
            position = 0.0
        index = self.stream.index_entries
        target = self._timestamp(time)
        if target is None:
            return False
        if len(index) and index[len(index) - 1].timestamp >= target:
            found = index.search_timestamp(target)
            if found >= 0:
                key = self.seconds(index[found].timestamp)
                return key is not None and key > position
        return time - position > _NEAR_SECONDS

    def _frames_from_key(self, target: float, time: float) -> Iterator[TimedFrame] | None:
        if not self._seek(target):
            return None
        frames = self._after_key(time)
        first = next(frames, None)
        if first is None or first.time > time:
            return None
        if not first.frame.key_frame:
            # The container's word for a key frame is not the decoder's: trust it no more.
            self._seekable = False
            return None
        return itertools.chain([first], frames)

    def _after_key(self, time: float) -> Iterator[TimedFrame]:
        """Frames from the next key frame on, unless that comes after ``time``."""
        packets = self.packets()
        start = next((packet for packet in packets if packet.is_keyframe), None)
        key = None if start is None else self.seconds(_timestamp_of(start))
        if start is None or key is None or key > time:
            return
        for timed in self.frames(itertools.chain([start], packets)):
            # What is shown before the key frame but follows it leans on frames that were skipped.
            if timed.time >= key:
                yield timed

    def _timestamp(self, time: float) -> int | None:
        base = self.stream.time_base
        return None if base is None else round((time + self.origin) / base)

    def _seek(self, time: float) -> bool:
        timestamp = self._timestamp(time)
        if timestamp is None:
            return False
        try:
            self._clip.container.seek(timestamp, stream=self.stream)
        except (av.FFmpegError, OverflowError, ValueError):
            return False
        return True

    def _stated_end(self) -> float | None:
        stream, container = self.stream, self._clip.container
        if stream.duration is not None and stream.time_base is not None:
            return self.seconds((stream.start_time or 0) + stream.duration)
        if container.duration is not None:
            start = container.start_time or 0
            return (start + container.duration) / av.time_base - self.origin
        return None

    def _last_end(self, *, from_key: bool = True) -> float | None:
        end: float | None = None
        # Packets come in the order of decoding: the one that is shown last may precede others.
        # Only what follows a key frame is sure to hold it.
        key_seen = not from_key
        for packet in self.packets():
            key_seen = key_seen or packet.is_keyframe
            shown = self.seconds(_timestamp_of(packet))
            if shown is None or packet.is_discard:
                continue
            base = self.stream.time_base or Fraction(0)
            lasting = float((packet.duration or 0) * base) or self.frame_seconds
            end = shown + lasting if end is None else max(end, shown + lasting)
        return end if key_seen else None


def _timestamp_of(item: Packet[VideoStream] | VideoFrame) -> int | None:
    return item.pts if item.pts is not None else item.dts
