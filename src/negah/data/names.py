"""Names of photos and clips: equivalent names, and the files of a folder.

Tools name the same photo differently: by COCO's id, as number or text; by file name; by a path,
with either kind of slash and in either Unicode normal form.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from negah.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from negah.media.names import Listings, bare, from_windows, normal

_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
#: COCO's file names end in the image's number: COCO_val2014_000000391895.jpg.
_COCO_NUMBER = re.compile(r"(?:^|_)(\d{12})$", re.ASCII)
#: Spreadsheets and pandas convert an id to 42.0 if any cell of its column is empty.
_NUMBER = re.compile(r"(\d{1,18})(?:\.0)?", re.ASCII)
_SPAN = re.compile(r"#t=[0-9.e+-]+,[0-9.e+-]+$")


def spelling(name: str) -> str:
    """The normalised form of a name for comparison: ``/`` between folders, NFC, stripped."""
    return normal(bare(name).replace("\\", "/"))


def tails(name: str) -> Iterator[str]:
    """A name, then the same without its first folder, and so on to the file's name alone."""
    rest = spelling(name)
    while rest:
        yield rest
        rest = rest.partition("/")[2].lstrip("/")


def without_span(name: str) -> str:
    """The name of the clip of which ``name`` is a span (``day.mp4#t=10,25.5``)."""
    return _SPAN.sub("", name)


def stem(name: str) -> str:
    """The file's name without folders and without the suffix of a photo or clip."""
    file = spelling(name).rstrip("/").rpartition("/")[2]
    before, dot, suffix = file.rpartition(".")
    return before if before and dot + suffix.lower() in _SUFFIXES else file


def image_number(name: str) -> int | None:
    """The number of a name: the name itself, or the number at the end of a COCO name; else None."""
    is_number = _NUMBER.fullmatch(stem(name))
    return int(is_number[1]) if is_number else coco_number(name)


def coco_number(name: str) -> int | None:
    """The number at the end of a COCO name (COCO_val2014_000000391895.jpg); else None."""
    found = _COCO_NUMBER.search(stem(name))
    return int(found[1]) if found else None


def is_media(name: str) -> bool:
    """Whether a name has the suffix of a photo or clip."""
    return name.lower().endswith(tuple(_SUFFIXES))


def is_safe(name: str) -> bool:
    """Whether a name cannot lead out of its folder, on any system."""
    windows = PureWindowsPath(name)
    return not (windows.drive or windows.root or ".." in windows.parts or "\0" in name)


class FileNames:
    """The files below a folder, looked up by the names used in tables.

    Args:
        folder: of the photos or clips.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._below = os.path.join(folder, "")  # noqa: PTH118 - text is quicker, 100,000 times
        self._listings = Listings()
        self._stems: dict[Path, Mapping[str | int, Sequence[str]]] = {}

    def find(self, name: str) -> str | None:
        """The path below the folder, with ``/``, of the named file; None if there is none.

        The name is tried unchanged first; then with ``/`` for ``\\``, and without space around it;
        then, if its bytes are not UTF-8, as Windows-1252; then in the other normal form, or
        ignoring case, if that is unambiguous; then, for a name without suffix, as the stem or the
        number of a single file. Nothing outside the folder is ever accessed.
        """
        for candidate in _candidates(name):
            if _is_file(self._below + candidate):
                return candidate
        for candidate in dict.fromkeys(_candidates(name)):
            found = self._listings.find(self.folder, PurePosixPath(candidate).parts)
            if found is None or not _is_file(found):
                found = self._by_id(candidate)
            if found is not None:
                return found.relative_to(self.folder).as_posix()
        return None

    def _by_id(self, name: str) -> Path | None:
        path = PurePosixPath(name)
        if path.suffix.lower() in _SUFFIXES:
            return None
        folder = self._listings.find(self.folder, path.parts[:-1])
        if folder is None:
            return None
        if folder not in self._stems:
            stems: dict[str | int, list[str]] = defaultdict(list)
            for entry in (entry for same in self._listings.of(folder).values() for entry in same):
                if PurePosixPath(entry).suffix.lower() in _SUFFIXES:
                    for key in {stem(entry), image_number(entry)} - {None}:
                        stems[key].append(entry)  # type: ignore[index]
            self._stems[folder] = stems
        for key in (normal(path.name), image_number(name)):
            entries = self._stems[folder].get(key, ()) if key is not None else ()
            if len(entries) == 1 and _is_file(folder / entries[0]):
                return folder / entries[0]
            if entries:
                return None
        return None


def _candidates(name: str) -> Iterator[str]:
    """Candidate paths below a folder for a name, best first; none outside the folder."""
    plain = bare(name)
    for given in dict.fromkeys((name, plain, from_windows(plain) or name)):
        posix = PurePosixPath(given)
        if "\0" in given or posix.is_absolute() or ".." in posix.parts or not posix.parts:
            continue
        if os.sep == "/":  # a backslash may be part of a name
            yield posix.as_posix()
        if (os.sep != "/" or "\\" in given) and is_safe(given):
            yield PureWindowsPath(given).as_posix()


def _is_file(path: str | Path) -> bool:
    try:
        return os.path.isfile(path)  # noqa: PTH113 - as above
    except (OSError, ValueError):  # a name that cannot be encoded
        return False
