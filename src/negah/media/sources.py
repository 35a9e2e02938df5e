"""Expansion of user input to photos and clips, in a stable order.

A name is a file, a folder, a glob (``*``, ``?``, ``[...]``, and ``**`` for folders in any depth) or
``-``, a list on standard input. Names keep the order in which they were given. What one folder or
glob holds is in natural order: ``img2`` before ``img10``, upper and lower case alike, the files of
a folder before its subfolders. A file that is named twice is taken once, where it came first; two
links to one file are two files. Clips are recognised by suffix (:func:`is_clip`); everything else
is a photo. Unsupported pictures and clips in folders and globs are counted, and unreadable folders
are reported.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TextIO

from negah.errors import DataError, MediaError, UsageError
from negah.media.folders import entries_of, is_file, is_folder, is_source_code
from negah.media.kinds import (
    HEIC_SUFFIXES,
    IMAGE_SUFFIXES,
    UNREAD_IMAGE_SUFFIXES,
    UNREAD_VIDEO_SUFFIXES,
    VIDEO_SUFFIXES,
    is_clip,
    reads_heic,
)
from negah.media.names import Listings, as_on_disk, normal
from negah.media.path_list import PathList
from negah.textfiles import decode, lines

#: What may be looked for.
MediaKind = Literal["photos", "clips"]

# TypeScript has them too.
_SOURCE_CODE_SUFFIXES = frozenset({".mts", ".ts"})

_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FoundMedia:
    """The files that names refer to.

    Attributes:
        files: the photos and clips, as the user would write them: relative if the name was.
        left_out: number of unsupported pictures and clips in folders and globs, by suffix in lower
            case.
        closed: the folders that could not be read, and why.
    """

    files: Sequence[Path]
    left_out: Mapping[str, int] = field(default_factory=dict)
    closed: Sequence[MediaError] = ()


def find_media(
    inputs: Sequence[str | Path],
    *,
    recursive: bool = False,
    stdin: TextIO | None = None,
    only: MediaKind | None = None,
) -> FoundMedia:
    """Find every photo and clip that ``inputs`` refer to, without decoding.

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

    Raises:
        UsageError: a path that does not exist, an input that matches nothing, or a named file that
            is not of the requested kind.
    """
    if not inputs:
        raise UsageError(
            "no photos or clips given; name files, folders or globs, or '-' for a list"
        )
    search = _MediaSearch(_WANTED[only], recursive)
    unique: dict[str, str] = {}
    for given in inputs:
        for path in search.resolve(given, stdin):
            unique.setdefault(_absolute(path), str(path))
    left_out = dict(Counter(search.left_out.values()))
    return FoundMedia(PathList(unique.values()), left_out, tuple(search.closed.values()))


def left_out_line(left_out: Mapping[str, int]) -> str:
    """``12 .heic (pip install 'negah[heic]'), 3 .cr2``: the most first."""
    advice = dict.fromkeys(HEIC_SUFFIXES, " (pip install 'negah[heic]')")
    return ", ".join(
        f"{count} {suffix}{advice.get(suffix, '')}"
        for suffix, count in sorted(left_out.items(), key=lambda one: (-one[1], one[0]))
    )


@dataclass(frozen=True, slots=True)
class _SearchedFiles:
    """The kind of files that are searched for.

    Attributes:
        noun: in messages, in the plural.
        suffixes: of the files that a folder is searched for.
        common: the most frequent of them, for messages.
        unread: of the files of this kind that nobody reads.
        clips: whether clips; None for either.
    """

    noun: str
    suffixes: frozenset[str]
    common: tuple[str, ...]
    unread: frozenset[str]
    clips: bool | None

    def accepts(self, path: Path) -> bool:
        return self.clips is None or is_clip(path) == self.clips


_COMMON_PHOTOS = (".jpg", ".jpeg", ".png", ".webp")
_COMMON_CLIPS = (".mp4", ".mov", ".mkv", ".webm")

_WANTED: dict[MediaKind | None, _SearchedFiles] = {
    None: _SearchedFiles(
        "photos or clips",
        IMAGE_SUFFIXES | VIDEO_SUFFIXES,
        _COMMON_PHOTOS + _COMMON_CLIPS,
        UNREAD_IMAGE_SUFFIXES | UNREAD_VIDEO_SUFFIXES,
        None,
    ),
    "photos": _SearchedFiles(
        "photos", IMAGE_SUFFIXES, _COMMON_PHOTOS, UNREAD_IMAGE_SUFFIXES, False
    ),
    "clips": _SearchedFiles("clips", VIDEO_SUFFIXES, _COMMON_CLIPS, UNREAD_VIDEO_SUFFIXES, True),
}


class _MediaSearch:
    """One call of :func:`find_media`.

    Attributes:
        left_out: suffixes of the files that are not read, by their absolute paths.
        closed: folders that cannot be looked into, by theirs.
    """

    def __init__(self, wanted: _SearchedFiles, recursive: bool) -> None:
        missing = frozenset() if reads_heic() else HEIC_SUFFIXES & wanted.suffixes
        self._wanted = wanted
        self._suffixes = wanted.suffixes - missing
        self._unread = wanted.unread | missing
        self._recursive = recursive
        self.left_out: dict[str, str] = {}
        self.closed: dict[str, MediaError] = {}
        self._refusals = 0
        self._listings = Listings()

    def resolve(self, given: str | Path, stdin: TextIO | None) -> Sequence[Path]:
        if given == "-":
            paths = [path for path in _read_list(stdin) if self._wanted.accepts(path)]
            if not paths:
                raise UsageError(f"the list on standard input names no {self._wanted.noun}")
            return paths
        if given == "":
            raise UsageError("an empty path was given; name a file or a folder ('.' for this one)")
        path = as_on_disk(given, self._listings)
        try:
            if path.is_dir():
                return self._files_of(path)
            if os.path.lexists(path):
                return [_accepted(path, self._wanted)]
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot look at {str(path)!r}: {_reason(error)}") from None
        if _WILDCARD.search(str(given)):
            return self._files_matching(path)
        raise UsageError(_missing(path))

    def _files_of(self, folder: Path) -> Sequence[Path]:
        """What is wanted of a folder that the user named; an error if there is nothing."""
        refusals = self._refusals
        before = len(self.left_out)
        files = PathList(self._walk(folder, recursive=self._recursive))
        if files or self._refusals > refusals:
            return files
        found = self._left_out_since(before)
        noun = self._wanted.noun
        if found:
            raise UsageError(
                f"no {noun} in {folder} of a kind that is read; left out: {left_out_line(found)}"
            )
        deeper = None if self._recursive else next(self._walk(folder, recursive=True), None)
        if deeper is not None:
            raise UsageError(
                f"no {noun} in {folder} itself, but in folders inside it, such as {deeper}; "
                "use --recursive (recursive=True) to take them"
            )
        raise UsageError(
            f"no {noun} in {folder}: no file there ends in {', '.join(self._wanted.common)} or "
            "another suffix of the list in docs/limits.md. A file with another name is taken if "
            "you name it itself"
        )

    def _left_out_since(self, count: int) -> Counter[str]:
        """How many files of which suffixes were left out after the first ``count`` of them."""
        return Counter(islice(self.left_out.values(), count, None))

    def _files_matching(self, pattern: Path) -> list[Path]:
        """The files that a glob matches, and the matching files of folders that it matches."""
        refusals = self._refusals
        before = len(self.left_out)
        start = Path(pattern.anchor)
        matches = list(self._expand(start, pattern.relative_to(start).parts))
        spelled = bool(pattern.suffix) and not _WILDCARD.search(pattern.suffix)
        files: list[Path] = []
        for path in matches:
            if path.is_dir():
                files.extend(self._walk(path, recursive=self._recursive))
            elif self._wanted.accepts(path) if spelled else self._is_wanted(path):
                files.append(path)
        if files or self._refusals > refusals:
            return files
        if not matches:
            raise UsageError(f"nothing matches {str(pattern)!r}; check the folder and the pattern")
        found = self._left_out_since(before)
        raise UsageError(
            f"{str(pattern)!r} matches {_plural(len(matches), 'path')}, such as {matches[0]}, "
            f"but no {self._wanted.noun}"
            + (f" of a kind that is read; left out: {left_out_line(found)}" if found else "")
        )

    def _expand(self, base: Path, parts: Sequence[str]) -> Iterator[Path]:
        if not parts:
            yield base
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            for folder, _ in self._folders(base, recursive=True):
                yield from self._expand(folder, rest)
        elif os.path.lexists(found := as_on_disk(base / first, self._listings)):
            yield from self._expand(found, rest)
        elif _WILDCARD.search(first):
            for entry in self._entries(base, hidden=first.startswith(".")):
                matches = fnmatch.fnmatch(normal(entry.name), normal(first))
                if matches and (not rest or is_folder(entry)):
                    yield from self._expand(base / entry.name, rest)

    def _walk(self, folder: Path, *, recursive: bool) -> Iterator[Path]:
        for inside, entries in self._folders(folder, recursive=recursive):
            for entry in entries:
                if is_file(entry) and self._is_wanted(inside / entry.name):
                    yield inside / entry.name

    def _folders(
        self, folder: Path, *, recursive: bool
    ) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
        """``folder``, then those inside it, each once: links may lead round in a circle."""
        seen: set[str] = set()
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            real = os.path.realpath(current)
            if real in seen:
                continue
            seen.add(real)
            entries = self._entries(current)
            yield current, entries
            if recursive:
                inside = [current / entry.name for entry in entries if is_folder(entry)]
                waiting.extend(reversed(inside))

    def _entries(self, folder: Path, *, hidden: bool = False) -> list[os.DirEntry[str]]:
        """The entries of a folder, in natural order; empty if it cannot be read, which is
        recorded."""
        try:
            return entries_of(folder, hidden=hidden)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            reason = f"this folder cannot be read: {_reason(error)}"
            self._refusals += 1
            self.closed.setdefault(_absolute(folder), MediaError(folder, reason))
            return []

    def _is_wanted(self, path: Path) -> bool:
        suffix = path.suffix.lower()
        if suffix in self._suffixes:
            return suffix not in _SOURCE_CODE_SUFFIXES or not is_source_code(path)
        if suffix in self._unread:
            self.left_out[_absolute(path)] = suffix
        return False


def _absolute(path: Path) -> str:
    if ".." in path.parts:  # behind a link it does not lead back
        path = Path(os.path.realpath(path.parent), path.name)
    return os.path.abspath(path)  # noqa: PTH100 - links stay links


def _accepted(path: Path, wanted: _SearchedFiles) -> Path:
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


def _missing(path: Path) -> str:
    """Say which part of ``path`` is the first that does not exist, and what is near to it."""
    part = path
    while part.parent != part and not os.path.lexists(part.parent):
        part = part.parent
    message = f"no such file or folder: {path}"
    if part != path:
        message += f" (there is no folder {part})"
    try:
        names = {entry.name.casefold(): entry.name for entry in entries_of(part.parent)}
    except OSError:
        return message
    nearest = difflib.get_close_matches(part.name.casefold(), names, n=1)
    if nearest:
        message += f". Did you mean {part.parent / names[nearest[0]]}?"
    return message


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
