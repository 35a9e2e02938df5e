"""Opening possible clips as FFmpeg containers, or reporting why that fails.

The file is opened here, and FFmpeg gets only its content and a list of allowed formats, so
playlists or odd names cannot make it access other files or the network.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from negah.errors import MediaError
from negah.media.encryption import how_encrypted
from negah.media.kinds import open_file, too_large, why_no_media
from negah.media.recordings import Section
from negah.media.tracks import choose_film

_VIDEO_FORMATS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,gif,apng,nut,"
    "rm,dv,mxf,wtv,yuv4mpegpipe"
)
# Known, to report that they contain only sound.
_AUDIO_FORMATS = "mp3,wav,w64,flac,aac,ac3,eac3,aiff,au,amr,caf"

_READABLE = "MP4, MOV, MKV, WebM, AVI, MPEG, FLV, WMV, OGG, GIF and others"


class _FileSignature(NamedTuple):
    offset: int
    magic: bytes
    name: str


_VIDEOS = (
    _FileSignature(4, b"ftyp", "an MP4 or MOV video"),
    _FileSignature(4, b"moov", "a MOV video"),
    _FileSignature(0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    _FileSignature(8, b"AVI ", "an AVI video"),
    _FileSignature(0, b"FLV", "an FLV video"),
    _FileSignature(0, b"\x30\x26\xb2\x75", "a WMV video"),
    _FileSignature(0, b"OggS", "an OGG file"),
    _FileSignature(0, b"\0\0\x01\xba", "an MPEG video"),
    _FileSignature(0, b"GIF8", "a GIF animation"),
    _FileSignature(0, b"\x89PNG", "an animated PNG"),
)

# In the order in which they are tried: a photo's own signature may hold a video's.
_FOREIGN = (
    (0, b"\xff\xd8\xff", "is a JPEG photo, not a clip"),
    (0, b"BM", "is a BMP image, not a clip"),
    (0, b"II*\0", "is a TIFF image, not a clip"),
    (0, b"MM\0*", "is a TIFF image, not a clip"),
    (4, b"ftyphei", "is a HEIC photo, not a clip"),
    (4, b"ftypmif1", "is a HEIF photo, not a clip"),
    (4, b"ftypavif", "is an AVIF image, not a clip"),
    (0, b"#EXTM3U", "is a playlist, not a clip; name the clips in it"),
)

_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ClipSource:
    """The location of a clip's bytes, which can be opened repeatedly.

    Attributes:
        name: for messages.
        content: the whole file, if it is in memory; else ``name`` is its path.
        section: from where to where in the file the clip reaches, in bytes; None for all of it.
        fragmented: whether it is an MP4 that has its index in pieces between the frames.
    """

    name: str
    content: bytes | None = None
    section: tuple[int, int] | None = None
    fragmented: bool = False

    def open(self) -> BinaryIO:
        """The bytes from the beginning.

        Raises:
            MediaError: the file cannot be opened.
        """
        file: BinaryIO
        if self.content is None:
            file = open_file(Path(self.name), "clip")
        else:
            file = io.BytesIO(self.content)
        return file if self.section is None else cast(BinaryIO, Section(file, *self.section))


@dataclass(frozen=True, slots=True)
class OpenClip:
    """A container, its video stream, and the underlying file; must be closed with :meth:`close`."""

    container: InputContainer
    stream: VideoStream
    file: BinaryIO

    def close(self) -> None:
        """Release the decoder and the file."""
        self.container.close()
        self.file.close()


def open_container(source: ClipSource, max_pixels: int) -> OpenClip:
    """Open a clip and choose its video stream.

    Raises:
        MediaError: it is not a clip, has no video, or none that can be decoded.
    """
    file = source.open()
    try:
        container = _open(file, source.name, max_pixels)
        try:
            stream = choose_film(container, source.name, partial(_another, source, max_pixels))
            check_pixels(stream.width, stream.height, source.name, max_pixels)
            _read_only(stream, container)
            stream.codec_context.options = {"max_pixels": str(max_pixels)}
        except BaseException:
            container.close()
            raise
    except BaseException:
        file.close()
        raise
    return OpenClip(container, stream, file)


@contextmanager
def _another(source: ClipSource, max_pixels: int) -> Iterator[InputContainer]:
    with source.open() as file, _open(file, source.name, max_pixels) as container:
        yield container


def _open(file: BinaryIO, name: str, max_pixels: int) -> InputContainer:
    head = file.read(_HEAD_BYTES)
    refusal = _refuse(head)
    if refusal:
        raise MediaError(name, refusal)
    encryption = how_encrypted(file)
    if encryption:
        raise MediaError(
            name,
            f"is encrypted ({encryption}), and Negah has no key; use a copy without protection",
        )
    file.seek(0)
    try:
        return av.open(
            file,
            "r",
            # Also what the decoders, opened for a look into the streams, may allocate.
            options={"max_pixels": str(max_pixels)},
            container_options={
                "format_whitelist": f"{_VIDEO_FORMATS},{_AUDIO_FORMATS}",
                "protocol_whitelist": "none",
            },
            metadata_errors="replace",
        )
    except MemoryError:
        raise MediaError(name, "does not fit into memory") from None
    except (av.FFmpegError, ValueError, OSError) as error:
        kind = next((k.name for k in _VIDEOS if head[k.offset :].startswith(k.magic)), None)
        if kind is None:
            reason = f"is not a video of a kind that Negah reads ({_READABLE})"
        else:
            reason = f"is {kind}, but damaged or truncated ({ffmpeg_reason(error)}); fetch it again"
        raise MediaError(name, reason) from error


def _refuse(head: bytes) -> str | None:
    for offset, magic, description in _FOREIGN:
        if head[offset:].startswith(magic):
            return description
    if head[8:12] == b"WEBP":
        animated = b"ANIM" in head[12:64]
        return (
            "is an animated WebP, which Negah does not read; convert it to MP4 or GIF"
            if animated
            else "is a WebP image, not a clip"
        )
    if head.startswith(b"\x89PNG") and b"acTL" not in head:
        return "is a PNG image, not a clip"
    return why_no_media(head, "a video")


def _read_only(wanted: VideoStream, container: InputContainer) -> None:
    for stream in container.streams:
        if stream is not wanted:
            with suppress(AttributeError, ValueError):
                stream.discard = av.stream.Discard.all


def check_pixels(width: int, height: int, name: str, max_pixels: int) -> None:
    """Refuse frames that are too large for memory."""
    if width * height > max_pixels:
        raise MediaError(name, too_large("has frames of", width, height, max_pixels))


def ffmpeg_reason(error: BaseException) -> str:
    """FFmpeg's reason, without the path and error number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
