"""Where an output really goes: links followed, devices and open descriptors recognised."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/(?:self|thread-self|\d+)(?:/task/\d+)?/fd)/(\d+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
#: Maximum length of a chain of links, as on Linux.
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output really goes.

    Attributes:
        path: the file that is written, links followed.
        before: the existing file; None if there is none.
        descriptor: of this process, where the path names one (``/dev/stdout``, ``/dev/fd/63``).
    """

    path: Path
    before: os.stat_result | None
    descriptor: int | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the target is written into and never replaced: a device, a pipe, an open
        descriptor."""
        if self.descriptor is not None:
            return True
        return self.before is not None and not stat.S_ISREG(self.before.st_mode)

    def open_stream(self) -> io.FileIO:
        """An unbuffered stream into the device, pipe or descriptor. Opening a pipe waits for a
        reader."""
        if self.descriptor is not None:
            return io.FileIO(os.dup(self.descriptor), "wb")
        # without O_CREAT and O_TRUNC: no file may be created where a device is expected
        return io.FileIO(os.open(self.path, os.O_WRONLY), "wb")


def find_target(path: str | Path) -> Target:
    """Resolve the links of an output.

    Raises:
        OSError: it is a folder, a socket or read-only, may not be written, its folder is no folder,
            or its name is not valid.
    """
    # Not abspath, which drops "link/..", while the system follows the link first.
    given, followed = os.path.join(os.getcwd(), os.fspath(path)), 0  # noqa: PTH109, PTH118
    while True:
        number = _STANDARD.get(Path(path).as_posix()) if not followed else None
        number = _descriptor(given) if number is None else number
        if number is None:
            folder, name = os.path.split(given)
            if name in ("", ".", ".."):
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
            given = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
            number = _descriptor(given)
        if number is not None:
            return _open_target(given, number)
        if not os.path.islink(given) or followed == _MAX_LINKS:  # noqa: PTH114
            break
        followed += 1
        given = os.path.join(os.path.dirname(given), os.readlink(given))  # noqa: PTH115, PTH118, PTH120
    final = Path(given)
    try:
        before = final.stat()
    except FileNotFoundError:
        if followed and not final.parent.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, f"is a link to {final}, whose folder does not exist", str(path)
            ) from None
        _check_creatable(final)
        return Target(final, None)
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if stat.S_ISSOCK(before.st_mode):
        raise OSError(errno.ENXIO, "is a socket", str(path))
    # root could write into a read-only file, against the intention of its owner
    if not before.st_mode & 0o222 or not os.access(final, os.W_OK):
        raise PermissionError(errno.EACCES, "is read-only", str(path))
    if stat.S_ISREG(before.st_mode):
        _check_creatable(final)
    return Target(final, before)


def _open_target(given: str, number: int) -> Target:
    """A descriptor that is open for writing."""
    if sys.platform != "win32":
        import fcntl

        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise PermissionError(errno.EACCES, "is open for reading alone", given)
    return Target(Path(given), os.fstat(number), number)


def _descriptor(path: str) -> int | None:
    if path in _STANDARD:
        return _STANDARD[path]
    found = _DESCRIPTOR.fullmatch(path)
    if found is None:
        return None
    owner = path.split("/")[2]
    return int(found[1]) if owner in ("fd", "self", "thread-self", str(os.getpid())) else None


def _check_creatable(path: Path) -> None:
    """Refuse a file that could not be created; missing folders are created later."""
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
