"""One process at a time: a lock that the operating system drops when its holder dies.

The file stays behind, with the process id of its last holder for messages; only the
kernel's lock on it counts, so a killed process never leaves a stale one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from negah.errors import LockedError

#: Seconds between two tries.
_PAUSE = 0.1

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
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise LockedError(
                f"another process (pid {holder}) is already {purpose}. "
                "Wait until it has finished, or end it."
            ) from None
        except OSError as error:
            raise LockedError(
                f"{path}: this file system cannot lock files ({error.strerror}). "
                "Choose a folder on a local disk."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(descriptor)
