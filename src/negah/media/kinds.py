"""The kinds of pictures: how each is recognised, which of Pillow's readers reads it, the suffixes.

Content decides how a file is opened; suffixes decide what is taken of a folder, and what of it
is known to be a picture or a clip that nobody here reads.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from negah.media.readers import (
    JpegReader,
    PngReader,
    TiffReader,
    is_animated_png,
    read_avif,
    read_heic,
    read_jpeg_2000,
    read_webp,
)

#: Brands of the container that HEIC and AVIF share (ISO/IEC 23008-12): of pictures coded with
#: HEVC, with AV1, and of any.
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_ANY_BRANDS = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})
#: How brands of clips begin, and that of a camera's raw file.
_CLIP_BRANDS = (b"iso", b"mp4", b"avc1", b"qt", b"M4", b"3g", b"MSNV", b"dash", b"f4v", b"crx")

#: Suffixes that need the extra ``heic``, in lower case.
HEIC_SUFFIXES = frozenset({".heic", ".heif", ".heics", ".heifs", ".hif"})

#: Suffixes of the photos in a folder, in lower case. A file that is named itself is taken
#: whatever its suffix.
IMAGE_SUFFIXES = frozenset(
    {".apng", ".avif", ".avifs", ".bmp", ".gif", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe"}
    | {".jpeg", ".jpf", ".jpg", ".jpx", ".mpo", ".png", ".tif", ".tiff", ".webp"}
    | HEIC_SUFFIXES
)

#: Suffixes of the files that cameras call raw, in lower case. None is read.
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq"}
    | {".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"}
    | {".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)

#: Suffixes of pictures that are not read, in lower case.
UNREAD_IMAGE_SUFFIXES = RAW_SUFFIXES | frozenset(
    {".ai", ".bpg", ".dds", ".djvu", ".emf", ".eps", ".exr", ".hdr", ".icns", ".ico", ".jxl"}
    | {".jxr", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".qoi", ".svg", ".svgz"}
    | {".tga", ".wdp", ".wmf", ".xcf"}
)

#: Suffixes of clips that are not read, in lower case.
UNREAD_VIDEO_SUFFIXES = frozenset(
    {".amv", ".braw", ".dv", ".insv", ".m1v", ".ogm", ".r3d", ".rm", ".rmvb", ".swf", ".wtv"}
)


# Tags of TIFF 6.0, its supplement 1, and DNG.
_SUBFILE, _SUB_PICTURES, _DNG_VERSION = 0x00FE, 0x014A, 0xC612


class Kind(NamedTuple):
    """A kind of picture that is read.

    Attributes:
        name: as people write it.
        recognises: whether a file begins like one, by its first bytes, some thousand.
        reader: a file open for reading -> Pillow's image of it, not yet decoded.
        warns: whether its reader may have Python warn of oddities, by the file, which may be
            left standing anywhere.
        feature: what Pillow must be built with, as ``PIL.features`` calls it; "" for nothing.
    """

    name: str
    recognises: Callable[[bytes], bool]
    reader: Callable[[IO[bytes]], ImageFile]
    warns: Callable[[IO[bytes]], bool] = lambda file: False
    feature: str = ""

    @property
    def noun(self) -> str:
        """With its article, in messages."""
        return f"{'an' if self.name == 'AVIF' else 'a'} {self.name} image"


def reads_heic() -> bool:
    """Whether the extra ``heic`` is there."""
    return find_spec("pillow_heif") is not None


def is_raw(image: TiffImageFile, name: str) -> bool:
    """Whether what begins as a TIFF is a camera's raw file, whose first picture is a preview."""
    tags = image.tag_v2
    subfile = tags.get(_SUBFILE)
    preview = isinstance(subfile, int) and subfile & 1 and _SUB_PICTURES in tags
    return bool(preview or _DNG_VERSION in tags or Path(name).suffix.lower() in RAW_SUFFIXES)


