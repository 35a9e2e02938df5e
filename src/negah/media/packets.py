"""The packets of a clip, over all recordings in its file, with continuous time.

A packet contains a coded frame. FFmpeg's errors on damaged files are handled here: unreadable
packets are counted and skipped, and recordings that cannot be opened are reported.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, cast

import av
from av.packet import Packet
from av.video.stream import VideoStream

from negah.errors import MediaError
from negah.media.clock import Clock, Stamps
from negah.media.containers import ClipSource, OpenClip, ffmpeg_reason, open_container

logger = logging.getLogger(__name__)

# Damaged packets in a row after which a file is taken to have ended.
_MOST_FAILURES = 100

# Streams of broadcasts, which state a time more than once a second (ISO/IEC 13818-1, 2.7.4): a
# longer gap is a clock that was reset. Elsewhere a picture may be shown for as long as it likes.
_BROADCAST = frozenset({"mpegts", "mpeg"})
_BROADCAST_GAP = 10.0

# They store the time of decoding.
_EXACT = _BROADCAST | {"mov", "flv"}

_USUAL_RATE = Fraction(25)
_LOWEST_RATE, _HIGHEST_RATE = Fraction(1, 3600), 1000


class PlacedPacket(NamedTuple):
    """A packet in its place.

    Attributes:
        packet: None at the end of a recording, where the decoder is flushed and reset.
        time: when it is shown, in seconds; None if the file does not say.
        shift: what was added to the file's own time.
    """

    packet: Packet[VideoStream] | None
    time: float | None
    shift: float


class Packets:
    """The packets of one open clip. Not for several threads at once.

    Args:
        sources: the recordings, in order.
        max_pixels: refuse frames of more pixels than this.

    Attributes:
        failures: damaged places that were skipped.
        unread: for each recording that cannot be read its first byte and the reason.
        clock: of the walk.
        frame_seconds: how long a frame is shown that does not say so.
        position: of the packet that was read last in the file, in bytes; 0 if it is not known.

    Raises:
        MediaError: none of the recordings can be opened; the reason is the first one's.
    """

    def __init__(self, sources: Sequence[ClipSource], max_pixels: int) -> None:
        self.failures = 0
        self.unread: dict[int, str] = {}
        self.position = 0
        self._sources = sources
        self._max_pixels = max_pixels
        self._ahead: deque[Packet[VideoStream]] = deque()
        self.clock: Clock
        self._begin(*self._open(0))

    @property
    def stream(self) -> VideoStream:
        """The video stream of the current recording."""
        return self.clip.stream

    @property
    def format_name(self) -> str:
        """FFmpeg's name of the container, such as ``avi``; the first of several."""
        return self.clip.container.format.name.split(",")[0]

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second as the file states them, if that is believable."""
        for rate in (self.stream.average_rate, self.stream.guessed_rate):
            if rate is not None and _LOWEST_RATE <= rate <= _HIGHEST_RATE:
                return rate
        return None

    def close(self) -> None:
        """Release the decoder and the file."""
        self.clip.close()

    def rewind(self) -> None:
        """Go back to the first packet. Reopening is the only way that works for every format."""
        self.clip.close()
        self._begin(*self._open(0))

    def seek(self, timestamp: int) -> bool:
        """To a key frame near a time of the stream; whether that was possible."""
        try:
            self.clip.container.seek(timestamp, stream=self.stream)
        except (av.FFmpegError, OverflowError, ValueError):
            return False
        self._restart()
        return True

    def seconds(self, timestamp: int) -> float:
        """A timestamp of the stream in seconds of the file's own clock."""
        return timestamp * self._numerator / self._denominator

    def walk(self) -> Iterator[PlacedPacket]:
        """All packets from here on. Another call continues where this one stopped."""
        while True:
            while (packet := self._next()) is not None:
                stamps = self._stamps(packet)
                if self.clock.breaks(stamps):
                    following = self._next()
                    if following is not None:
                        self._ahead.append(following)
                    late = self.clock.leap(stamps)
                    if following is not None and not self._breaks_too(following):
                        packet.pts = packet.dts = None
                        stamps = Stamps(None, None)
                    elif late is not None:
                        # The decoder continues; frames that it holds back are of the time before.
                        self._leap(late, packet, following)
                        stamps = self._stamps(packet)
                    else:
                        yield PlacedPacket(None, None, self.clock.shift)
                        self._turned_back = not self.clock.fresh
                        self.clock.join(stamps)
                if packet.is_discard and self._turned_back:
                    packet = _unhidden(packet)
                self.position = self._offset + max(packet.pos or 0, 0)
                self._given += 1
                lasting = -1.0 if packet.is_discard else self.seconds(packet.duration or 0)
                yield PlacedPacket(packet, self.clock.advance(stamps, lasting), self.clock.shift)
            if not self._given and len(self._sources) > 1:
                self.unread.setdefault(self._offset, "holds no frames")
            yield PlacedPacket(None, None, self.clock.shift)
            if not self._go_on():
                return

    def _breaks_too(self, packet: Packet[VideoStream]) -> bool:
        return self.clock.breaks(self._stamps(packet)._replace(key=True))

    def _next(self) -> Packet[VideoStream] | None:
        if self._ahead:
            return self._ahead.popleft()
        packet = next(self._demuxed, None)
        if packet is not None and self._late:
            _hasten(packet, self._late)
        return packet

    def _leap(self, late: float, *packets: Packet[VideoStream] | None) -> None:
        """The file's own clock is late by this many seconds from these packets on."""
        ticks = round(late * self._denominator / self._numerator)
        self._late += ticks
        self.clock.joints += 1
        for packet in packets:
            if packet is not None:
                _hasten(packet, ticks)

    def _stamps(self, packet: Packet[VideoStream]) -> Stamps:
        pts, dts = packet.pts, packet.dts
        shown = None if pts is None else self.seconds(pts)
        decoded = None if dts is None else self.seconds(dts)
        if shown is not None and decoded is not None and self.clock.are_apart(shown, decoded):
            packet.pts, shown = dts, decoded
        return Stamps(shown, decoded, packet.is_keyframe)

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        in_a_row = 0
        while in_a_row < _MOST_FAILURES:
            try:
                for packet in self.clip.container.demux(self.stream):
                    if packet.size:
                        in_a_row = 0
                        yield packet
                return
            except IndexError:
                # PyAV flushes streams at the end that it did not know at the beginning.
                return
            except (av.FFmpegError, ValueError) as error:
                logger.debug("%s: a packet cannot be read: %s", self.name, ffmpeg_reason(error))
                self.failures += 1
                in_a_row += 1

    @property
    def name(self) -> str:
        """Of the clip, for messages."""
        return self._sources[0].name

    def _open(self, number: int) -> tuple[OpenClip, int]:
        """The first recording from this one on that can be opened, and its number."""
        first: MediaError | None = None
        for at in range(number, len(self._sources)):
            source = self._sources[at]
            try:
                return open_container(source, self._max_pixels), at
            except MediaError as error:
                first = first or error
                if source.section is not None:
                    self.unread[source.section[0]] = error.reason
        raise first or MediaError(self.name, "holds nothing more")

    def _begin(self, clip: OpenClip, number: int) -> None:
        self._enter(clip, number)
        self._restart()

    def _enter(self, clip: OpenClip, number: int) -> None:
        """Read this recording from here on. What every packet needs is looked up once."""
        self.clip, self._number = clip, number
        self.frame_seconds = float(1 / (self.frame_rate or _USUAL_RATE))
        base = clip.stream.time_base or Fraction(1, av.time_base)
        self._numerator, self._denominator = base.numerator, base.denominator
        self._offset = (self._sources[number].section or (0, 0))[0]
        self._given = 0
        self._late = 0
        self._demuxed = self._demux()

    def _restart(self) -> None:
        self._ahead.clear()
        self._turned_back = False
        self._late = 0
        self._demuxed = self._demux()
        self.clock = Clock(self.frame_seconds, self._gap, exact=self.format_name in _EXACT)

    @property
    def _gap(self) -> float:
        return _BROADCAST_GAP if self.format_name in _BROADCAST else float("inf")

    def _go_on(self) -> bool:
        """To the next recording; whether there is one."""
        if self._number + 1 >= len(self._sources):
            return False
        try:
            clip, number = self._open(self._number + 1)
        except MediaError:
            return False
        self.clip.close()
        self._enter(clip, number)
        self.clock.begin(self.frame_seconds, self._gap, exact=self.format_name in _EXACT)
        return True


def _hasten(packet: Packet[VideoStream], ticks: int) -> None:
    if packet.pts is not None:
        packet.pts -= ticks
    if packet.dts is not None:
        packet.dts -= ticks


def _unhidden(packet: Packet[VideoStream]) -> Packet[VideoStream]:
    """A copy that is not hidden: FFmpeg hides what it believes to be shown already."""
    copy = cast("Packet[VideoStream]", Packet(bytes(packet)))
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    copy.is_keyframe, copy.duration = packet.is_keyframe, packet.duration
    return copy
