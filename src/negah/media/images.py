"""Photographs in files -> upright RGB pictures.

The content decides, not the suffix: a PNG named ``.jpg`` opens. A picture opens if its pixels can
be decoded, even if metadata are damaged or the end is missing: see :mod:`negah.media.salvage`.
Unreadable files raise a :class:`~negah.errors.MediaError` that names the file and the reason.
Colour profiles are ignored, as they are in the usual training data. The orientation is read from
EXIF and XMP metadata as in Pillow's ``exif_transpose``, but damaged metadata are ignored instead of
raising an exception.

Everything here may be called from several threads at once.
"""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from negah.arrays import BoolArray
from negah.errors import MediaError, MissingExtraError, UsageError
from negah.media.kinds import (
    RAW,
    PictureFormat,
    describe,
    is_raw,
    kind_of,
    open_file,
    too_large,
    why_unreadable,
)
from negah.media.preprocess import to_rgb

#: Pictures that would be decoded to more pixels are refused before decoding; a decoded picture
#: takes four bytes for each. A JPEG that is decoded at an eighth may have 64 times as many.
MAX_PIXELS = 120_000_000

#: A progressive JPEG is held in memory as a whole, whatever the size it is decoded at: it may
#: have this many times the pixels.
_MOST_PROGRESSIVE = 2

#: A JPEG is decoded at 1/2, 1/4 or 1/8 only while that leaves this many times the target size:
#: the resize that follows then decides how the picture looks, not the decoder.
_DRAFT_HEADROOM = 2

#: Above this number of pixels Pillow warns when a picture is cropped.
_HANDY = 80_000_000

#: The operation that turns each orientation but 1 upright (Exif 2.32, tag 0x0112).
TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

#: Of EXIF and TIFF.
ORIENTATION_TAG = 0x0112

#: Orientations that swap width and height.
LYING = frozenset({5, 6, 7, 8})

# Byte order by the head of a TIFF block; the last two are wrong, and some writers' own.
_ORDERS = {b"II*\0": "<", b"MM\0*": ">", b"MM*\0": ">", b"II\0*": "<"}
# The types of TIFF 6.0 as struct spells them, and of each the bytes of one value.
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii"}
_TYPES |= {11: "f", 12: "d", 13: "I", 16: "Q"}
_NO_NUMBERS = frozenset({1, 2, 7})
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

_HEAD_BYTES = 4096
_warnings_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """A photograph and the warnings from reading it.

    Attributes:
        image: RGB, upright, without metadata.
        warnings: to be shown with its caption, one clause each, such as that half of it is missing.
    """

    image: Image.Image
    warnings: tuple[str, ...] = ()


def open_image(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    target_size: tuple[int, int] | None = None,
) -> Image.Image:
    """The picture that :func:`read_image` reads, with the same arguments and errors."""
    return read_image(source, max_pixels=max_pixels, target_size=target_size).image


def read_image(
    source: str | os.PathLike[str] | bytes | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    target_size: tuple[int, int] | None = None,
) -> OpenedImage:
    """Read one photograph; of several pictures in a file the first.

    JPEG (also MPO), PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 and, with the extra ``heic``, HEIC.

    Args:
        source: a path, the content of a file, or a file opened for reading bytes (which is
            read to its end and left open).
        max_pixels: refuse larger pictures.
        target_size: (height, width) in pixels that the picture will be resized to, as in
            :attr:`Preprocessing.size <negah.media.preprocess.Preprocessing.size>`. A much
            larger JPEG is then decoded at a half, a quarter or an eighth of its size, which
            takes less time and memory; never to fewer pixels than the target on either side.

    Returns:
        An RGB picture, turned upright as its metadata say (:func:`orientation`). Transparent parts
        are white. See :func:`~negah.media.preprocess.to_rgb` for the other modes. If a picture can
        be read only partly, the rows that were read, with a warning.

    Raises:
        MediaError: it cannot be read as a photo; the message says why.
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


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The arguments of :func:`read_image`; ``name`` is for messages."""

    name: str
    max_pixels: int
    target_size: tuple[int, int] | None

    def prepare(self, image: ImageFile) -> None:
        """Choose the size to decode at, and refuse what is still too large."""
        width, height = image.size
        if isinstance(image, TiffImageFile) and is_raw(image, self.name):
            raise MediaError(self.name, RAW)
        if isinstance(image, JpegImageFile):
            if image.info.get("progressive"):
                most = _MOST_PROGRESSIVE * self.max_pixels
                self.check("is a progressive JPEG and has", width, height, most)
            if self.target_size is not None:
                _draft(image, self.target_size)
        if image.width * image.height > self.max_pixels:
            self.check("has", width, height, self.max_pixels)

    def check(self, what: str, width: int, height: int, limit: int) -> None:
        """Refuse a picture of more pixels."""
        if width * height > limit:
            raise MediaError(self.name, too_large(what, width, height, limit))


