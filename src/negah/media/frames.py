"""Conversion of decoded video frames to upright RGB pictures with presentation times.

The metadata of a clip may state rotation or mirroring (the display matrix written by phones),
non-square pixels and a colour space; all are applied here, so that a frame looks as in a player.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image

from negah.media.hdr import Primaries, Transfer, to_sdr
from negah.media.preprocess import to_rgb

# Pixels further from square than this are a fault of the file, not a format anyone shot in.
_WIDEST_PIXEL = Fraction(4)

# Of a clip that does not name its colours: what is HD is coded in BT.709, what is smaller in
# BT.601. Players decide alike; FFmpeg alone would take BT.601 for both.
_UNSPECIFIED = 2
# The matrices, and the ranges, that FFmpeg converts from, by the numbers of ITU-T H.273: it refuses
# others, which damaged files have.
_MATRICES = frozenset({0, 1, 4, 5, 6, 7, 9})
_RANGES = frozenset({0, 1, 2})
_HD_HEIGHT = 720

_MOST_BITS = 16

# By the numbers of ITU-T H.273.
_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
_PRIMARIES: dict[int, Primaries] = {1: "bt709", 12: "p3"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a clip.

    Attributes:
        time: presentation time in seconds of playback.
        image: upright RGB.
    """

    time: float
    image: Image.Image


class Turn(NamedTuple):
    """The transformation that turns a stored frame upright.

    Attributes:
        degrees: clockwise: 0, 90, 180 or 270.
        mirrored: left and right are swapped, after turning.
    """

    degrees: int
    mirrored: bool


_UPRIGHT = Turn(0, False)


def turn_of(frame: VideoFrame) -> Turn:
    """Read the display matrix; its angle rounded to a quarter turn."""
    side_data: Any = frame.side_data
    data = side_data.get("DISPLAYMATRIX")
    if data is None or data.buffer_size < 36:
        return _UPRIGHT
    # x' = ax + cy, y' = bx + dy, with y downwards (ISO/IEC 14496-12, 8.3.2).
    a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(data)[:20], np.int32))
    mirrored = a * d - b * c < 0
    if mirrored:
        a, c = -a, -c
    if abs(a) >= abs(b):
        return Turn(0 if a >= 0 else 180, mirrored)
    return Turn(90 if b > 0 else 270, mirrored)


def shown_size(frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """(height, width) in square pixels, upright.

    Args:
        frame: as it was decoded.
        aspect: width of a stored pixel divided by its height; None if the clip does not say.
    """
    height, width = frame.height, frame.width
    if aspect is not None and 1 / _WIDEST_PIXEL <= aspect <= _WIDEST_PIXEL:
        # The shorter side is enlarged, so that no detail is lost.
        if aspect > 1:
            width = round(width * aspect)
        else:
            height = round(height / aspect)
    return (width, height) if turn_of(frame).degrees in {90, 270} else (height, width)


@lru_cache(maxsize=64)
def can_convert(pixels: str) -> bool:
    """Whether FFmpeg makes RGB of frames in a format of pixels, such as ``yuv420p``."""
    try:
        frame = VideoFrame(16, 16, pixels)
        wide = any(component.bits > _MOST_BITS for component in frame.format.components)
        if wide or "f16" in pixels:
            # Of some that are of floating point, FFmpeg does not say so but aborts.
            return False
        frame.reformat(format="rgb24")
    except (av.FFmpegError, ValueError):
        return False
    return True


def to_array(
    frame: VideoFrame, size: tuple[int, int], *, exact: bool = True
) -> npt.NDArray[np.uint8]:
    """The upright frame, scaled to ``size``: uint8 (height, width, 3), or 4 with alpha.

    High dynamic range is tone-mapped (:mod:`negah.media.hdr`).

    Args:
        frame: as it was decoded.
        size: (height, width) in pixels of the upright picture.
        exact: resize with a wide filter, for display; else by averaging, for measurements.
    """
    turn = turn_of(frame)
    height, width = reversed(size) if turn.degrees in {90, 270} else size
    transfer = _TRANSFERS.get(frame.color_trc)
    if transfer is not None:
        form = "rgb48le"
    elif any(component.is_alpha for component in frame.format.components):
        form = "rgba"
    else:
        form = "rgb24"
    colours = _unnamed_colours(frame, hdr=transfer is not None)
    converted = frame.reformat(
        width=width,
        height=height,
        format=form,
        src_colorspace=colours,
        dst_colorspace=colours,
        src_color_range=None if frame.color_range in _RANGES else ColorRange.MPEG,
        dst_color_range=None if frame.color_range in _RANGES else ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC if exact else Interpolation.AREA,
        threads=1,
    )
    stored_HWC = converted.to_ndarray()
    if transfer is not None:
        codes_HW3 = stored_HWC.astype(np.uint16, copy=False)
        primaries = _PRIMARIES.get(frame.color_primaries, "bt2020")
        stored_HWC = to_sdr(codes_HW3, transfer, primaries=primaries, peak=_peak(frame))
    stored_HWC = stored_HWC.astype(np.uint8, copy=False)
    turned_HWC = np.rot90(stored_HWC, -turn.degrees // 90)
    return turned_HWC[:, ::-1] if turn.mirrored else turned_HWC


def _unnamed_colours(frame: VideoFrame, *, hdr: bool) -> Colorspace | None:
    """What a frame is coded in that does not say so, or not what FFmpeg knows; else None."""
    if frame.colorspace in _MATRICES:
        return None
    if hdr:
        return Colorspace.BT2020
    if frame.height >= _HD_HEIGHT:
        return Colorspace.ITU709
    return None if frame.colorspace == _UNSPECIFIED else Colorspace.ITU601


def _peak(frame: VideoFrame) -> float | None:
    """The brightest light in an HDR10 clip, in cd/m2, as its metadata say (CTA-861.3)."""
    side_data: Any = frame.side_data
    light = side_data.get("CONTENT_LIGHT_LEVEL")
    if light is not None and light.buffer_size >= 4:
        most = int(np.frombuffer(bytes(light)[:4], np.uint32)[0])
        if most:
            return float(most)
    screen = side_data.get("MASTERING_DISPLAY_METADATA")
    if screen is not None and screen.buffer_size >= 88:
        # Three primaries, the white point and the least light precede, two fractions each or one.
        above, below = (int(number) for number in np.frombuffer(bytes(screen)[72:80], np.int32))
        has_luminance = int(np.frombuffer(bytes(screen)[84:88], np.int32)[0])
        if has_luminance and above > 0 and below > 0:
            return above / below
    return None


def to_image(frame: VideoFrame, size: tuple[int, int]) -> Image.Image:
    """The upright RGB picture, scaled to ``size`` = (height, width); transparent parts white."""
    return to_rgb(Image.fromarray(np.ascontiguousarray(to_array(frame, size))))
