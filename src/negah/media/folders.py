"""Folder entries in natural order: ``img2`` before ``img10``."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Text has no zero bytes; a transport stream has some in every packet.
_PACKETS = 1024


def entries_of(folder: Path, *, hidden: bool = False) -> list[os.DirEntry[str]]:
    """The entries of a folder, in natural order."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if hidden or not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: natural(entry.name))


def natural(name: str) -> tuple[list[str | int], str]:
    """A sort key that orders numbers in names by value."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if part.isascii() and part.isdigit() else part for part in parts], name


def is_source_code(path: Path) -> bool:
    """Whether a file is text, and so not a transport stream, whatever its suffix."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(_PACKETS)
    except OSError:
        return False  # opening it as a clip says why
    return bool(head) and b"\0" not in head


def is_folder(entry: os.DirEntry[str]) -> bool:
    """A folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """A file, or a broken link, which is reported when it is opened instead of being skipped."""
    try:
        return entry.is_file() or (entry.is_symlink() and not Path(entry.path).exists())
    except OSError:
        return True
