"""Photographs in files -> upright RGB pictures.

Content decides, not the suffix: a PNG that is called ``.jpg`` opens. What cannot be
opened gives a :class:`~negah.errors.MediaError` that names the file and the reason.
Colour profiles are ignored, as they are in the usual training data.

Everything here may be called from several threads at once.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from negah.errors import MediaError, UsageError
from negah.media.files import open_file, why_no_media

#: Pictures with more pixels are refused before they are decoded. Phones make up to
#: 108 million; a decoded picture takes four bytes for each.
MAX_PIXELS = 120_000_000

#: A JPEG is decoded at 1/2, 1/4 or 1/8 only while that leaves this many times the target size:
#: the resize that follows then decides how the picture looks, not the decoder.
_DRAFT_HEADROOM = 2


class _Jpeg(JpegImageFile):
    """A JPEG whose EXIF block Pillow leaves alone; its reader warns of every oddity in one."""

    def getexif(self) -> Image.Exif:
        """Nothing: see :func:`_orientation`."""
        return Image.Exif()


class _Format(NamedTuple):
    name: str
    recognises: Callable[[bytes], bool]
    reader: Callable[[IO[bytes]], ImageFile]


# The classes rather than Image.open: that one warns of large pictures by a limit of its own,
# which can only be changed for the whole process, and takes a JPEG with a preview inside for
# a sequence.
_FORMATS = (
    _Format("JPEG", lambda head: head.startswith(b"\xff\xd8\xff"), _Jpeg),
    _Format("PNG", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), PngImageFile),
    _Format("WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", WebPImageFile),
    _Format("GIF", lambda head: head.startswith((b"GIF87a", b"GIF89a")), GifImageFile),
    _Format(
        "TIFF",
        lambda head: head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
        TiffImageFile,
    ),
    _Format("BMP", lambda head: head.startswith(b"BM"), BmpImageFile),
)

_READABLE = "JPEG, PNG, WebP, GIF, TIFF and BMP"

# Offset, bytes found there, what that makes of the file.
_FOREIGN = (
    (4, b"ftypheic", "is a HEIC photo, which Negah does not read; convert it to JPEG"),
    (4, b"ftypheix", "is a HEIC photo, which Negah does not read; convert it to JPEG"),
    (4, b"ftypmif1", "is a HEIF photo, which Negah does not read; convert it to JPEG"),
    (4, b"ftypavif", "is an AVIF image, which Negah does not read; convert it to JPEG or PNG"),
    (4, b"ftyp", "is a video, not a photo"),
    (0, b"\x1aE\xdf\xa3", "is a video, not a photo"),
    (8, b"AVI ", "is a video, not a photo"),
    (4, b"jP  ", "is a JPEG 2000 image, which Negah does not read; convert it to JPEG or PNG"),
    (4, b"JXL ", "is a JPEG XL image, which Negah does not read; convert it to JPEG or PNG"),
    (0, b"\xff\x0a", "is a JPEG XL image, which Negah does not read; convert it to JPEG or PNG"),
    (0, b"8BPS", "is a Photoshop file; export it as JPEG or PNG"),
    (0, b"%PDF", "is a PDF document, not an image; export its pages as JPEG or PNG"),
)

# What each EXIF orientation but 1 asks for to stand upright (Exif 2.32, tag 0x0112).
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_HEAD_BYTES = 4096
_warnings_lock = threading.Lock()


def open_image(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    target_size: tuple[int, int] | None = None,
) -> Image.Image:
    """Read one photograph: JPEG, PNG, WebP, GIF, TIFF or BMP; of several frames the first.

    Args:
        source: a path, the content of a file, or a file opened for reading bytes (which is
            read to its end and left open).
        max_pixels: refuse a picture of more pixels than this, before decoding it.
        target_size: (height, width) in pixels that the picture will be resized to, as in
            :attr:`Preprocessing.size <negah.media.preprocess.Preprocessing.size>`. A much
            larger JPEG is then decoded at a half, a quarter or an eighth of its size, which
            takes less time and memory; never to fewer pixels than the target on either side.

    Returns:
        An RGB picture, turned upright as its EXIF orientation says, without metadata.
        Transparent parts are white. See :func:`to_rgb` for the other modes.

    Raises:
        MediaError: no photo can be read from it; the message says why.
    """
    if isinstance(source, bytes):
        return _decode(io.BytesIO(source), "image data", max_pixels, target_size)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with open_file(path, "photo") as file:
            return _decode(file, str(path), max_pixels, target_size)
    content = source.read()
    if not isinstance(content, bytes):
        raise UsageError("the file is open for reading text; open it in mode 'rb'")
    name = str(getattr(source, "name", "image data"))
    return _decode(io.BytesIO(content), name, max_pixels, target_size)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB, 8 bits a colour.

    Alpha, of the mode or of a palette, is composited on white. 16-bit grey is divided
    by 257. Other grey numbers (modes ``I`` and ``F``) keep their meaning where it is
    plain: integers up to 65535 are 16-bit grey, fractions from 0 to 1 span black to white,
    fractions from 0 to 255 are 8-bit grey; anything else is stretched from its least to
    its greatest value.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _grey_to_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _decode(
    file: BinaryIO, name: str, max_pixels: int, target_size: tuple[int, int] | None
) -> Image.Image:
    head = file.read(_HEAD_BYTES)
    kind = next((known for known in _FORMATS if known.recognises(head)), None)
    if kind is None:
        raise MediaError(name, _describe(head))
    file.seek(0)
    try:
        with _without_warnings() if _may_warn(kind.name, head) else nullcontext():
            image = kind.reader(file)
            _check_pixels(image, name, max_pixels)
            if target_size is not None and isinstance(image, JpegImageFile):
                _draft(image, target_size)
            image.load()
        return _upright(image)
    except MediaError:
        raise
    except Image.DecompressionBombError as error:
        raise MediaError(name, f"has more pixels than Pillow reads: {error}") from None
    except MemoryError:
        raise MediaError(name, f"this {kind.name} image does not fit into memory") from None
    except Exception as error:
        # On bytes that nobody should trust, Pillow's readers raise whatever they trip over.
        reason = str(error) or type(error).__name__
        raise MediaError(
            name, f"is a {kind.name} image, but damaged or cut short ({reason}); fetch it again"
        ) from error


def _check_pixels(image: ImageFile, name: str, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise MediaError(
            name,
            f"has {image.width} x {image.height} = {pixels:,} pixels, more than the limit of "
            f"{max_pixels:,}; make it smaller, or raise max_pixels if you trust it",
        )


def _draft(image: JpegImageFile, target_size: tuple[int, int]) -> None:
    height, width = (side * _DRAFT_HEADROOM for side in target_size)
    lies_on_its_side = _orientation(image) in {5, 6, 7, 8}
    image.draft(None, (height, width) if lies_on_its_side else (width, height))


def _upright(image: ImageFile) -> Image.Image:
    transpose = _TO_UPRIGHT.get(_orientation(image))
    rgb = to_rgb(image)
    if transpose is not None:
        rgb = rgb.transpose(transpose)
    if rgb is image:
        # A plain picture: one of a file class would still point at the closed file.
        rgb = image.copy()
    # Metadata kept beside the turned pixels would have somebody turn them again.
    rgb.info.clear()
    return rgb


def _orientation(image: ImageFile) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or the EXIF block is damaged.

    TIFF pictures are turned by Pillow already.
    """
    exif = image.info.get("exif")
    if isinstance(image, TiffImageFile) or not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112 and kind == 3:
                return int(value)
    except struct.error:
        pass
    return 1


