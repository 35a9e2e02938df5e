"""File types: signatures, readers and suffixes of pictures and clips.

The content decides how a file is opened; suffixes decide which files of a folder are taken, which
are clips, and which are known but unsupported formats.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from PIL import features
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from negah.errors import MediaError
from negah.media.image_plugins import (
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

#: Suffixes of clips, in lower case. GIF and APNG count as photos unless they are opened as clips.
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gifv", ".m2ts", ".m2v", ".m4v"}
    | {".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".qt", ".ts"}
    | {".vob", ".webm", ".wmv"}
)

#: Suffixes of camera raw files, in lower case. They are not supported.
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq"}
    | {".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"}
    | {".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)

#: Suffixes of unsupported pictures, in lower case.
UNREAD_IMAGE_SUFFIXES = RAW_SUFFIXES | frozenset(
    {".ai", ".bpg", ".dds", ".djvu", ".emf", ".eps", ".exr", ".hdr", ".icns", ".ico", ".jxl"}
    | {".jxr", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".qoi", ".svg", ".svgz"}
    | {".tga", ".wdp", ".wmf", ".xcf"}
)

#: Suffixes of unsupported clips, in lower case.
UNREAD_VIDEO_SUFFIXES = frozenset(
    {".amv", ".braw", ".dv", ".insv", ".m1v", ".ogm", ".r3d", ".rm", ".rmvb", ".swf", ".wtv"}
)


# What Pillow's readers say of a sound file that they have no decoder for.
_VARIANT = re.compile(
    "unsupported|not (yet )?supported|cannot handle|unknown (pixel mode|data organization)"
    "|invalid value for samples per pixel|unable to determine",
    re.IGNORECASE,
)

# Tags of TIFF 6.0, its supplement 1, and DNG.
_SUBFILE, _SUB_PICTURES, _DNG_VERSION = 0x00FE, 0x014A, 0xC612


class PictureFormat(NamedTuple):
    """A supported picture format.

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
    PictureFormat("JPEG", lambda head: head.startswith(b"\xff\xd8\xff"), JpegReader),
    PictureFormat(
        "PNG",
        lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
        PngReader,
        warns=is_animated_png,
    ),
    PictureFormat(
        "WebP",
        lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        read_webp,
        feature="webp",
    ),
    PictureFormat(
        "GIF",
        lambda head: head.startswith((b"GIF87a", b"GIF89a")),
        GifImageFile,
        warns=lambda file: True,
    ),
    PictureFormat(
        "TIFF",
        lambda head: (
            head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and head[8:12] != b"CR\2\0"
        ),
        TiffReader,
        warns=lambda file: True,
    ),
    PictureFormat("BMP", lambda head: head.startswith(b"BM"), BmpImageFile),
    PictureFormat("AVIF", _is_avif, read_avif, warns=lambda file: True, feature="avif"),
    PictureFormat("HEIC", _is_heic, read_heic),
    PictureFormat(
        "JPEG 2000",
        lambda head: head.startswith((b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")),
        read_jpeg_2000,
        feature="jpg_2000",
    ),
)

#: Why a raw file is refused.
RAW = "is a camera's raw file, which Negah does not read; export it as JPEG or PNG"

READABLE = "JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 and HEIC"

_VIDEO = "is a video, not a photo"

# Offset, bytes found there, what that makes of the file.
_NEVER_MEDIA = (
    (0, b"%PDF", "is a PDF document"),
    (0, b"PK\x03\x04", "is a ZIP archive; unpack it"),
    (0, b"version https://git-lfs", "is a Git LFS pointer, not the content; run: git lfs pull"),
)
_FOREIGN = (
    (4, b"ftypcrx ", RAW),
    (8, b"CR\2\0", RAW),
    (4, b"ftyp", _VIDEO),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (8, b"AVI ", _VIDEO),
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


def kind_of(head: bytes) -> PictureFormat | None:
    """What kind of picture a file holds that begins like this; None for none that is read."""
    return next((known for known in KINDS if known.recognises(head)), None)


def is_clip_content(head: bytes) -> bool:
    """Whether a file that begins like this is to be opened as a clip, whatever it is called.

    That is so if it is no picture, and nothing else that is known; an animation is a picture.
    """
    return (
        kind_of(head) is None
        and foreign(head) in (None, _VIDEO)
        and why_no_media(head, "a photo or clip") is None
    )


def foreign(head: bytes) -> str | None:
    """The description of a known but unsupported file, by its first bytes."""
    for offset, magic, description in _FOREIGN:
        if head[offset:].startswith(magic):
            return description
    return None


def why_unreadable(kind: PictureFormat, error: Exception) -> str:
    """The reason why a picture of a supported format cannot be read, from the exception of its
    reader."""
    if kind.feature and not features.check(kind.feature):
        return (
            f"is {kind.noun}, which the installed Pillow cannot read; install its wheel: "
            "pip install --upgrade pillow"
        )
    reason = " ".join(str(error).split()) or type(error).__name__
    if kind.name == "TIFF" and reason.isdigit():
        reason = f"unsupported compression {reason}"  # a KeyError
    if _VARIANT.search(reason):
        return (
            f"is {kind.noun} of a variant that Negah does not read ({reason}); convert it to "
            "PNG or JPEG"
        )
    return f"is {kind.noun}, but damaged or truncated ({reason}); fetch it again"


def describe(head: bytes) -> str:
    """The description of a file that is not a supported image, by its first bytes."""
    return (
        foreign(head)
        or why_no_media(head, "an image")
        or f"is not an image of a kind that Negah reads ({READABLE})"
    )


def open_file(path: Path, noun: str) -> BinaryIO:
    """Open a regular file for reading bytes.

    Args:
        path: as the user named it.
        noun: what it should hold, for the messages ("photo", "clip").

    Raises:
        MediaError: it does not exist, may not be read, or is no regular file.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise MediaError(path, f"is a folder; name the {noun}s in it")
        if not stat.S_ISREG(mode):
            raise MediaError(path, f"is a pipe or a device; save the {noun} to a file first")
        return path.open("rb")
    except FileNotFoundError:
        if path.is_symlink():
            target = path.readlink()
            raise MediaError(path, f"is a link to {target}, which does not exist") from None
        raise MediaError(path, "no such file") from None
    except PermissionError:
        raise MediaError(path, "permission denied; check the permissions of the file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(path, f"cannot be opened: {reason}") from None


def too_large(what: str, width: int, height: int, limit: int) -> str:
    """The message for a picture with too many pixels: the reason, and how to allow it.

    Args:
        what: "has" or "has frames of".
        width: of the picture, in pixels.
        height: likewise.
        limit: most pixels that are decoded.
    """
    pixels = width * height
    return (
        f"{what} {width} x {height} = {pixels:,} pixels, more than the limit of {limit:,}; make it "
        f"smaller, or allow it with --max-pixels {-(-pixels // 1_000_000)}M (max_pixels in Python)"
    )


def why_no_media(head: bytes, kind: str) -> str | None:
    """The reason why a file cannot be a photo or clip, by its first bytes; None if it may be one.

    Args:
        head: its first bytes, some thousand.
        kind: what it was hoped to be, with its article ("an image", "a video").
    """
    if not head:
        return "the file is empty (0 bytes)"
    for offset, magic, description in _NEVER_MEDIA:
        if head[offset:].startswith(magic):
            return description
    if not any(head):
        return f"is not {kind} (only zero bytes; a copy or download that failed?)"
    beginning = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        return f"is not {kind} (looks like a web page; a download that failed?)"
    if b"<svg" in head:
        return "is an SVG drawing, which Negah does not read; export it as PNG"
    if _looks_like_text(head):
        return f"is not {kind} (looks like text)"
    return None


def _looks_like_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    # A character of several bytes may be cut at the end of the head.
    text = head.decode("utf-8", errors="ignore")
    controls = sum(character < " " and character not in "\t\n\r\f" for character in text)
    return controls == 0 and len(text.encode()) >= len(head) - 3


def is_clip(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a clip, judged only by its suffix."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES
