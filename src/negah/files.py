"""The one door through which files are written: never half of one, never in the place of a device.

:func:`open_output` gives a text stream for rows that come one by one, :func:`atomic_path` a
temporary name for everything else. Both follow links, keep the mode and the owner of a file that
they replace, refuse one that is read-only, and write into devices and pipes instead of replacing
them. Whether an output may be written at all is decided before, by :mod:`negah.outputs`.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negah.errors import OutputError

_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/(?:self|thread-self|\d+)/fd)/(\d+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
#: As many links in a row as Linux follows.
_MAX_LINKS = 40
_NEW_MODE = 0o666
_TEMPORARY_SUFFIX = ".negah.tmp"
_TRIES = 100
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output really goes.

    Attributes:
        path: the file that is written, links followed.
        before: what stands there now; None where nothing does.
        descriptor: of this process, where the path names one (``/dev/stdout``, ``/dev/fd/63``).
    """

    path: Path
    before: os.stat_result | None
    descriptor: int | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it is written into, never replaced: a device, a pipe, an open descriptor."""
        if self.descriptor is not None:
            return True
        return self.before is not None and not stat.S_ISREG(self.before.st_mode)

    def open_stream(self) -> io.FileIO:
        """An unbuffered stream into the device, pipe or descriptor. A pipe waits for its reader."""
        if self.descriptor is not None:
            return io.FileIO(os.dup(self.descriptor), "wb")
        # without O_CREAT and O_TRUNC: nothing may come into being where a device is expected
        return io.FileIO(os.open(self.path, os.O_WRONLY), "wb")


def find_target(path: str | Path) -> Target:
    """Follow the links of an output to what is written.

    Raises:
        OSError: it is a folder, a socket or read-only, may not be written, its folder is no
            folder, or its name is impossible.
    """
    given = os.path.abspath(path)  # noqa: PTH100 - the last link is followed by hand
    for _ in range(_MAX_LINKS):
        folder, name = os.path.split(given)
        given = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
        number = _descriptor(given)
        if number is not None:
            return Target(Path(given), os.fstat(number), number)
        if not os.path.islink(given):  # noqa: PTH114
            break
        link = os.readlink(given)  # noqa: PTH115
        given = os.path.abspath(os.path.join(os.path.dirname(given), link))  # noqa: PTH100, PTH118, PTH120
    final = Path(given)
    try:
        before = final.stat()
    except FileNotFoundError:
        _check_creatable(final)
        return Target(final, None)
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if stat.S_ISSOCK(before.st_mode):
        raise OSError(errno.ENXIO, "is a socket", str(path))
    # root may write into a file that is read-only, and whoever made it so does not want that
    if not before.st_mode & 0o222 or not os.access(final, os.W_OK):
        raise PermissionError(errno.EACCES, "is read-only", str(path))
    if stat.S_ISREG(before.st_mode):
        _check_creatable(final)
    return Target(final, before)


def _descriptor(path: str) -> int | None:
    if path in _STANDARD:
        return _STANDARD[path]
    found = _DESCRIPTOR.fullmatch(path)
    if found is None:
        return None
    owner = path.split("/")[2]
    return int(found[1]) if owner in ("fd", "self", "thread-self", str(os.getpid())) else None


def _check_creatable(path: Path) -> None:
    """Refuse what could not be created; folders that are missing are made later."""
    for folder in path.parents:
        try:
            mode = folder.stat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder", str(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(
                errno.EACCES, f"the folder {folder} may not be written to", str(path)
            )
        return


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give the name of an empty temporary file; it takes the place of ``path`` on success.

    On an exception the temporary file is removed and ``path`` is left as it was.

    Raises:
        OSError: as :func:`find_target`, or while writing.
    """
    target = find_target(path)
    if target.is_stream:
        with tempfile.TemporaryDirectory(prefix="negah-") as folder:
            temporary = Path(folder) / "output"
            temporary.touch()
            yield temporary
            with (
                temporary.open("rb") as source,
                io.BufferedWriter(target.open_stream()) as stream,
            ):
                shutil.copyfileobj(source, stream)
        return
    temporary = _create_beside(target.path)
    try:
        yield temporary
        _put_in_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _create_beside(final: Path, *, folder: bool = False) -> Path:
    """An empty file of a hidden name, no longer than the final one: that may be the longest."""
    final.parent.mkdir(parents=True, exist_ok=True)
    room = len(os.fsencode(final.name))
    for _ in range(_TRIES):
        name = f".{secrets.token_hex(4)}{_TEMPORARY_SUFFIX}"
        if len(name) > room:
            token = secrets.token_hex(4)
            name = f".{token}"[:room] if room > 1 else token[0]
        if name.casefold() == final.name.casefold():
            continue
        temporary = final.with_name(name)
        try:
            if folder:
                temporary.mkdir()
            else:
                os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NEW_MODE))
        except FileExistsError:
            continue
        return temporary
    raise FileExistsError(errno.EEXIST, "no temporary name is free beside it", str(final))


