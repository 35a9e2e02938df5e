"""What a user names -> the photos it stands for, in a stable order.

A name is a file, a folder, a glob (``*``, ``?``, ``[...]``, and ``**`` for folders in any
depth) or ``-``, a list on standard input. Names keep the order in which they were given.
What one folder or glob holds is in natural order: ``img2`` before ``img10``, upper and
lower case alike, the files of a folder before its subfolders. A photo that is named twice is
taken once, where it came first; two links to one photo are two photos.
"""

from __future__ import annotations

import difflib
import fnmatch
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from negah.errors import UsageError

logger = logging.getLogger(__name__)

#: Suffixes of the photos in a folder, in lower case. A file that is named itself is taken
#: whatever its suffix.
IMAGE_SUFFIXES = frozenset(
    {".apng", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)

#: Suffixes of clips, in lower case. GIF and APNG count as photos unless they are opened as clips.
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg"}
    | {".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)

_WILDCARD = re.compile(r"[*?\[]")


def find_images(
    inputs: Sequence[str | Path], *, recursive: bool = False, stdin: TextIO | None = None
) -> list[Path]:
    """Every photo that ``inputs`` name. No photo is opened.

    Hidden files and folders are skipped unless they are named themselves. A glob that
    spells its suffix (``*.dat``) gives every file it matches; another only photos.

    Args:
        inputs: files, folders, globs, or ``-``. A name that exists is never read as a glob.
        recursive: also look into the folders inside the folders.
        stdin: where ``-`` finds its list: one path a line, or paths that end in NUL if there is
            any NUL (``find -print0``). They are taken as they stand, neither expanded
            nor checked.

    Returns:
        Paths as the user would write them: relative where the input was relative.

    Raises:
        UsageError: a path that does not exist, or an input that stands for no photo.
    """
    if not inputs:
        raise UsageError("no photos given; name files, folders or globs, or '-' for a list")
    unique: dict[str, Path] = {}
    for given in inputs:
        for path in _resolve(given, recursive=recursive, stdin=stdin):
            unique.setdefault(os.path.abspath(path), path)  # noqa: PTH100 - links stay links
    return list(unique.values())


def _resolve(given: str | Path, *, recursive: bool, stdin: TextIO | None) -> list[Path]:
    if given == "-":
        return _read_list(stdin)
    if given == "":
        raise UsageError("an empty path was given; name a file or a folder ('.' for this one)")
    path = Path(given)
    try:
        if path.is_dir():
            return _photos_of(path, recursive=recursive)
        if os.path.lexists(path):
            return [path]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot look at {str(path)!r}: {_reason(error)}") from None
    if _WILDCARD.search(str(given)):
        return _photos_matching(path, recursive=recursive)
    raise UsageError(_missing(path))


def _read_list(stdin: TextIO | None) -> list[Path]:
    if stdin is None:
        raise UsageError("'-' asks for a list on standard input, but there is none")
    # Bytes where they can be had: a file name need not be valid in the terminal's encoding.
    binary = getattr(stdin, "buffer", None)
    text = os.fsdecode(binary.read()) if binary is not None else stdin.read()
    text = text.removeprefix("\ufeff")
    names = text.split("\0") if "\0" in text else re.split(r"\r?\n", text)
    paths = [Path(name) for name in names if name.strip()]
    if not paths:
        raise UsageError("the list on standard input is empty; write one path a line")
    return paths


def _photos_of(folder: Path, *, recursive: bool) -> list[Path]:
    """The photos of a folder that the user named; an error if there are none."""
    try:
        with os.scandir(folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {_reason(error)}") from None
    photos = list(_walk(folder, recursive=recursive))
    if photos:
        return photos
    deeper = None if recursive else next(_walk(folder, recursive=True), None)
    if deeper is not None:
        raise UsageError(
            f"no photos in {folder} itself, but in folders inside it, such as {deeper}; "
            "use --recursive (recursive=True) to take them"
        )
    suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
    raise UsageError(
        f"no photos in {folder}: no file there ends in {suffixes}. "
        "A file with another name is taken if you name it itself"
    )


def _photos_matching(pattern: Path, *, recursive: bool) -> list[Path]:
    """What a glob stands for: the files and the photos of the folders that it matches."""
    start = Path(pattern.anchor)
    matches = list(_expand(start, pattern.relative_to(start).parts))
    if not matches:
        raise UsageError(f"nothing matches {str(pattern)!r}; check the folder and the pattern")
    spelled = bool(pattern.suffix) and not _WILDCARD.search(pattern.suffix)
    photos: list[Path] = []
    for path in matches:
        if path.is_dir():
            photos.extend(_walk(path, recursive=recursive))
        elif spelled or _is_photo(path.name):
            photos.append(path)
    if not photos:
        raise UsageError(
            f"{str(pattern)!r} matches {_plural(len(matches), 'path')}, such as {matches[0]}, "
            "but no photo"
        )
    return photos


def _expand(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        yield base
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        for folder in _folders(base, recursive=True):
            yield from _expand(folder, rest)
    elif os.path.lexists(base / first):
        yield from _expand(base / first, rest)
    elif _WILDCARD.search(first):
        for entry in _entries(base, hidden=first.startswith(".")):
            if fnmatch.fnmatch(entry.name, first) and (not rest or _is_folder(entry)):
                yield from _expand(base / entry.name, rest)


def _walk(folder: Path, *, recursive: bool) -> Iterator[Path]:
    for inside in _folders(folder, recursive=recursive):
        for entry in _entries(inside):
            if _is_photo(entry.name) and _is_file(entry):
                yield inside / entry.name


def _folders(folder: Path, *, recursive: bool) -> Iterator[Path]:
    """``folder``, then the folders inside it, each once: links may lead round in a circle."""
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real in seen:
            continue
        seen.add(real)
        yield current
        if recursive:
            inside = [current / entry.name for entry in _entries(current) if _is_folder(entry)]
            waiting.extend(reversed(inside))


def _entries(folder: Path, *, hidden: bool = False) -> list[os.DirEntry[str]]:
    """What a folder holds, in natural order; nothing if it cannot be read, with a warning."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if hidden or not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        logger.warning("skipped the folder %s: %s", folder, _reason(error))
        return []
    return sorted(entries, key=lambda entry: _natural(entry.name))


def _natural(name: str) -> tuple[list[str | int], str]:
    """A sorting key under which numbers in names count as numbers."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if part.isascii() and part.isdigit() else part for part in parts], name


def _is_photo(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """A file, or a link that leads nowhere: opening that says so, skipping it would hide it."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return True


def _missing(path: Path) -> str:
    """Say which part of ``path`` is the first that does not exist, and what is near to it."""
    part = path
    while part.parent != part and not os.path.lexists(part.parent):
        part = part.parent
    message = f"no such file or folder: {path}"
    if part != path:
        message += f" (there is no folder {part})"
    names = {entry.name.casefold(): entry.name for entry in _entries(part.parent)}
    nearest = difflib.get_close_matches(part.name.casefold(), names, n=1)
    if nearest:
        message += f". Did you mean {part.parent / names[nearest[0]]}?"
    return message


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
