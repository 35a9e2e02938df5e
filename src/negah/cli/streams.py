"""Standard output and standard error of the command line, and what fails there.

Standard output carries data: a write error is an :class:`~negah.errors.OutputError`, which ends the
command with one line. Standard error carries messages: if they cannot be written, they are dropped.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, BinaryIO, TextIO, cast

from negah.errors import OutputError
from negah.interrupt import STOP_SIGNALS

_STDOUT = "standard output"
_ESCAPE = "negah.escape"
#: Control characters, which names may hold, as Python writes them.
_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), 127) if chr(code) != "\t"}


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""What an encoding lacks as ``\\u732b``; bytes of names that are no text as they are."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = []
    for character in error.object[error.start : error.end]:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:
            parts.append(bytes([code - 0xDC00]))
        else:
            parts.append(character.encode("ascii", "backslashreplace"))
    return b"".join(parts), error.end


codecs.register_error(_ESCAPE, _escape)


class _Data(io.FileIO):
    """Standard output, with errors distinguished from those of other files."""

    def __init__(self, closed: str | None) -> None:
        super().__init__(1, "w", closefd=False)
        self._closed = closed
        self._failed = False

    def write(self, data: Any) -> int:
        """Write, or raise an OutputError once; what is left in buffers after that is dropped."""
        if self._failed:
            return len(data)
        cause: OSError | str | None = self._closed
        if cause is None:
            try:
                return _write(super().write, self, data)
            except OSError as error:
                cause = error
        self._failed = True
        raise OutputError(_STDOUT, cause)


class _Messages(io.FileIO):
    """Standard error, which never fails."""

    def __init__(self) -> None:
        super().__init__(2, "w", closefd=False)

    def write(self, data: Any) -> int:
        """Write what can be written."""
        rest = memoryview(data)
        with suppress(OSError):
            while rest and (written := super().write(rest)):
                rest = rest[written:]
        return len(data)


def _write(write: Callable[[Any], int | None], stream: io.FileIO, data: Any) -> int:
    """Write to a stream that may not wait by itself, as some programs leave a pipe."""
    while (written := write(data)) is None:
        select.select([], [stream], [])
    return written


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make the standard streams of this process safe to use, and signals end it in good order."""
    before = sys.stdout, sys.stderr
    closed = "it is closed" if sys.stdout is None else None
    _occupy_descriptors()
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - for all of the run
    if closed or _is_descriptor(sys.stdout, 1):
        raw = _Data(closed)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw),
            getattr(sys.stdout, "encoding", None) or "utf-8",
            _ESCAPE,
            line_buffering=raw.isatty(),
        )
    elif hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=_ESCAPE)
    if sys.stderr is None or _is_descriptor(sys.stderr, 2):
        # Without a buffer, which refuses a second message while it writes the first: the handler
        # of a signal says what it does.
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr = io.TextIOWrapper(
            cast(BinaryIO, _Messages()), encoding, "backslashreplace", write_through=True
        )
    handlers = _interrupt_on_signals()
    try:
        yield
        sys.stdout.flush()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        with suppress(OutputError):
            sys.stdout.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def messages_only() -> Iterator[None]:
    """What is printed goes to standard error, since an output is written to standard output."""
    sys.stdout.flush()
    before, sys.stdout = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout = before


def say(line: str) -> None:
    """Print a line to standard error."""
    if sys.stderr is not None:  # to None, print would write to standard output
        print(line.translate(_CONTROLS), file=sys.stderr, flush=True)


class StandardRows:
    """Rows on standard output, as :class:`~negah.files.RowFile` has them in a file.

    Args:
        utf8: whether they are UTF-8 whatever the encoding of the terminal, as JSON is.
    """

    def __init__(self, *, utf8: bool) -> None:
        sys.stdout.flush()
        if utf8 and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors=_ESCAPE)

    def begin(self, text: str) -> None:
        """Write what precedes the first row."""
        self.write(text)

    def write(self, text: str) -> None:
        """Write a row, at once.

        Raises:
            OutputError: it cannot be written.
        """
        sys.stdout.write(text)
        sys.stdout.flush()

    def end(self, text: str) -> None:
        """Write what follows the last row."""
        self.write(text)


def _occupy_descriptors() -> None:
    """Open the null device for streams that are closed.

    Otherwise the next file that is opened gets the number 1 or 2, and what libraries write to
    standard error lands in the user's data.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _is_descriptor(stream: TextIO, number: int) -> bool:
    """Whether a stream is the process's own; that of a test or a notebook is left alone."""
    try:
        return os.name == "posix" and stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        return False


def _interrupt_on_signals() -> dict[int, Any]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does; one that was ignored, as by nohup, stays so."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    return {number: handler for number, handler in before.items() if handler is not None}


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
