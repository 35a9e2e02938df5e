"""Every error Negah raises on purpose, as one tree.

    NegahError
    ├── UsageError              a request that cannot be met: wrong option, path or name
    │   └── UnknownNameError    a name that is not registered; lists the known ones and the nearest
    ├── MediaError              one photo or clip cannot be read; carries its path and the reason
    ├── OutputError             an output cannot be written; carries its path and the reason
    ├── DataError               a captioned data set is missing, malformed or leaks between splits
    ├── BundleError             a bundle is damaged, hostile, or of a version this Negah cannot read
    ├── CheckpointError         a training run cannot be resumed as asked
    ├── TrainingError           a training cannot continue: the loss is NaN, the objective faulty
    ├── LockedError             another process is using a folder, or it cannot be locked
    └── MissingExtraError       an optional dependency is absent; says the exact install command

A message says what was given, what is allowed, and what to do. The command
line prints it without a traceback; exit code 2 for a ``UsageError``, 1 for the rest.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from negah.extras import EXTRAS


class NegahError(Exception):
    """The root: catch this to catch everything Negah raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle would call the class with the finished message, which some classes do not take
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[NegahError], arguments: tuple[Any, ...]) -> NegahError:
    """Rebuild an error that was pickled in another process."""
    return kind.__new__(kind, *arguments)


class UsageError(NegahError):
    """A request that cannot be met: a wrong option, path or combination."""


class UnknownNameError(UsageError):
    """A name that is not registered. The message lists the known ones and the nearest.

    Args:
        kind: what the name stands for, in the singular ("recipe", "encoder").
        name: what was given.
        known: the valid names.
        group: of the entry points by which another package can add a name; "" if none can.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], group: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = sorted(known)
        nearest = difflib.get_close_matches(name, self.known, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        added = f" Another package can add one, by an entry point {group!r}." if group else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(self.known)}.{added}")


class MediaError(NegahError):
    """One photo or clip cannot be read.

    Args:
        path: the file, as the user named it.
        reason: why, in a clause that can follow a colon.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")


class OutputError(NegahError):
    """An output cannot be written, or not completely.

    Args:
        path: the file as the user named it, or another output ("standard output").
        cause: the system's error, or the reason in a clause that can follow a colon.
    """

    #: The disk is full: further writes to it would fail as well.
    _FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

    def __init__(self, path: str | Path, cause: OSError | str) -> None:
        self.path = str(path)
        self.reason = cause if isinstance(cause, str) else cause.strerror or str(cause)
        self.ends_run = not isinstance(cause, str) and cause.errno in self._FATAL
        super().__init__(f"cannot write to {self.path}: {self.reason}")


class DataError(NegahError):
    """A captioned data set is missing, malformed, or leaks between its splits."""


class BundleError(NegahError):
    """A bundle is damaged, hostile, or of a version that this Negah cannot read."""


class CheckpointError(NegahError):
    """A training run cannot be resumed as asked."""


class TrainingError(NegahError):
    """A training cannot continue: its loss is not finite, or its objective is faulty."""


class LockedError(NegahError):
    """Another process is using a folder, or the folder's file system does not support locks."""


class MissingExtraError(NegahError):
    """An optional dependency is absent.

    Args:
        module: the module that could not be imported, one of :data:`negah.extras.EXTRAS`.
        purpose: that needs it, as a noun phrase ("training").
        extra: installs all that the purpose needs, if several extras contain the module.
    """

    def __init__(self, module: str, purpose: str, *, extra: str | None = None) -> None:
        self.module = module
        self.extra = extra or EXTRAS[module]
        super().__init__(
            f"{purpose} needs {module}, which is not installed. "
            f"Install it with: pip install 'negah[{self.extra}]'"
        )
