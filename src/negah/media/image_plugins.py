"""Pillow's readers of some formats, changed where they read less than image viewers.

Each takes an open file and returns a picture that is not yet decoded.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO, Any

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from negah.errors import MissingExtraError
from negah.media.preprocess import GREY_BITS, WHITE_IS_ZERO

# Tags of TIFF 6.0.
_BITS, _PHOTOMETRIC = 0x0102, 0x0106

# Pillow spreads grey of a PNG with so few bits over 0 to 255, but not the grey that its chunk
# tRNS calls transparent (ISO/IEC 15948, 11.3.2.1).
_SPREAD = {"L;2": 85, "L;4": 17}


class JpegReader(JpegImageFile):
    """A JPEG reader that ignores the EXIF block, about which Pillow's reader gives warnings."""

    def getexif(self) -> Image.Exif:
        """Nothing: see :func:`negah.media.images.orientation`."""
        return Image.Exif()


class PngReader(PngImageFile):
    """A PNG whose transparent colour is in the units of its pixels."""

    def _open(self) -> None:
        super()._open()
        key = self.info.get("transparency")
        raw = self.tile[0][3] if self.tile else ""
        if isinstance(key, int) and raw in _SPREAD:
            self.info["transparency"] = key * _SPREAD[raw]
        elif isinstance(key, tuple) and raw == "RGB;16B":
            self.info["transparency"] = tuple(value >> 8 for value in key)


def is_animated_png(file: IO[bytes]) -> bool:
    """Whether a chunk of a PNG says that it moves; Pillow warns if what it says is wrong."""
    at = 8
    while True:
        file.seek(at)
        header = file.read(8)
        if len(header) < 8 or header[4:] == b"IEND":
            return False
        if header[4:] == b"acTL":
            return True
        at += 12 + int.from_bytes(header[:4], "big")


class TiffReader(TiffImageFile):
    """A TIFF whose pixels are counted by us alone, and whose grey means what its tags say."""

    def _open(self) -> None:
        super()._open()
        bits = self.tag_v2.get(_BITS, (1,))[0]
        if self.mode.startswith("I;16"):
            self.info[GREY_BITS] = bits
        if self.mode in ("I;16", "F") and self.tag_v2.get(_PHOTOMETRIC) == 0:
            # Of fewer bits Pillow's decoder turns white to black itself.
            self.info[WHITE_IS_ZERO] = True

    def load_prepare(self) -> None:
        """Make room for the pixels, which Pillow would refuse beyond a limit of the process."""
        if getattr(self, "_im", None) is None:
            size = getattr(self, "_tile_size", self.size)  # the size before it is turned upright
            self.im = Image.new(self.mode, size).im
        super().load_prepare()


class _InSips:
    """A file whose first reading gives 16 bytes at most, however many are asked for.

    Pillow's reader of WebP looks for the picture's size in what it reads first, and refuses it
    by a limit of the process; from so little it can only tell that it is a WebP.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        if not self._begun and size >= 0:  # older ones read all at once
            size = min(size, 16)
        self._begun = True
        return self._file.read(size)


def read_webp(file: IO[bytes]) -> ImageFile:
    """A WebP whose pixels are counted by us alone."""
    sips: Any = _InSips(file)
    return WebPImageFile(sips)


# These three are seldom met, and their libraries are large: they are loaded where they are.
def read_avif(file: IO[bytes]) -> ImageFile:
    """An AVIF."""
    from PIL.AvifImagePlugin import AvifImageFile

    return AvifImageFile(file)


def read_jpeg_2000(file: IO[bytes]) -> ImageFile:
    """A JPEG 2000."""
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

    # in memory: its decoder would take the file's number, and read on from wherever that stands
    return Jpeg2KImageFile(io.BytesIO(file.read()))


def read_heic(file: IO[bytes]) -> ImageFile:
    """A HEIC; raises MissingExtraError without the extra ``heic``."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise MissingExtraError("pillow_heif", "reading a HEIC photo") from None
    reader: Callable[[IO[bytes]], ImageFile] = HeifImageFile
    return reader(file)
