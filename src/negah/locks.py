"""File locks between processes, released by the operating system when the holder dies.

The lock file stays, with the process id of its last holder for messages, unless the holder removes
it; only the kernel's lock on it counts, so a killed process leaves no stale lock.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from negah.errors import LockedError

#: Seconds between two tries.
_PAUSE = 0.1
#: Bytes of a lock file, which holds a process id.
_LONGEST = 32

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        # Far beyond the process id: on Windows others cannot read locked bytes.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock_within(descriptor: int, patience: float) -> None:
    limit = time.monotonic() + patience
    while True:
        try:
            return _lock(descriptor)
        except (BlockingIOError, PermissionError):
            if time.monotonic() >= limit:
                raise
            time.sleep(_PAUSE)


def _is_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_lock(path: Path) -> bool:
    """Whether a file was left by :func:`exclusive`: empty, or with only a process id."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_LONGEST + 1)
    except OSError:
        return False
    return not content or (len(content) <= _LONGEST and content.strip().isdigit())


def remove_lock(path: Path) -> None:
    """Remove the file of a held lock; waiting processes are refused. On Windows the file stays."""
    with suppress(OSError):
        path.unlink()


@contextmanager
def exclusive(path: Path, purpose: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path``, made if absent, while the block runs.

    Args:
        path: the lock file; its folder exists.
        purpose: what the holder does, for messages ("building the features in runs/x").
        patience: seconds to wait for another process that holds it.

    Raises:
        LockedError: another process still holds it (the message names it), or the file system does
            not support locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            _lock_within(descriptor, patience)
        except (BlockingIOError, PermissionError):
            os.lseek(descriptor, 0, os.SEEK_SET)
            holder = os.read(descriptor, _LONGEST).decode("ascii", "replace").strip() or "unknown"
            raise LockedError(
                f"another process (pid {holder}) is already {purpose}. "
                "Wait until it has finished, or end it."
            ) from None
        except OSError as error:
            raise LockedError(
                f"{path}: this file system cannot lock files ({error.strerror}). "
                "Choose a folder on a local disk."
            ) from None
        if not _is_there(descriptor, path):  # removed by its last holder: locking it has no effect
            raise LockedError(f"another process was {purpose} a moment ago. Try again.")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)