def _decode(
    file: BinaryIO, name: str, max_pixels: int, target_size: tuple[int, int] | None
) -> OpenedImage:
    head = file.read(_HEAD_BYTES)
    kind = kind_of(head)
    if kind is None:
        raise MediaError(name, describe(head))
    wishes = _Wishes(name, max_pixels, target_size)
    with _without_warnings() if kind.warns(file) else nullcontext():
        try:
            file.seek(0)
            image = _load(kind, file, head, wishes)
            if image is not None and not (
                isinstance(image, JpegImageFile) and _ends_in_grey(image)
            ):
                turn = _turn_of(image, image.info)
                return OpenedImage(_shrunk(_upright(image, kind, turn), target_size))
            file.seek(0)
            return _rescued(kind, file.read(), wishes, image)
        except MediaError:
            raise
        except MissingExtraError as error:
            raise MediaError(name, str(error)) from None
        except Image.DecompressionBombError as error:
            raise MediaError(name, f"has more pixels than Pillow reads: {error}") from None
        except MemoryError:
            raise MediaError(name, f"this {kind.name} image does not fit into memory") from None
        except Exception as error:
            # On untrusted bytes, Pillow's readers may raise any exception.
            raise MediaError(name, why_unreadable(kind, error)) from error


def _load(kind: PictureFormat, file: BinaryIO, head: bytes, wishes: _Wishes) -> ImageFile | None:
    """The decoded picture; None if its reader fails."""
    try:
        if kind.name == "WebP":
            # Its reader allocates the picture when it opens the file.
            _check_webp(head, wishes)
        image = kind.reader(file)
        wishes.prepare(image)
        image.load()
        return image
    except (MediaError, MissingExtraError, MemoryError):
        raise
    except Exception:
        return None


def _rescued(
    kind: PictureFormat, content: bytes, wishes: _Wishes, decoded: ImageFile | None
) -> OpenedImage:
    # imported for a damaged picture, which few are
    from negah.media.salvage import LEAST_SHARE, keep_read_rows, salvage

    found = salvage(kind, content, wishes.prepare, decoded)
    turn = _turn_of(found.image, found.info)
    if found.read_HW is None:
        rgb = _upright(found.image, kind, turn)
        said = ("read only in part: all rows, but not in all detail",) if found.coarse else ()
        return OpenedImage(_shrunk(rgb, wishes.target_size), said)
    rgb, share = keep_read_rows(_colours(found.image, kind, found.read_HW), found.read_HW)
    if share < LEAST_SHARE:
        raise MediaError(
            wishes.name,
            f"is {kind.noun}, but damaged or truncated ({int(100 * share)}% of its rows can be "
            f"read, and a caption needs {LEAST_SHARE:.0%}); fetch it again",
        )
    said = (f"read only in part: {min(99, int(100 * share))}% of its rows",)
    return OpenedImage(_shrunk(_turned(rgb, turn), wishes.target_size), said)


def _check_webp(head: bytes, wishes: _Wishes) -> None:
    chunk = head[12:16]
    if chunk == b"VP8X":
        sides = (int.from_bytes(head[24:27], "little"), int.from_bytes(head[27:30], "little"))
        wishes.check("has", sides[0] + 1, sides[1] + 1, wishes.max_pixels)


def _draft(image: JpegImageFile, target_size: tuple[int, int]) -> None:
    height, width = (side * _DRAFT_HEADROOM for side in target_size)
    lying = orientation(image.info) in LYING
    image.draft(None, (height, width) if lying else (width, height))


def _turn_of(image: ImageFile, info: Mapping[Any, Any]) -> int:
    if isinstance(image, TiffImageFile):
        # Pillow turns it when it is decoded, and drops the tag; if that fails, the tag is there.
        stated = image.tag_v2.get(ORIENTATION_TAG)
        return stated if stated in TO_UPRIGHT else 1
    return orientation(info)


