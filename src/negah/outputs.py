"""Inputs and outputs of a run, and the refusal of outputs that would replace inputs.

Both are registered before work starts. Files are compared by identity, not by name: a link to a
photo is that photo. A device or pipe may be both read and written.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from negah.errors import UsageError
from negah.media import IMAGE_SUFFIXES, is_clip
from negah.media.path_list import PathList
from negah.targets import Target, find_target

#: The keyword of the PNG text chunk, and its text, that mark a picture as drawn by Negah; a WebP
#: names its program likewise, in its EXIF.
PNG_MARK = ("Software", "Negah")

_MARK_BYTES = b"tEXt" + PNG_MARK[0].encode() + b"\0" + PNG_MARK[1].encode()
_HEAD_BYTES = 4096
_TAIL_BYTES = 256
_FileNumber = tuple[int, int]


class OutputKind(StrEnum):
    """The kind of an output, which decides what it may replace."""

    TEXT = "text"
    PICTURE = "a picture"
    #: A folder in which a run keeps files of its own.
    FOLDER = "a folder"


class Outputs:
    """The files that one run reads and writes."""

    def __init__(self) -> None:
        self._read: list[Sequence[Path]] = []
        self._inputs: dict[_FileNumber, Path] = {}
        self._names: dict[Path, str] = {}
        self._folders: dict[Path, str] = {}
        self._replaced: dict[_FileNumber, str] = {}

    def read(self, paths: Iterable[str | Path]) -> None:
        """Register inputs; missing ones are not reported here.

        Raises:
            UsageError: one is an output of this run.
        """
        given = PathList(paths)
        self._read.append(given)
        for path in given if self._replaced else ():
            # Most outputs are new files and so cannot be inputs.
            identity = _identity(path)
            if identity is not None and identity in self._replaced:
                raise UsageError(_would_replace(self._replaced[identity], path))

    def read_descriptor(self, number: int) -> None:
        """Register a descriptor that is open for reading, such as 0, if it is a file."""
        identity = _file_identity(number)
        if identity is not None:
            self._inputs.setdefault(identity, Path("standard input"))

    def write_descriptor(self, number: int, label: str) -> None:
        """Register a descriptor that is open for writing, such as 1, if it is a file."""
        identity = _file_identity(number)
        if identity is not None:
            self._replaced.setdefault(identity, label)

    def write(self, path: str | Path, label: str, kind: OutputKind = OutputKind.TEXT) -> None:
        """Register an output.

        Args:
            path: as the user named it.
            label: its name in messages: ``--output a.csv``.
            kind: of it.

        Raises:
            UsageError: it is an input or another output of this run, would replace a photo, a clip
                or another file that is not an output of its kind, or cannot be written.
        """
        if kind is not OutputKind.FOLDER:  # checked first: it may be read-only as well
            self.refuse_input(path, label)
        try:
            if kind is OutputKind.FOLDER and Path(path).is_dir():
                self._check_folder(Path(path), label)
                self._claim_folder(Path(os.path.realpath(path)), label)
                return
            target = find_target(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"cannot write to {label}: {reason}; choose another place") from None
        if kind is OutputKind.FOLDER:
            if target.is_stream or target.before is not None:
                what = "a device or a pipe" if target.is_stream else "a file"
                raise UsageError(f"{label} is {what}: name a folder")
            self._claim_folder(target.path, label)
            return
        if target.is_stream:
            self._check_stream(target, label)
            return
        self._claim_file(target.path, label)
        if target.before is None:
            return
        self._check_identity((target.before.st_dev, target.before.st_ino), label)
        lost = _not_replaceable(target.path, kind)
        if lost is not None:
            raise UsageError(f"{label} would replace {lost}; choose another name")

    def refuse_input(self, path: str | Path, label: str) -> None:
        """Refuse a file that is an input as an output, of whatever kind.

        Raises:
            UsageError: it is one.
        """
        identity = _identity(Path(path))
        owner = None if identity is None else self._known_inputs().get(identity)
        if owner is not None:
            raise UsageError(_would_replace(label, owner))

    def writes_into(self, folder: Path) -> bool:
        """Whether an output of this run stands directly in a folder."""
        place = Path(os.path.realpath(folder))
        return any(path.parent == place for path in self._names)

    def _check_identity(self, identity: _FileNumber, label: str) -> None:
        if identity in self._replaced:
            raise UsageError(_same(label, self._replaced[identity]))
        self._replaced[identity] = label

    def _check_stream(self, target: Target, label: str) -> None:
        """Two outputs may share a device, but not a pipe, nor a file that is open already."""
        if target.before is None or stat.S_ISCHR(target.before.st_mode):
            return
        identity = (target.before.st_dev, target.before.st_ino)
        if target.descriptor in (1, 2):  # already checked that this is not an input
            identity = (-1, target.descriptor)
        self._check_identity(identity, label)

    def _claim_file(self, path: Path, label: str) -> None:
        if path in self._names:
            raise UsageError(_same(label, self._names[path]))
        other = self._folders.get(path)
        if other is not None:
            raise UsageError(f"{label} is the folder of {other}; choose another name")
        for parent in path.parents:
            if parent in self._names:
                raise UsageError(
                    f"{label} is in {self._names[parent]}, which is no folder; choose another name"
                )
            self._folders.setdefault(parent, label)
        self._names[path] = label

    def _claim_folder(self, folder: Path, label: str) -> None:
        for place in (folder, *folder.parents):
            if place in self._names:
                raise UsageError(f"{label} is in {self._names[place]}, which is no folder")
        self._folders.setdefault(folder, label)

    def write_in_folder(
        self, folder: Path, names: Iterable[str], label: str, kind: OutputKind = OutputKind.PICTURE
    ) -> None:
        """Register files, usually pictures, in a folder that need not exist.

        Raises:
            UsageError: as :meth:`write`.
        """
        try:
            existing = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        except OSError as error:
            raise UsageError(f"cannot write to {label}: {error.strerror}") from None
        place = folder.resolve()
        for name in names:  # perhaps a million: only existing ones are checked
            if name in existing or place / name in self._names:
                self.write(folder / name, f"{label}/{name}", kind)

    def _check_folder(self, folder: Path, label: str) -> None:
        """Refuse a folder that is an input or contains one."""
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"cannot write to {label}: permission denied; choose another place")
        here = _identity(folder)
        for path in itertools.chain.from_iterable(self._read):
            if here in (_identity(path), None if path.is_dir() else _identity(path.parent)):
                raise UsageError(
                    f"{label} is a folder that this run reads ({path}); choose another folder"
                )

    def _known_inputs(self) -> dict[_FileNumber, Path]:
        for path in itertools.chain.from_iterable(self._read):
            identity = _identity(path)
            if identity is not None:
                self._inputs.setdefault(identity, path)
        return self._inputs


def check_picture_folder(folder: Path, label: str) -> None:
    """Refuse a folder of photos as the place for pictures.

    Pictures drawn by Negah do not count as photos: see :data:`PNG_MARK`.

    Raises:
        UsageError: there are photos in it.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"cannot write to {label}: {error.strerror}") from None
    for name in names:
        photo = folder / name
        if photo.suffix.lower() in IMAGE_SUFFIXES and not _drawn_by_negah(photo, _head(photo)):
            raise UsageError(
                f"{label} holds photos, such as {name}, which pictures could replace; name a "
                "folder of their own for the pictures"
            )


