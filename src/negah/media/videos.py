"""Clips in files as upright RGB frames with presentation times.

A :class:`Clip` holds no open file. Each iteration opens its own, so that several may run in
parallel, in threads or processes, and nothing needs to be closed. Frames are decoded one by one:
memory does not grow with the length of the clip. To reach a time, the walk starts from the key
frame before it, where the format allows that without changing a pixel.

Times are seconds as a player counts them: 0 is where the file begins, with its first frame or
with the sound that precedes it. A frame is shown from its time to that of the next.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from av.video.frame import VideoFrame

from negah.errors import MediaError, UsageError
from negah.media.clip_reader import ClipReader, Survey, TimedFrame
from negah.media.containers import ClipSource, check_pixels
from negah.media.frames import Frame, shown_size, to_image, turn_of
from negah.media.images import MAX_PIXELS
from negah.media.lengths import what_is_unread
from negah.media.lookup import shown_at
from negah.media.recordings import find_header, find_recordings, is_fragmented

logger = logging.getLogger(__name__)

#: A clip that claims to last longer, in seconds, has broken timestamps (30 days).
MAX_SECONDS = 30 * 24 * 3600

# A transport stream may be joined of so many recordings of which each numbers its packets anew;
# what is shorter than the least, in bytes, is none.
_MOST_PROGRAMMES = 16
_LEAST_PROGRAMME = 20 * 188

# Sound may begin before the picture, but not by longer than this, in seconds.
_LONGEST_PRELUDE = 60.0


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Properties of a clip.

    Attributes:
        width: of a frame as shown: upright, in square pixels.
        height: likewise.
        start: when the first frame is shown, in seconds; 0 unless sound comes first.
        end: when the last frame stops being shown, in seconds, by the packets that are there.
        frame_rate: frames a second as the file states it, a mean where the rate varies; None if
            it states none.
        frame_count: frames as the file states it; None if it states none. Not counted.
        rotation: degrees, clockwise, by which stored frames are turned upright: 0, 90, 180, 270.
        mirrored: whether they are mirrored besides.
        codec: how frames are coded, in FFmpeg's terms, such as ``h264``.
        container: the format of the file, in FFmpeg's terms, such as ``mov`` (also MP4).
    """

    width: int
    height: int
    start: float
    end: float
    frame_rate: float | None
    frame_count: int | None
    rotation: int
    mirrored: bool
    codec: str
    container: str

    @property
    def duration(self) -> float:
        """The duration in seconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Clip:
    """A readable clip; created by :func:`open_clip`.

    Attributes:
        name: the path as the user named it, or "video data".
        info: what the clip is.
    """

    name: str
    info: VideoInfo
    _sources: tuple[ClipSource, ...] = field(repr=False)
    _origin: float = field(repr=False)
    _keys: Sequence[float] | None = field(repr=False)
    _max_pixels: int = field(repr=False)
    _unread: tuple[str, ...] = field(default=(), repr=False)
    _damage: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Faults found in the parts of the clip read so far, one clause each."""
        return (*self._unread, *self._damage)

    def frames(self, *, size: tuple[int, int] | None = None) -> Iterator[Frame]:
        """Every frame, from the first to the last. Damaged ones are left out, with a warning.

        Args:
            size: (height, width) in pixels to scale to; default: as shown.

        Raises:
            MediaError: the clip can no longer be read.
        """
        with self._reader() as reader:
            for time, frame in reader.frames():
                yield Frame(time, to_image(frame, size or _size(reader, frame)))
            self._report(reader)

    def at(
        self,
        times: Iterable[float],
        *,
        size: tuple[int, int] | None = None,
        repeat: bool = False,
    ) -> Iterator[Frame]:
        """The frames that are shown at these times, each once.

        Between two times that are far apart nothing is decoded where the format allows that.
        The frames are the same, to the pixel, as those of :meth:`frames`.

        Args:
            times: seconds, in ascending order. Before the first frame stands the first, after
                the last the last. A time is taken when its frame is asked for.
            size: (height, width) in pixels to scale to; default: as shown.
            repeat: give a frame for every time, also where several times fall to one.

        Yields:
            As many frames as there are times, or fewer, where several times fall to one frame.

        Raises:
            UsageError: the times do not ascend.
            MediaError: the clip can no longer be read.

        Damage is reported by :attr:`warnings` once all frames have been read.
        """
        given: float | None = None
        with self._reader() as reader:
            for shown in shown_at(reader, times):
                if repeat or shown.time != given:
                    given = shown.time
                    wanted = size or _size(reader, shown.frame)
                    yield Frame(shown.time, to_image(shown.frame, wanted))
            self._note(reader)

    def keyframe_times(self) -> list[float]:
        """When the key frames are shown, in seconds; the file is read, but not decoded.

        Where the file does not tell, as in a stream without timestamps, it is decoded.
        """
        with self._reader() as reader:
            times = sorted(set(reader.keyframes()))
            if times:
                return times
            reader.rewind()
            return [time for time, frame in reader.frames() if frame.key_frame]

    def decode(self) -> Iterator[TimedFrame]:
        """Every frame with its time, as FFmpeg has it: neither turned nor converted.

        For measuring; :func:`negah.media.frames.to_array` makes small arrays of them.
        """
        with self._reader() as reader:
            yield from reader.frames()
            self._report(reader)

    def _reader(self) -> ClipReader:
        return ClipReader(
            self._sources, max_pixels=self._max_pixels, origin=self._origin, keys=self._keys
        )

    def _note(self, reader: ClipReader) -> None:
        if reader.failures:
            said = f"{reader.failures} damaged places were skipped; fetch it again if you can"
            self._damage[:] = [said]

    def _report(self, reader: ClipReader) -> None:
        self._note(reader)
        for warning in self.warnings:
            logger.warning("%s: %s", self.name, warning)


