"""Reading the frames of a clip, from its beginning or from a key frame near a time.

Every frame gets a presentation time in seconds, even if the file gives none, and time continues
over joined recordings. Of a damaged file all decodable frames are returned, and the others counted.
"""

from __future__ import annotations

import itertools
import logging
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from types import TracebackType
from typing import NamedTuple, Self

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from negah.errors import MediaError
from negah.media.containers import ClipSource, check_pixels, ffmpeg_reason
from negah.media.frames import can_convert
from negah.media.packets import Packets, PlacedPacket

logger = logging.getLogger(__name__)

# Their packets can be found by time and decoded from a key frame. Others are walked through:
# MPEG programme streams, whose timestamps change with the place one starts from; GIF and APNG,
# which call frames key frames that are none; and streams without any timestamps.
_SEEKABLE = frozenset({"mov", "matroska", "avi", "mpegts", "flv", "asf", "nut", "ivf", "mxf"})

# Their key frames are such, and are found by walking.
_SKIPPABLE = frozenset({"mpeg"})

# Of these without an index the clock may begin anew anywhere; only a look at all packets tells.
_UNINDEXED = frozenset({"mpegts", "flv", "nut"})

# How far before a time to look for its key frame, in seconds, when the nearest found is too late.
_STEPS_BACK = (0.0, 1.0, 4.0, 16.0, 64.0)

# Without an index nobody knows where the next key frame is: closer than this, decode on.
_NEAR_SECONDS = 5.0


class TimedFrame(NamedTuple):
    """A decoded frame and its presentation time in seconds."""

    time: float
    frame: VideoFrame


class Survey(NamedTuple):
    """Facts about a clip from its packets, without decoding.

    Attributes:
        end: when the last frame stops being shown, in seconds; None if they carry no times.
        keys: when key frames are shown, in seconds, if frames are found by walking, not by time,
            as where a clip is joined of several recordings; else None.
    """

    end: float | None
    keys: Sequence[float] | None = None


