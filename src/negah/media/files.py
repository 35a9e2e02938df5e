"""What a named file is before any decoder sees it: whether it can be opened, and how it begins."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO

from negah.errors import MediaError

# Offset, bytes found there, what that makes of the file.
_NEVER_MEDIA = (
    (0, b"%PDF", "is a PDF document"),
    (0, b"PK\x03\x04", "is a ZIP archive; unpack it"),
    (0, b"version https://git-lfs", "is a Git LFS pointer, not the content; run: git lfs pull"),
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
        raise MediaError(path, "permission denied; check who may read it") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(path, f"cannot be opened: {reason}") from None


def too_large(what: str, width: int, height: int, limit: int) -> str:
    """Why a picture of too many pixels is refused, and how to allow it.

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
    """Why a file that begins like this holds neither photo nor clip; None if it may.

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
