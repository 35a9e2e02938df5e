"""One process at a time: a lock that the operating system drops when its holder dies.

The file stays behind, with the process id of its last holder for messages, unless the holder
removes it; only the kernel's lock on it counts, so a killed process never leaves a stale one.
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
        # Far behind the process id: Windows forbids others to read locked bytes.
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
    """Whether a file is one that :func:`exclusive` leaves: empty, or with a process id alone."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_LONGEST + 1)
    except OSError:
        return False
    return not content or (len(content) <= _LONGEST and content.strip().isdigit())


def remove_lock(path: Path) -> None:
    """Remove the file of a lock that is held; who waits for it is refused. Windows keeps it."""
    with suppress(OSError):
        path.unlink()


@contextmanager
def exclusive(path: Path, purpose: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path``, made if absent, while the block runs.

    Args:
        path: the lock file; its folder exists.
        purpose: what is being done, for the message ("building the features in runs/x").
        patience: seconds to wait for another process that holds it.

    Raises:
        LockedError: another process still holds it, and which; or the file system has no locks.
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
        if not _is_there(descriptor, path):  # its last holder has removed it: it locks nothing
            raise LockedError(f"another process was {purpose} a moment ago. Try again.")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)
