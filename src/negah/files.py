"""All file writing: outputs are complete or absent, and devices are never replaced.

:func:`open_output` gives a text stream for rows that come one by one, :func:`atomic_path` a
temporary name for everything else. Both follow links, keep the mode and the owner of a file that
they replace, refuse one that is read-only, and write into devices and pipes instead of replacing
them. :mod:`negah.outputs` checks beforehand whether an output may be written.
"""

from __future__ import annotations

import csv
import errno
import io
import os
import secrets
import select
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from negah.errors import OutputError
from negah.interrupt import STOP_SIGNALS
from negah.json_layout import indented_json
from negah.targets import Target, find_target

_NEW_MODE = 0o666
#: Suffix of the hidden names of files that are being written.
TEMPORARY_SUFFIX = ".negah.tmp"
_TRIES = 100


@contextmanager
def atomic_path(path: str | Path, *, fresh: bool = False) -> Iterator[Path]:
    """The name of an empty temporary file, which replaces ``path`` on success.

    On an exception the temporary file is removed and ``path`` is left as it was.

    Args:
        path: of the output.
        fresh: refuse what appears there meanwhile instead of replacing it.

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
        with _undisturbed():
            _put_in_place(temporary, target, fresh=fresh)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Defer signals, so that a complete file is not lost when it is moved into place."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _create_beside(final: Path, *, folder: bool = False) -> Path:
    """Create an empty file with a hidden name, not longer than the final name, which may have the
    maximum length."""
    final.parent.mkdir(parents=True, exist_ok=True)
    room = len(os.fsencode(final.name))
    for _ in range(_TRIES):
        name = f".{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
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
                number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NEW_MODE)
                mode = stat.S_IMODE(os.fstat(number).st_mode)
                os.close(number)
                if mode & 0o600 != 0o600:  # an odd umask must not keep us from our own file
                    temporary.chmod(mode | 0o600)
        except FileExistsError:
            continue
        return temporary
    raise FileExistsError(errno.EEXIST, "no temporary name is free beside it", str(final))


def _put_in_place(temporary: Path, target: Target, *, fresh: bool = False) -> None:
    """Rename the temporary file; keep the owner and mode of the file that it replaces."""
    if target.before is None:
        if fresh:
            _rename_if_free(temporary, target.path)
        else:
            temporary.replace(target.path)
        return
    if hasattr(os, "chown"):
        own = temporary.stat()
        for user, group in ((target.before.st_uid, -1), (-1, target.before.st_gid)):
            if (user, group) not in ((own.st_uid, -1), (-1, own.st_gid)):
                with suppress(OSError):  # only root may change the owner
                    os.chown(temporary, user, group)
    temporary.chmod(stat.S_IMODE(target.before.st_mode))
    try:
        temporary.replace(target.path)
    except OSError as error:
        # a mount point, or another user's file in a sticky folder: writable, but not replaceable
        if error.errno not in (errno.EBUSY, errno.EPERM, errno.EACCES, errno.EXDEV):
            raise
        with temporary.open("rb") as source, target.path.open("wb") as stream:
            shutil.copyfileobj(source, stream)


def _rename_if_free(temporary: Path, final: Path) -> None:
    """Rename, but never replace a file that has appeared in the meantime."""
    try:
        os.link(temporary, final)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, "something has appeared there meanwhile") from None
    except OSError:  # a file system without hard links
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, "something has appeared there meanwhile") from None
        temporary.replace(final)


def create_file(path: str | Path, content: bytes) -> bool:
    """Create a file that does not exist yet; it appears with its whole content.

    Returns:
        False if the file exists; it is left unchanged.

    Raises:
        OSError: it cannot be written.
    """
    final = Path(path)
    temporary = _create_beside(final)
    try:
        temporary.write_bytes(content)
        os.link(temporary, final)
    except FileExistsError:
        return False
    except (
        OSError
    ):  # a file system without hard links: other processes may briefly see an empty file
        try:
            number = os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _NEW_MODE)
        except FileExistsError:
            return False
        with io.FileIO(number, "w") as file:
            file.write(content)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def remove_file(path: str | Path) -> None:
    """Remove a file that belongs to a run, if it exists."""
    Path(path).unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on disk, if the system supports it."""
    with path.open("rb") as file, suppress(OSError):
        os.fsync(file.fileno())


@contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """A new folder with a hidden name next to ``beside``, links followed; removed when the block
    ends unless it was renamed.
    """
    final = Path(os.path.realpath(beside))
    temporary = _create_beside(final, folder=True)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class RowFile:
    """A text output that is written row by row and is complete after each row.

    Text is UTF-8; names that are not valid text are written as their original bytes. A row that
    cannot be written completely is removed, so a full disk leaves complete rows, and :meth:`end`
    makes room for the end of the file, if necessary by dropping the last row.

    Args:
        stream: where to write, unbuffered.
        path: as the user named it, for messages.
        is_stream: whether written data cannot be removed again.

    Attributes:
        rows: number of rows written.
    """

    def __init__(self, stream: io.FileIO, path: str | Path, *, is_stream: bool) -> None:
        self._stream = stream
        self._path = path
        self._is_stream = is_stream
        self._ends = [0]
        self.rows = 0

    def begin(self, text: str) -> None:
        """Write what precedes the first row, such as the column names."""
        self._append(text)

    def write(self, text: str) -> None:
        """Write a whole row.

        Raises:
            OutputError: it cannot be written; the rows before it are kept.
        """
        self._append(text)
        self.rows += 1

    def end(self, text: str) -> None:
        """Write what follows the last row."""
        try:
            self._append(text)
        except OutputError:
            if not self._is_stream and self.rows:
                self._ends.pop()
                self._cut()
                self.rows -= 1
                if self.rows:
                    self._append(text)
            raise

    def _append(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "surrogateescape"))
        length = len(rest)
        try:
            while rest:
                written = self._stream.write(rest)
                if written is None:  # a non-blocking pipe
                    select.select([], [self._stream], [])
                rest = rest[written or 0 :]
        except OSError as error:
            if not self._is_stream:
                with suppress(OSError):
                    self._cut()
            raise OutputError(self._path, error) from error
        # two positions suffice for going back: the end, and the start of the last row
        self._ends = [*self._ends[-2:], self._ends[-1] + length]

    def _cut(self) -> None:
        self._stream.truncate(self._ends[-1])
        self._stream.seek(self._ends[-1])


@contextmanager
def open_output(path: str | Path) -> Iterator[RowFile]:
    """Write rows to a file that appears, or is replaced, when the block ends.

    The rows written before an interruption or a full disk are kept under the file's name. If no row
    was written, no file is created or replaced.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        target = find_target(path)
        temporary = None if target.is_stream else _create_beside(target.path)
        file = target.open_stream() if temporary is None else io.FileIO(temporary, "r+")
    except OSError as error:
        raise OutputError(path, error) from error
    with file:
        rows = RowFile(file, path, is_stream=temporary is None)
        done = False
        try:
            yield rows
            done = True
        finally:
            if temporary is not None:
                with _undisturbed():
                    _keep(path, temporary, target, wanted=done or bool(rows.rows))


@contextmanager
def whole_output(path: str | Path) -> Iterator[RowFile]:
    """Write rows to a file that appears, or is replaced, when the block ends without an error.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with atomic_path(path) as temporary, io.FileIO(temporary, "r+") as file:
            yield RowFile(file, path, is_stream=False)
    except OSError as error:
        raise OutputError(path, error) from error


def _keep(path: str | Path, temporary: Path, target: Target, *, wanted: bool) -> None:
    """Move the rows to their final name; if that fails, they stay under the temporary name."""
    if not wanted:
        temporary.unlink(missing_ok=True)
        return
    try:
        _put_in_place(temporary, target, fresh=True)
        temporary.unlink(missing_ok=True)
    except OSError as error:
        failure = OutputError(path, error)
        if temporary.exists():
            failure = OutputError(path, f"{failure.reason}; what was written is in {temporary}")
        raise failure from error


def write_text(path: str | Path, text: str, *, fresh: bool = False) -> None:
    """Write UTF-8 text atomically, with ``\\n`` line ends on every system.

    Args:
        path: of the file.
        text: all of it.
        fresh: refuse what appears there meanwhile instead of replacing it.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with atomic_path(path, fresh=fresh) as temporary:
            temporary.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise OutputError(path, error) from error


def cache_folder() -> Path:
    """The cache folder of all commands.

    ``NEGAH_CACHE``, else ``XDG_CACHE_HOME/negah``, else ``~/.cache/negah``.
    """
    if named := os.environ.get("NEGAH_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "negah"


def to_csv(*rows: Sequence[object]) -> str:
    """Rows as CSV, each ending in ``\\n``; a cell that contains any line break is quoted."""
    # The csv module quotes "\r" only if it is part of its own line terminator.
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\r\n")
    lines = []
    for row in rows:
        writer.writerow(row)
        lines.append(table.getvalue().removesuffix("\r\n") + "\n")
        table.seek(0)
        table.truncate()
    return "".join(lines)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as UTF-8 JSON atomically; see :func:`negah.json_layout.indented_json`."""
    write_text(path, indented_json(value) + "\n")