def _grey_to_8_bit(image: Image.Image) -> Image.Image:
    raw_HW = np.asarray(image)
    black, white = _grey_range(image.mode, raw_HW)
    values_HW = raw_HW.astype(np.float64)
    values_HW -= black
    values_HW *= 255 / (white - black)
    values_HW[~np.isfinite(values_HW)] = 0
    return Image.fromarray(np.rint(values_HW).astype(np.uint8))


def _grey_range(mode: str, raw_HW: npt.NDArray[Any]) -> tuple[float, float]:
    """The numbers that stand for black and for white."""
    if mode.startswith("I;16"):
        return 0.0, 65_535.0
    finite = raw_HW[np.isfinite(raw_HW)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    plain = (65_535.0,) if mode == "I" else (1.0, 255.0)
    for white in plain:
        if low >= 0 and high <= white:
            return 0.0, white
    return (low, high) if high > low else (low, low + 1)


def _may_warn(kind: str, head: bytes) -> bool:
    return kind in {"TIFF", "GIF"} or (kind == "PNG" and b"acTL" in head)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep Pillow's warnings about odd files to itself.

    Before Python 3.14 the filters belong to the whole process, hence the lock, and hence
    the use for the few formats alone whose readers warn.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _describe(head: bytes) -> str:
    """What a file that is no known image seems to be, by its first bytes."""
    for offset, magic, description in _FOREIGN:
        if head[offset:].startswith(magic):
            return description
    return why_no_media(head, "an image") or (
        f"is not an image of a kind that Negah reads ({_READABLE})"
    )