def open_clip(
    source: str | os.PathLike[str] | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS
) -> Clip:
    """Open a clip: decode its first frame and find its end.

    MP4, MOV, MKV, WebM, AVI, MPEG, FLV, WMV, OGG and others, in what codecs the installed FFmpeg
    knows; GIF and APNG animations too, but not animated WebP. Content decides, not the suffix.

    Args:
        source: a path, the content of a file, or a file opened for reading bytes (which is
            read into memory to its end and left open).
        max_pixels: refuse a clip whose frames have more pixels than this.

    Raises:
        MediaError: no frame can be read; the message says why.
    """
    sources = _recordings(_source_of(source))
    while True:
        clip, position = _look_into(sources, max_pixels)
        reached = (sources[-1].section or (0, 0))[0]
        if (
            clip.info.container != "mpegts"
            or position <= reached
            or len(sources) > _MOST_PROGRAMMES
        ):
            break
        more = _with_next(sources, position, max_pixels)
        if more == sources:
            break
        sources = more
    if clip.info.duration > MAX_SECONDS:
        raise MediaError(
            clip.name,
            f"claims to last {clip.info.duration / 86_400:,.0f} days, and clips of up to "
            f"{MAX_SECONDS / 86_400:.0f} days are read; its timestamps are broken, re-encode it",
        )
    return clip


def _recordings(whole: ClipSource) -> tuple[ClipSource, ...]:
    """A clip, or the recordings that it was joined of."""
    with whole.open() as file:
        sections = find_recordings(file)
        whole = replace(whole, fragmented=is_fragmented(file))
        size = file.seek(0, io.SEEK_END)
    if sections == [(0, size)]:
        return (whole,)
    return tuple(replace(whole, section=section) for section in sections)


def _look_into(sources: tuple[ClipSource, ...], max_pixels: int) -> tuple[Clip, int]:
    """The clip, and where in the file its last packet stands."""
    name = sources[0].name
    with ClipReader(sources, max_pixels=max_pixels) as reader:
        first = next(reader.frames(), None)
        if first is None:
            raise MediaError(name, _no_frame(reader))
        height, width = _size(reader, first.frame)
        check_pixels(width, height, name, max_pixels)
        turn = turn_of(first.frame)
        timed = first.frame.pts is not None or first.frame.dts is not None
        reader.origin = _origin(first.time, reader.starts) if timed else 0.0
        start = first.time - reader.origin
        rate = reader.frame_rate
        info = VideoInfo(
            width=width,
            height=height,
            start=start,
            end=start + reader.frame_seconds,
            frame_rate=None if rate is None else float(rate),
            frame_count=reader.stream.frames or None,
            rotation=turn.degrees,
            mirrored=turn.mirrored,
            codec=reader.stream.codec_context.name,
            container=reader.format_name,
        )
        survey = reader.survey() if timed else Survey(_counted_end(reader))
        if survey.end is not None and survey.end > start:
            info = replace(info, end=survey.end)
        unread = tuple(
            f"read only in part: {why}" for why in what_is_unread(sources, reader.unread)
        )
        clip = Clip(name, info, sources, reader.origin, survey.keys, max_pixels, unread)
        return clip, reader.position


def _with_next(
    sources: tuple[ClipSource, ...], position: int, max_pixels: int
) -> tuple[ClipSource, ...]:
    """With what follows the last packet of a TS: under a header, or other numbers (PIDs).

    FFmpeg reads packets of the numbers only that the stream had when it was opened.
    """
    whole = replace(sources[0], section=None)
    with whole.open() as file:
        size = file.seek(0, io.SEEK_END)
        header = find_header(file, position)
        if header is not None:
            found = find_recordings(file, header)
            last = replace(sources[-1], section=((sources[-1].section or (0, 0))[0], header))
            return (*sources[:-1], last, *(replace(whole, section=part) for part in found))
    if size - position >= _LEAST_PROGRAMME:
        rest = replace(whole, section=(position, size))
        with suppress(MediaError), ClipReader((rest,), max_pixels=max_pixels) as reader:
            if next(reader.frames(), None) is not None:
                return (*sources, rest)
    return sources


def _size(reader: ClipReader, frame: VideoFrame) -> tuple[int, int]:
    """As a frame is shown: those of recordings that were joined may differ."""
    return shown_size(frame, reader.stream.sample_aspect_ratio)


def _source_of(source: str | os.PathLike[str] | bytes | BinaryIO) -> ClipSource:
    if isinstance(source, bytes):
        return ClipSource("video data", source)
    if isinstance(source, str | os.PathLike):
        return ClipSource(str(Path(source)))
    content = source.read()
    if not isinstance(content, bytes):
        raise UsageError("the file is open for reading text; open it in mode 'rb'")
    return ClipSource(str(getattr(source, "name", "video data")), content)


def _no_frame(reader: ClipReader) -> str:
    codec = reader.stream.codec_context.name
    if reader.failures:
        return (
            f"none of its frames can be decoded ({codec}, {reader.failures} damaged places); "
            "fetch it again"
        )
    return (
        f"contains no frames ({codec} in {reader.format_name}), or was truncated before the first"
    )


def _origin(first: float, sounds: list[float]) -> float:
    preludes = [sound for sound in sounds if 0 < first - sound <= _LONGEST_PRELUDE]
    return min([first, *preludes])


def _counted_end(reader: ClipReader) -> float:
    reader.rewind()
    end = 0.0
    for time, _ in reader.frames():
        end = time + reader.frame_seconds
    return end
