"""Resolving file names written on other systems.

A list or a table made on Windows has ``sub\\a.jpg`` for ``sub/a.jpg``, and a Mac unpacks
``café.jpg`` with the accent as a character of its own (Unicode's normal form NFD), which other
systems do not do. Windows takes ``A.JPG`` for ``a.jpg``, and its older programs write names in
Windows-1252. A name that exists is always used unchanged.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from negah.textfiles import is_escaped


def normal(name: str) -> str:
    """``name`` in Unicode's normal form NFC: equal for names that look alike."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def bare(name: str) -> str:
    """``name`` without space around it, and without a byte order mark from an older file."""
    return name.strip().strip("\ufeff").strip()


def from_windows(name: str) -> str | None:
    """The name whose bytes are Windows-1252; None if they are UTF-8, or not that either."""
    if not is_escaped(name):
        return None
    try:
        return name.encode("utf-8", "surrogateescape").decode("cp1252")
    except UnicodeError:
        return None


class Listings:
    """The entries of folders by their normal form; each folder is read once, on the first miss."""

    def __init__(self) -> None:
        self._entries: dict[Path, Mapping[str, Sequence[str]]] = {}
        self._any_case: dict[Path, Mapping[str, Sequence[str]]] = {}

    def find(self, folder: Path, parts: Sequence[str]) -> Path | None:
        """What is below ``folder`` under these names, in whichever normal form, or else case.

        None if there is nothing, or more than one and none that is spelled so.
        """
        for part in parts:
            entries = self.of(folder).get(normal(part)) or self._in_any_case(folder, part)
            if part in (".", "..") or part in entries:
                folder /= part
            elif len(entries) == 1:
                folder /= entries[0]
            else:
                return None
        return folder

    def of(self, folder: Path) -> Mapping[str, Sequence[str]]:
        """The names of a folder's entries by their normal form; none if it cannot be read."""
        found = self._entries.get(folder)
        if found is None:
            entries: dict[str, list[str]] = defaultdict(list)
            with suppress(OSError, ValueError):
                for name in os.listdir(folder):  # noqa: PTH208 - names alone are wanted
                    entries[normal(name)].append(name)
            found = self._entries[folder] = dict(entries)
        return found

    def _in_any_case(self, folder: Path, part: str) -> Sequence[str]:
        if folder not in self._any_case:
            folded: dict[str, list[str]] = defaultdict(list)
            for name, entries in self.of(folder).items():
                folded[name.casefold()] += entries
            self._any_case[folder] = dict(folded)
        return self._any_case[folder].get(normal(part).casefold(), ())


def as_on_disk(name: str | Path, listings: Listings | None = None) -> Path:
    """The path for a name given by a user or a list; the name itself if there is no such file.

    Args:
        name: any path; ``..`` and absolute paths are the user's own business here.
        listings: known contents of folders, used for many names.
    """
    path = Path(name)
    if os.path.lexists(path):
        return path
    others = [
        Path(spelled.replace("\\", "/"))
        for spelled in (str(name), bare(str(name)), from_windows(bare(str(name))))
        if spelled
    ]
    for other in others:
        if os.path.lexists(other):
            return other
    listings = Listings() if listings is None else listings
    for other in dict.fromkeys((path, *others)):
        start = Path(other.anchor)
        found = listings.find(start, other.parts[1:] if other.anchor else other.parts)
        if found is not None:
            return found
    return path
