"""Choice of the video stream in a container.

There may also be a cover, a still, thumbnails, or another angle. Stills are not used, however large
they are; of several videos the one that a player would choose is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import islice
from typing import TypeAlias

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from negah.errors import MediaError

_PICTURES = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails

# Number of packets read to distinguish videos from stills if there are several streams.
_LOOKED_AT = 1000

# Codecs of stills. A stream of them that has so many times fewer pictures than another shows
# thumbnails, or slides.
_STILLS = frozenset({"mjpeg", "png", "bmp", "gif", "tiff", "webp", "jpeg2000", "ppm", "targa"})
_FEWER = 10

_OpenContainer: TypeAlias = Callable[[], AbstractContextManager[InputContainer]]


def choose_film(container: InputContainer, name: str, open_again: _OpenContainer) -> VideoStream:
    """The stream that is captioned.

    Args:
        container: just opened; nothing is read from it.
        name: of the clip, for messages.
        open_again: gives another container of the same file, to be looked into.

    Raises:
        MediaError: there is no moving picture, or none that can be decoded.
    """
    films = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
    if not films:
        if container.streams.audio:
            raise MediaError(name, "contains only sound, no video")
        if container.streams.video:
            raise MediaError(name, "contains only a still picture, no video")
        raise MediaError(name, "contains no video")
    decodable = [stream for stream in films if stream.codec_context is not None]
    if not decodable:
        raise MediaError(
            name,
            f"is coded as {_codec_tag(films[0])}, which this FFmpeg cannot decode; "
            "convert it to MP4 (H.264)",
        )
    if len(decodable) == 1:
        return decodable[0]
    moving = _moving(decodable, _count(decodable, open_again))
    return max(
        moving or decodable,
        key=lambda one: (bool(one.disposition & Disposition.default), one.width * one.height),
    )


def _moving(streams: Sequence[VideoStream], counts: Counter[int]) -> list[VideoStream]:
    most = max(counts.values(), default=0)
    return [
        stream
        for stream in streams
        if counts[stream.index] > 1
        and not (stream.codec_context.name in _STILLS and counts[stream.index] * _FEWER < most)
    ]


def _count(streams: Sequence[VideoStream], open_again: _OpenContainer) -> Counter[int]:
    """The number of pictures of each stream, as stated or as seen at the beginning."""
    counts: Counter[int] = Counter()
    with open_again() as container, suppress(av.FFmpegError, ValueError):
        chosen = [container.streams[stream.index] for stream in streams]
        for packet in islice(container.demux(chosen), _LOOKED_AT):
            counts[packet.stream.index] += packet.size > 0
    for stream in streams:
        # An MP4 knows, and may have the frames of one stream behind those of the other.
        if container.format.name.startswith("mov"):
            counts[stream.index] = max(counts[stream.index], stream.frames)
    return counts


def _codec_tag(stream: VideoStream) -> str:
    try:
        tag = stream.codec_tag
    except AttributeError:
        tag = ""
    return repr(tag) if tag.strip("\0") else "something unknown"
