"""Clips made in the tests: a bar that walks over a coloured ground, in any codec and container."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

#: Key frames twice a second and frames that are stored out of order.
H264 = {"g": "12", "bf": "2", "preset": "ultrafast", "x264-params": "log-level=none"}


def walking_bar(count: int, height: int = 48, width: int = 64) -> Iterable[Pixels]:
    """Frames that all differ: the bar's column and the red ground tell the number."""
    for number in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0] = number * 4 % 256
        frame[:, number % width] = (0, 255, 0)
        yield frame


def blocks(seed: int) -> Pixels:
    """A picture of coloured blocks, 64 x 48."""
    colours = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(colours).resize((64, 48), Image.Resampling.NEAREST))


def make_clip(
    frames: Iterable[Pixels],
    *,
    container: str = "mp4",
    codec: str = "libx264",
    rate: int = 25,
    ticks: Sequence[int] | None = None,
    first: int = 0,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    turn: tuple[float, bool, bool] | None = None,
    aspect: Fraction | None = None,
    sound: int | None = None,
    path: Path | None = None,
    muxing: dict[str, str] | None = None,
) -> bytes:
    """Encode frames of equal size; the file's bytes (none if they went to ``path``).

    Args:
        ticks: when each is shown, in 1/rate seconds; default: one after the other.
        first: added to all ticks.
        turn: degrees counter-clockwise, mirrored left to right, mirrored top to bottom.
        aspect: of the pixels.
        sound: silence that begins at this millisecond and lasts two seconds.
        path: where to write; default: into memory.
        muxing: options of the container.
    """
    out = io.BytesIO()
    with av.open(str(path) if path else out, "w", format=container, options=muxing or {}) as file:
        chosen = (H264 if codec == "libx264" else {"g": "12"}) if options is None else options
        stream: Any = file.add_stream(codec, rate=rate, options=chosen)
        if turn is not None:
            stream.set_display_rotation(turn[0], hflip=turn[1], vflip=turn[2])
        voice = _silence(file, sound) if sound is not None else None
        for number, pixels_HW3 in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels_HW3.shape[:2]
                stream.pix_fmt = pixels
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
            source = "rgba" if pixels_HW3.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(pixels_HW3, format=source).reformat(format=pixels)
            frame.pts = first + (ticks[number] if ticks is not None else number)
            frame.time_base = Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if voice is not None:
            for packet in voice:
                file.mux(packet)
    return b"" if path else out.getvalue()


def _silence(file: Any, begins: int) -> list[Any]:
    stream = file.add_stream("aac", rate=8000)
    packets = []
    for number in range(16):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        frame.time_base = Fraction(1, 8000)
        frame.pts = begins * 8 + number * 1024
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def make_sound(container: str = "wav", codec: str = "pcm_s16le") -> bytes:
    """A file that holds a second of silence and no picture."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        frame.pts = 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def damaged(content: bytes, start: float, end: float, step: int = 37) -> bytes:
    """Every so many bytes flipped, between two parts of the length."""
    spoilt = bytearray(content)
    for at in range(int(len(content) * start), int(len(content) * end), step):
        spoilt[at] ^= 0x5A
    return bytes(spoilt)


def film(*seconds: float) -> bytes:
    """Scenes of so many seconds, each of one picture over which a bar walks; 5 frames a second."""
    frames = []
    for seed, lasting in enumerate(seconds):
        for number in range(round(lasting * 5)):
            frame = blocks(seed).copy()
            frame[:, number % 64] = 255
            frames.append(frame)
    return make_clip(frames, rate=5, container="matroska")