def _ends_in_grey(image: JpegImageFile) -> bool:
    """Whether the last row looks as the decoder leaves what it found nothing for."""
    row = image.crop((0, image.height - 1, image.width, image.height))
    bands = row.getextrema()
    pairs: Any = bands if isinstance(bands[0], tuple) else (bands,)
    return all(low == high and 120 <= low <= 136 for low, high in pairs)


def _upright(image: ImageFile, kind: PictureFormat, turn: int) -> Image.Image:
    return _turned(_colours(image, kind), turn)


def _colours(
    image: ImageFile, kind: PictureFormat, read_HW: BoolArray | None = None
) -> Image.Image:
    """The picture in RGB; ``read_HW`` marks the pixels that were in the file, if not all."""
    if kind.name == "BMP" and image.mode == "RGBA":
        alpha_HW = np.asarray(image.getchannel("A"))
        if not alpha_HW.any(where=True if read_HW is None else read_HW):
            # The fourth byte is padding, which some programs nevertheless declare as alpha.
            return image.convert("RGB")
    return to_rgb(image)


def _turned(rgb: Image.Image, turn: int) -> Image.Image:
    transpose = TO_UPRIGHT.get(turn)
    # A plain picture: one of a file class would still point at the closed file.
    rgb = rgb.copy() if transpose is None and isinstance(rgb, ImageFile) else rgb
    rgb = rgb if transpose is None else rgb.transpose(transpose)
    # Metadata kept beside the turned pixels would have somebody turn them again.
    rgb.info.clear()
    return rgb


def _shrunk(rgb: Image.Image, target_size: tuple[int, int] | None) -> Image.Image:
    """The picture, or one of its size divided if it is very large and will be made small."""
    if target_size is None or rgb.width * rgb.height <= _HANDY:
        return rgb
    height, width = (side * _DRAFT_HEADROOM for side in target_size)
    factor = min(rgb.width // width, rgb.height // height)
    return rgb.reduce(factor) if factor > 1 else rgb


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings about odd files.

    Before Python 3.14 the filters belong to the whole process, hence the lock, and hence
    the use for the few formats alone whose readers warn.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def orientation(info: Mapping[Any, Any]) -> int:
    """The orientation, 1 to 8; 1 if none is stated.

    Args:
        info: of a Pillow image: ``exif``, ``Raw profile type exif`` (PNG), ``xmp`` and
            ``XML:com.adobe.xmp`` are looked at.
    """
    stated = _from_exif(_exif(info))
    if stated is None:
        stated = _from_xmp(info)
    return stated if stated in TO_UPRIGHT else 1


def _exif(info: Mapping[Any, Any]) -> bytes:
    exif = info.get("exif")
    if isinstance(exif, bytes):
        return exif
    text = info.get("Raw profile type exif")
    if isinstance(text, str):
        try:
            # A blank line, the name, the length, and then hexadecimal digits.
            return bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:
            pass
    return b""


def _from_exif(exif: bytes) -> int | None:
    """What the block says, 0 if that is no orientation; None if it says nothing."""
    # Some editors write the heading twice.
    tiff = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order = _ORDERS.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(order + "HHI", tiff, entry)
            if tag == ORIENTATION_TAG and kind in _TYPES and values:
                value = _value(tiff, entry, order, kind, values)
                if value is not None:
                    return value
    except struct.error:
        pass  # the block ends here
    return None


def _value(tiff: bytes, entry: int, order: str, kind: int, values: int) -> int | None:
    layout = order + _TYPES[kind]
    place = entry + 8
    if values * struct.calcsize(layout) > 4:
        (place,) = struct.unpack_from(order + "I", tiff, place)
        if place + values * struct.calcsize(layout) > len(tiff):
            return None
    if kind in _NO_NUMBERS:
        return 0
    number, *divisor = struct.unpack_from(layout, tiff, place)
    whole = number / divisor[0] if divisor and divisor[0] else 0 if divisor else number
    return int(whole) if whole in TO_UPRIGHT else 0


def _from_xmp(info: Mapping[Any, Any]) -> int | None:
    for key in ("XML:com.adobe.xmp", "xmp"):
        xmp = info.get(key)
        if isinstance(xmp, str):
            xmp = xmp.encode("utf-8", "surrogateescape")
        if xmp and isinstance(xmp, bytes):
            found = _IN_XMP.search(xmp)
            return int(found[1]) if found else None
    return None
