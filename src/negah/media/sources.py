"""What a user names -> the photos and clips it stands for, in a stable order.

A name is a file, a folder, a glob (``*``, ``?``, ``[...]``, and ``**`` for folders in any
depth) or ``-``, a list on standard input. Names keep the order in which they were given.
What one folder or glob holds is in natural order: ``img2`` before ``img10``, upper and
lower case alike, the files of a folder before its subfolders. A file that is named twice is
taken once, where it came first; two links to one file are two files. What is a clip is told by
the suffix (:func:`is_clip`); everything else is a photo.
"""

from __future__ import annotations

import difflib
import fnmatch
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from negah.errors import DataError, UsageError
from negah.media.names import Listings, as_on_disk, normal
from negah.textfiles import decode, lines

logger = logging.getLogger(__name__)

#: Suffixes of the photos in a folder, in lower case. A file that is named itself is taken
#: whatever its suffix.
IMAGE_SUFFIXES = frozenset(
    {".apng", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)

#: Suffixes of clips, in lower case. GIF and APNG count as photos unless they are opened as clips.
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gifv", ".m2ts", ".m2v", ".m4v"}
    | {".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".qt", ".ts"}
    | {".vob", ".webm", ".wmv"}
)

#: What may be looked for.
Kind = Literal["photos", "clips"]

# TypeScript has them too. Text has no zero bytes; a transport stream has some in every packet.
_SOURCE_CODE_SUFFIXES = frozenset({".mts", ".ts"})
_PACKETS = 1024

_WILDCARD = re.compile(r"[*?\[]")


def is_clip(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a clip, by its suffix; the file is not looked at."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def find_media(
    inputs: Sequence[str | Path],
    *,
    recursive: bool = False,
    stdin: TextIO | None = None,
    only: Kind | None = None,
) -> list[Path]:
    """Every photo and clip that ``inputs`` name. None is decoded.

    Hidden files and folders are skipped unless they are named themselves. A glob that
    spells its suffix (``*.dat``) gives every file it matches; another only photos and clips.

    Args:
        inputs: files, folders, globs, or ``-``. A name that exists is never read as a glob.
        recursive: also look into the folders inside the folders.
        stdin: where ``-`` finds its list: one path a line, or paths that end in NUL if there is
            any NUL (``find -print0``), in UTF-8 or UTF-16. They are taken as they stand,
            neither expanded nor checked; only where nothing is called so, a name means what it
            is on another system: ``sub\\a.jpg`` is ``sub/a.jpg``, in either Unicode normal form.
        only: what to take of folders, globs and lists; None takes both.

    Returns:
        Paths as the user would write them: relative where the input was relative.

    Raises:
        UsageError: a path that does not exist, an input that stands for nothing, or a file
            that is named itself and is not of the kind asked for.
    """
    if not inputs:
        raise UsageError(
            "no photos or clips given; name files, folders or globs, or '-' for a list"
        )
    wanted = _WANTED[only]
    unique: dict[str, Path] = {}
    for given in inputs:
        for path in _resolve(given, wanted, recursive=recursive, stdin=stdin):
            unique.setdefault(os.path.abspath(path), path)  # noqa: PTH100 - links stay links
    return list(unique.values())


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is looked for.

    Attributes:
        noun: in messages, in the plural.
        suffixes: of the files that a folder is searched for.
        clips: whether clips; None for either.
    """

    noun: str
    suffixes: frozenset[str]
    clips: bool | None

    def accepts(self, path: Path) -> bool:
        return self.clips is None or is_clip(path) == self.clips


_WANTED: dict[Kind | None, _Wanted] = {
    None: _Wanted("photos or clips", IMAGE_SUFFIXES | VIDEO_SUFFIXES, None),
    "photos": _Wanted("photos", IMAGE_SUFFIXES, False),
    "clips": _Wanted("clips", VIDEO_SUFFIXES, True),
}


def _resolve(
    given: str | Path, wanted: _Wanted, *, recursive: bool, stdin: TextIO | None
) -> list[Path]:
    if given == "-":
        paths = [path for path in _read_list(stdin) if wanted.accepts(path)]
        if not paths:
            raise UsageError(f"the list on standard input names no {wanted.noun}")
        return paths
    if given == "":
        raise UsageError("an empty path was given; name a file or a folder ('.' for this one)")
    path = as_on_disk(given)
    try:
        if path.is_dir():
            return _files_of(path, wanted, recursive=recursive)
        if os.path.lexists(path):
            return [_accepted(path, wanted)]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot look at {str(path)!r}: {_reason(error)}") from None
    if _WILDCARD.search(str(given)):
        return _files_matching(path, wanted, recursive=recursive)
    raise UsageError(_missing(path))


def _accepted(path: Path, wanted: _Wanted) -> Path:
    if wanted.accepts(path):
        return path
    other = "photo" if wanted.clips else "clip"
    raise UsageError(
        f"{path} counts as a {other} by its suffix, but {wanted.noun} are asked for: leave it out"
    )


def _read_list(stdin: TextIO | None) -> list[Path]:
    if stdin is None:
        raise UsageError("'-' asks for a list on standard input, but there is none")
    # Bytes where they can be had: a file name need not be valid in the terminal's encoding.
    binary = getattr(stdin, "buffer", None)
    try:
        text = stdin.read() if binary is None else decode(binary.read(), "the list")
    except DataError as error:
        raise UsageError(str(error)) from None
    text = text.removeprefix("\ufeff")
    names = text.split("\0") if "\0" in text else lines(text)
    listings = Listings()
    paths = [as_on_disk(name, listings) for name in names if name.strip()]
    if not paths:
        raise UsageError("the list on standard input is empty; write one path a line")
    return paths


def _files_of(folder: Path, wanted: _Wanted, *, recursive: bool) -> list[Path]:
    """What is wanted of a folder that the user named; an error if there is nothing."""
    try:
        with os.scandir(folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {_reason(error)}") from None
    files = list(_walk(folder, wanted, recursive=recursive))
    if files:
        return files
    deeper = None if recursive else next(_walk(folder, wanted, recursive=True), None)
    if deeper is not None:
        raise UsageError(
            f"no {wanted.noun} in {folder} itself, but in folders inside it, such as {deeper}; "
            "use --recursive (recursive=True) to take them"
        )
    suffixes = ", ".join(sorted(wanted.suffixes))
    raise UsageError(
        f"no {wanted.noun} in {folder}: no file there ends in {suffixes}. "
        "A file with another name is taken if you name it itself"
    )


def _files_matching(pattern: Path, wanted: _Wanted, *, recursive: bool) -> list[Path]:
    """What a glob stands for: the files, and what is wanted of the folders, that it matches."""
    start = Path(pattern.anchor)
    matches = list(_expand(start, pattern.relative_to(start).parts))
    if not matches:
        raise UsageError(f"nothing matches {str(pattern)!r}; check the folder and the pattern")
    spelled = bool(pattern.suffix) and not _WILDCARD.search(pattern.suffix)
    files: list[Path] = []
    for path in matches:
        if path.is_dir():
            files.extend(_walk(path, wanted, recursive=recursive))
        elif wanted.accepts(path) if spelled else _is_wanted(path, wanted):
            files.append(path)
    if not files:
        raise UsageError(
            f"{str(pattern)!r} matches {_plural(len(matches), 'path')}, such as {matches[0]}, "
            f"but no {wanted.noun}"
        )
    return files


def _expand(base: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        yield base
        return
    first, rest = parts[0], parts[1:]
    if first == "**":
        for folder in _folders(base, recursive=True):
            yield from _expand(folder, rest)
    elif os.path.lexists(found := as_on_disk(base / first)):
        yield from _expand(found, rest)
    elif _WILDCARD.search(first):
        for entry in _entries(base, hidden=first.startswith(".")):
            if fnmatch.fnmatch(normal(entry.name), normal(first)) and (
                not rest or _is_folder(entry)
            ):
                yield from _expand(base / entry.name, rest)


def _walk(folder: Path, wanted: _Wanted, *, recursive: bool) -> Iterator[Path]:
    for inside in _folders(folder, recursive=recursive):
        for entry in _entries(inside):
            if _is_file(entry) and _is_wanted(inside / entry.name, wanted):
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


def _is_wanted(path: Path, wanted: _Wanted) -> bool:
    suffix = path.suffix.lower()
    if suffix not in wanted.suffixes:
        return False
    return suffix not in _SOURCE_CODE_SUFFIXES or not _is_source_code(path)


def _is_source_code(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(_PACKETS)
    except OSError:
        return False  # opening it as a clip says why
    return bool(head) and b"\0" not in head


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