def _put_in_place(temporary: Path, target: Target) -> None:
    """Rename it, with the owner and the mode of the file that it replaces."""
    if target.before is not None and hasattr(os, "chown"):
        own = temporary.stat()
        for user, group in ((target.before.st_uid, -1), (-1, target.before.st_gid)):
            if (user, group) not in ((own.st_uid, -1), (-1, own.st_gid)):
                with suppress(OSError):  # only root gives files away
                    os.chown(temporary, user, group)
    if target.before is not None:
        temporary.chmod(stat.S_IMODE(target.before.st_mode))
    temporary.replace(target.path)


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """A new folder of a hidden name beside ``beside``, links followed, gone when the block ends.

    It may be renamed meanwhile.
    """
    final = Path(os.path.realpath(beside))
    temporary = _create_beside(final, folder=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class RowFile:
    """A text output that grows by rows and is whole after each.

    Text is UTF-8; names that are no text come out as the bytes that they are. A row that cannot be
    written is taken back, so that a full disk leaves whole rows, and :meth:`end` finds room for
    the end of the file, if need be that of its last row.

    Args:
        stream: where to write, unbuffered.
        path: as the user named it, for messages.
        is_stream: whether what was written cannot be taken back.

    Attributes:
        rows: how many were written.
    """

    def __init__(self, stream: io.FileIO, path: str | Path, *, is_stream: bool) -> None:
        self._stream = stream
        self._path = path
        self._is_stream = is_stream
        self._ends = [0]
        self.rows = 0

    def begin(self, text: str) -> None:
        """Write what stands before the first row, such as the names of columns."""
        self._append(text)

    def write(self, text: str) -> None:
        """Write a whole row.

        Raises:
            OutputError: it cannot be written; the rows before it are kept.
        """
        self._append(text)
        self.rows += 1

    def end(self, text: str) -> None:
        """Write what stands behind the last row."""
        try:
            self._append(text)
        except OutputError:
            if self._is_stream or len(self._ends) < 3:
                raise
            self._ends.pop()
            self._cut()
            self.rows -= 1
            self._append(text)
            raise

    def _append(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "surrogateescape"))
        length = len(rest)
        try:
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            if not self._is_stream:
                with suppress(OSError):
                    self._cut()
            raise OutputError(self._path, error) from error
        # two are enough to go back to: the end, and where the last row began
        self._ends = [*self._ends[-2:], self._ends[-1] + length]

    def _cut(self) -> None:
        self._stream.truncate(self._ends[-1])
        self._stream.seek(self._ends[-1])


@contextmanager
def open_output(path: str | Path) -> Iterator[RowFile]:
    """Write rows to a file that appears, or is replaced, when the block ends.

    However it ends: the rows of a run that was interrupted, or whose disk is full, are kept under
    the file's name. Where not even one was written, nothing appears and nothing is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        target = find_target(path)
        if target.is_stream:
            with target.open_stream() as stream:
                yield RowFile(stream, path, is_stream=True)
            return
        temporary = _create_beside(target.path)
    except OSError as error:
        raise OutputError(path, error) from error
    try:
        with io.FileIO(temporary, "r+") as file:
            rows = RowFile(file, path, is_stream=False)
            done = False
            try:
                yield rows
                done = True
            finally:
                if done or rows.rows:
                    _put_in_place(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically, with ``\\n`` line ends on every system.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise OutputError(path, error) from error


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that can be written as UTF-8, whatever it holds.

    Text is kept readable. Bytes of names that are no text, which Python holds as lone
    surrogates, are escaped (``\\udce9``). NaN and infinity are refused, since JSON has none.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented UTF-8 JSON atomically; see :func:`to_json`."""
    write_text(path, to_json(value, indent=2) + "\n")