def _brands(head: bytes) -> frozenset[bytes]:
    """The brands that a file of the ISO container names, the main one and the compatible."""
    if head[4:8] != b"ftyp":
        return frozenset()
    end = min(len(head), int.from_bytes(head[:4], "big"))
    return frozenset({head[8:12]} | {head[at : at + 4] for at in range(16, end - 3, 4)})


def _is_clip(head: bytes) -> bool:
    """Whether the main brand is of clips, whatever pictures the file may hold besides."""
    return head[8:12].startswith(_CLIP_BRANDS)


def _is_avif(head: bytes) -> bool:
    if head[8:12] in _HEIC_BRANDS or _is_clip(head):
        return False
    return bool(_AVIF_BRANDS & _brands(head))


def _is_heic(head: bytes) -> bool:
    return not _is_clip(head) and bool((_HEIC_BRANDS | _ANY_BRANDS) & _brands(head))


# The classes rather than Image.open: that one warns of large pictures by a limit of its own,
# which can only be changed for the whole process, and takes a JPEG with a preview inside for
# a sequence.
KINDS = (
    Kind("JPEG", lambda head: head.startswith(b"\xff\xd8\xff"), JpegReader),
    Kind(
        "PNG",
        lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
        PngReader,
        warns=is_animated_png,
    ),
    Kind(
        "WebP",
        lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        read_webp,
        feature="webp",
    ),
    Kind(
        "GIF",
        lambda head: head.startswith((b"GIF87a", b"GIF89a")),
        GifImageFile,
        warns=lambda file: True,
    ),
    Kind(
        "TIFF",
        lambda head: (
            head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and head[8:12] != b"CR\2\0"
        ),
        TiffReader,
        warns=lambda file: True,
    ),
    Kind("BMP", lambda head: head.startswith(b"BM"), BmpImageFile),
    Kind("AVIF", _is_avif, read_avif, warns=lambda file: True, feature="avif"),
    Kind("HEIC", _is_heic, read_heic),
    Kind(
        "JPEG 2000",
        lambda head: head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
        read_jpeg_2000,
        feature="jpg_2000",
    ),
)

#: Why a raw file is refused.
RAW = "is a camera's raw file, which Negah does not read; export it as JPEG or PNG"

READABLE = "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 and HEIC"

# Offset, bytes found there, what that makes of the file.
_FOREIGN = (
    (4, b"ftypcrx ", RAW),
    (8, b"CR\2\0", RAW),
    (4, b"ftyp", "is a video, not a photo"),
    (0, b"\x1aE\xdf\xa3", "is a video, not a photo"),
    (8, b"AVI ", "is a video, not a photo"),
    (4, b"JXL ", "is a JPEG XL image, which Negah does not read; convert it to JPEG or PNG"),
    (0, b"\xff\x0a", "is a JPEG XL image, which Negah does not read; convert it to JPEG or PNG"),
    (0, b"II\xbc", "is a JPEG XR image, which Negah does not read; convert it to JPEG or PNG"),
    (0, b"8BPS", "is a Photoshop file; export it as JPEG or PNG"),
    (0, b"gimp xcf", "is a GIMP file; export it as JPEG or PNG"),
    (0, b"FUJIFILMCCD-RAW", RAW),
    (0, b"IIRO", RAW),
    (0, b"IIU\0", RAW),
    (0, b"FOVb", RAW),
    (0, b"\0MRM", RAW),
    (0, b"%!PS", "is a PostScript drawing; export it as PNG"),
    (0, b"\xc5\xd0\xd3\xc6", "is a PostScript drawing; export it as PNG"),
    (0, b"%PDF", "is a PDF document, not an image; export its pages as JPEG or PNG"),
)


def kind_of(head: bytes) -> Kind | None:
    """What kind of picture a file holds that begins like this; None for none that is read."""
    return next((known for known in KINDS if known.recognises(head)), None)


def foreign(head: bytes) -> str | None:
    """What a file is that begins like this, where it is known and not read."""
    for offset, magic, description in _FOREIGN:
        if head[offset:].startswith(magic):
            return description
    return None