class ClipReader:
    """An open clip: a context manager; not thread-safe.

    Args:
        sources: the recordings that it is joined of; mostly one.
        max_pixels: refuse frames of more pixels than this.
        origin: the file's own time, in seconds, that counts as 0.
        keys: as :meth:`survey` found them.
    """

    def __init__(
        self,
        sources: Sequence[ClipSource],
        *,
        max_pixels: int,
        origin: float = 0.0,
        keys: Sequence[float] | None = None,
    ) -> None:
        self.origin = origin
        self.damaged = 0
        self._name = sources[0].name
        self._max_pixels = max_pixels
        self._packets = Packets(sources, max_pixels)
        self._keys = keys
        self._fed = float("-inf")
        self._seekable = self.format_name in _SEEKABLE
        whole = len(sources) == 1 and not sources[0].fragmented
        self._indexed = whole and self.format_name not in _UNINDEXED
        self._may_jump = self._seekable or self.format_name in _SKIPPABLE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._packets.close()

    @property
    def stream(self) -> VideoStream:
        """The moving picture, as the header of the recording that is read describes it."""
        return self._packets.stream

    @property
    def format_name(self) -> str:
        """FFmpeg's name of the container, such as ``avi``; the first of several."""
        return self._packets.format_name

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames a second as the file states them, if that is believable."""
        return self._packets.frame_rate

    @property
    def frame_seconds(self) -> float:
        """How long a frame is shown that does not say so."""
        return self._packets.frame_seconds

    @property
    def failures(self) -> int:
        """Number of damaged places skipped so far."""
        return self.damaged + self._packets.failures

    @property
    def unread(self) -> dict[int, str]:
        """For each recording that cannot be read its first byte and the reason."""
        return self._packets.unread

    @property
    def position(self) -> int:
        """Position in the file of the last packet read, in bytes."""
        return self._packets.position

    @property
    def starts(self) -> list[float]:
        """The file's own times, in seconds, at which its streams of sound begin."""
        return [
            float(stream.start_time * stream.time_base)
            for stream in self._packets.clip.container.streams.audio
            if stream.start_time is not None and stream.time_base is not None
        ]

    def rewind(self) -> None:
        """Go back to the first frame."""
        self._packets.rewind()
        self._fed = float("-inf")

    def frames(self, pieces: Iterable[PlacedPacket] | None = None) -> Iterator[TimedFrame]:
        """Every frame of the packets, in the order of showing; times strictly rise.

        Args:
            pieces: default: those from here on.

        Raises:
            MediaError: a frame is too large.
        """
        last: float | None = None
        for frame, shift in self._decode(self._packets.walk() if pieces is None else pieces):
            stamp = frame.pts if frame.pts is not None else frame.dts
            if stamp is None:
                time = 0.0 if last is None else last + self.frame_seconds
            else:
                time = self._packets.seconds(stamp) + shift - self.origin
                if last is not None:
                    time = max(time, last + min(0.001, self.frame_seconds / 2))
            last = time
            yield TimedFrame(time, frame)

    def keyframes(self) -> Iterator[float]:
        """When the key frames from here on are shown, in seconds, by the packets."""
        for piece in self._packets.walk():
            packet, time = piece.packet, piece.time
            if time is None or packet is None or packet.is_discard or not packet.is_keyframe:
                continue
            yield time - self.origin

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
        if not self._may_jump:
            return None
        if self._keys is not None:
            return self._walk_to_key(self._keys, time)
        if not self._seekable or not self._may_skip(time, position):
            return None
        for back in _STEPS_BACK:
            if time - back <= 0:
                break
            found = self._frames_from_key(time - back, time)
            if found is not None:
                return found
        return self._from_start()

    def survey(self) -> Survey:
        """Find the end, and whether the clip is joined. Reads no more than it must.

        The header's duration is not asked: it may be that of the sound, or of a file that was
        cut short since, or of the first of several recordings.
        """
        stated = self._stated_end()
        if self._seekable and stated is not None and self._indexed:
            for back in _STEPS_BACK:
                if self._seek(max(stated - back, 0.0)) and self._reaches_end():
                    return Survey(self._end())
        self.rewind()
        return self._survey_all()

    def _survey_all(self) -> Survey:
        keys = array("d")
        for packet, time, _ in self._packets.walk():
            if time is not None and packet is not None and packet.is_keyframe:
                keys.append(time - self.origin)
        walked = self._packets.clock.joints or self.format_name in _SKIPPABLE
        return Survey(self._end(), sorted(keys) if walked else None)

    def _end(self) -> float | None:
        end = self._packets.clock.end
        return None if end is None else end - self.origin

    def _reaches_end(self) -> bool:
        # Packets come in the order of decoding: the one that is shown last may precede others.
        # Only what follows a key frame is sure to hold it.
        found = False
        for piece in self._packets.walk():
            found = found or _is_key(piece)
        return found

    def _decode(self, pieces: Iterable[PlacedPacket]) -> Iterator[tuple[VideoFrame, float]]:
        for piece in pieces:
            if piece.time is not None:
                self._fed = max(self._fed, piece.time - self.origin)
            for frame in self.decode(piece.packet):
                yield frame, piece.shift
            if piece.packet is None:
                # What was held back is given; what follows leans on nothing before.
                self.stream.codec_context.flush_buffers()

    def decode(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        """The frames of a packet, of the size and format that can be read; None at the end."""
        try:
            frames = self.stream.decode(packet)
        except EOFError:
            return
        except MemoryError:
            raise MediaError(self._name, "its frames do not fit into memory") from None
        except (av.FFmpegError, ValueError) as error:
            logger.debug("%s: a frame cannot be decoded: %s", self._name, ffmpeg_reason(error))
            self.damaged += 1
            return
        for frame in frames:
            check_pixels(frame.width, frame.height, self._name, self._max_pixels)
            if not can_convert(frame.format.name):
                raise MediaError(
                    self._name,
                    f"has pixels in the format {frame.format.name}, which this FFmpeg cannot "
                    f"convert to RGB; convert it to MP4 (H.264)",
                )
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
                return self._packets.seconds(index[found].timestamp) - self.origin > position
        return time - position > _NEAR_SECONDS

    def _walk_to_key(self, keys: Sequence[float], time: float) -> Iterator[TimedFrame] | None:
        """Skip packets up to the last key frame before ``time``, if it is still to come."""
        at = bisect_right(keys, time)
        if not at or keys[at - 1] <= max(self._fed, keys[0]):
            return None
        self.stream.codec_context.flush_buffers()
        return self._frames_from(keys[at - 1], time) or self._from_start()

    def _frames_from_key(self, target: float, time: float) -> Iterator[TimedFrame] | None:
        return self._frames_from(float("-inf"), time) if self._seek(target) else None

    def _frames_from(self, least: float, time: float) -> Iterator[TimedFrame] | None:
        """Frames from the next key frame on, that is not before ``least`` nor after ``time``."""
        frames = self._after_key(least, time)
        first = next(frames, None)
        if first is None or first.time > time:
            return None
        if not first.frame.key_frame:
            # The container's word for a key frame is not the decoder's: trust it no more.
            self._may_jump = False
            return None
        return itertools.chain([first], frames)

    def _after_key(self, least: float, time: float) -> Iterator[TimedFrame]:
        pieces = self._packets.walk()
        for start in pieces:
            if _is_key(start) and (start.time is None or start.time - self.origin >= least):
                break
        else:
            return
        if start.time is None or start.time - self.origin > time:
            return
        for timed in self.frames(itertools.chain([start], pieces)):
            # What is shown before the key frame but follows it leans on frames that were skipped.
            if timed.time >= start.time - self.origin:
                yield timed

    def _from_start(self) -> Iterator[TimedFrame]:
        self.rewind()
        return self.frames()

    def _timestamp(self, time: float) -> int | None:
        base = self.stream.time_base
        return None if base is None else round((time + self.origin) / base)

    def _seek(self, time: float) -> bool:
        timestamp = self._timestamp(time)
        return timestamp is not None and self._packets.seek(timestamp)

    def _stated_end(self) -> float | None:
        stream, container = self.stream, self._packets.clip.container
        if stream.duration is not None:
            return self._packets.seconds((stream.start_time or 0) + stream.duration) - self.origin
        if container.duration is not None:
            start = container.start_time or 0
            return (start + container.duration) / av.time_base - self.origin
        return None


def _is_key(piece: PlacedPacket) -> bool:
    return piece.packet is not None and piece.packet.is_keyframe