def _not_replaceable(path: Path, kind: OutputKind) -> str | None:
    """What would be lost if an output of this kind replaced the file; None if nothing."""
    head = _head(path)
    if b"\0" not in head or (kind is OutputKind.PICTURE and _drawn_by_negah(path, head)):
        return None
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return f"the photo {path}"
    if is_clip(path):
        return f"the clip {path}"
    return f"{path}, which is {'no text' if kind is OutputKind.TEXT else 'no picture of its kind'}"


def _drawn_by_negah(path: Path, head: bytes) -> bool:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        tail = _bytes(path, max(0, path.stat().st_size - _TAIL_BYTES))
        return b"EXIF" in tail and PNG_MARK[1].encode() in tail  # behind the pictures
    return head.startswith(b"\x89PNG") and _MARK_BYTES in head


def _head(path: Path) -> bytes:
    return _bytes(path, 0)


def _bytes(path: Path, first: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(first)
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def _identity(path: Path) -> _FileNumber | None:
    """The identity of a file or folder under any name; None for devices, pipes and missing
    files."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    is_stored = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return (found.st_dev, found.st_ino) if is_stored else None


def _file_identity(number: int) -> _FileNumber | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _would_replace(label: str, path: Path) -> str:
    return f"{label} would replace {path}, which this run reads; choose another name"


def _same(label: str, other: str) -> str:
    return f"{label} and {other} are one file; choose another name for one of them"
