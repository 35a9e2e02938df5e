"""The journal of a job: the result of each photo and clip, stored durably at once.

An append-only file of batches. Each batch is written in one call and flushed to the disk before the
next, so that after a kill or a power failure at most the last batch is incomplete::

    batch LENGTH CRC32        in decimal, and 8 hexadecimal digits, of the LENGTH bytes below
    {"path": "a.jpg", ...}    an entry in JSON, followed by "bytes" bytes of rows
    ...

The facts of the job are in the first batch, and in later ones if some were added. The file is
untrusted: anything else is refused with a :class:`~negah.errors.CheckpointError`, except for an
incomplete last batch, which is dropped.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from negah.errors import CheckpointError, OutputError

#: Bytes of the rows of one file. What is written is held in memory, and so is what is read.
MAX_ROWS = 1 << 28
_MAX_LINE = 1 << 18
_MAX_HEAD = 40
_CHUNK = 1 << 20
_HEAD = re.compile(rb"batch (\d{1,15}) ([0-9a-f]{8})\n")
_BEGIN = b"batch "
#: In an incomplete batch, of rows that look like them; each costs reading what it claims to be.
_MOST_HEADS = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}|")
_FORMAT = 1


class Status(StrEnum):
    """The result of a file."""

    DONE = "done"
    FAILED = "failed"
    #: Read, but its captions were left out, since the model was not sure enough.
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Entry:
    """The result of a photo or clip.

    Attributes:
        path: as given by the user.
        size: of the file in bytes, when it was read.
        mtime_ns: modification time, in nanoseconds.
        status: its result.
        seconds: since the previous entry.
        scenes: number of its captioned scenes.
        reason: of a failure.
        sha256: of its content; "" if not requested.
        same_as: the file with identical content whose captions are used.
    """

    path: str
    size: int
    mtime_ns: int
    status: Status
    seconds: float = 0.0
    scenes: int = 0
    reason: str = ""
    sha256: str = ""
    same_as: str = ""


_FIELDS = tuple(field.name for field in fields(Entry))
_NEEDED = frozenset({"path", "size", "mtime_ns", "status"})


class Journal:
    """The journal of a job; it must be opened while holding the lock of the job.

    Args:
        path: of the journal; created if absent.

    Attributes:
        path: as given.
        facts: of the job; None before :meth:`scan`, and for a new journal before
            :meth:`describe`.
        dropped: bytes of an incomplete batch at the end.

    Raises:
        CheckpointError: the file is not a journal.
        OutputError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, Any] | None = None
        self.dropped = 0
        self._end = 0
        try:
            if path.is_symlink() or (path.exists() and not stat.S_ISREG(path.stat().st_mode)):
                raise self._damaged("is a link or no file")
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            self._write = io.FileIO(number, "r+")
            self._read = path.open("rb")
        except OSError as error:
            raise OutputError(path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._read.close()
        self._write.close()

    def clear(self) -> None:
        """Delete all entries."""
        self.facts, self._end = None, 0
        self._cut()

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Write the facts of the job.

        Raises:
            OutputError: it cannot be written.
        """
        self.facts = dict(facts)
        self._append(_line({"negah_journal": _FORMAT, "facts": self.facts}))
        with suppress(OSError):  # some systems force no folders
            number = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def append(self, entries: Sequence[tuple[Entry, bytes]]) -> list[int]:
        """Write a batch of entries with their rows, and flush it to the disk.

        Returns:
            the position of each entry, for :meth:`read`.

        Raises:
            OutputError: it cannot be written; earlier batches are kept.
        """
        parts, places, length = [], [], 0
        for entry, rows in entries:
            values = {name: getattr(entry, name) for name in _FIELDS}
            known = {name: value for name, value in values.items() if value or name in _NEEDED}
            line = _line(known | {"bytes": len(rows)})
            places.append(length)
            parts += [line, rows]
            length += len(line) + len(rows)
        first = self._append(b"".join(parts))
        return [first + place for place in places]

    def scan(self) -> Iterator[tuple[int, Entry]]:
        """All entries with their positions; later entries of a path replace earlier ones.

        An incomplete batch at the end is removed.

        Raises:
            CheckpointError: the journal is damaged.
        """
        size = os.fstat(self._read.fileno()).st_size
        position = 0
        while position < size:
            body = self._body(position, size)
            if body is None:
                break
            position = self._end = sum(body)
            yield from self._entries(*body)
        self.dropped = size - position
        if self.dropped:
            self._cut()

    def read(self, place: int) -> tuple[Entry, bytes]:
        """Read an entry and its rows.

        Raises:
            CheckpointError: there is no entry at this position.
        """
        try:
            values = self._values(place, self._end)
            entry, length = self._entry(values, place, self._end - self._read.tell())
            rows = self._read.read(length)
        except OSError as error:
            raise self._damaged(f"cannot be read: {error.strerror}") from error
        return entry, rows

    def _append(self, body: bytes) -> int:
        head = b"batch %d %08x\n" % (len(body), zlib.crc32(body))
        rest = memoryview(head + body)
        try:
            self._write.seek(self._end)
            while rest:
                rest = rest[self._write.write(rest) or 0 :]
            os.fsync(self._write.fileno())
        except OSError as error:
            with suppress(OSError):
                self._cut()
            raise OutputError(self.path, error) from error
        first = self._end + len(head)
        self._end = first + len(body)
        return first

    def _cut(self) -> None:
        self._write.truncate(self._end)
        self._read.close()  # its buffer may hold what was cut off
        self._read = self.path.open("rb")

    def _body(self, position: int, size: int) -> tuple[int, int] | None:
        """Position and length of the body of a batch; None for the incomplete end."""
        body = self._whole(position, size)
        if body is not None:
            return body
        self._read.seek(position)
        start = self._read.read(len(_BEGIN))
        if not position and not _BEGIN.startswith(start) and start.strip(b"\0"):
            raise self._damaged("is no journal of a job")
        # what was forced to the disk before is whole: only the last batch can be incomplete
        for number, later in enumerate(self._heads(position + 1, size)):
            if number == _MOST_HEADS or self._whole(later, size) is not None:
                raise self._damaged(f"is damaged between byte {position:,} and byte {later:,}")
        return None

    def _whole(self, position: int, size: int) -> tuple[int, int] | None:
        """Position and length of the body of a batch; None if it is incomplete."""
        self._read.seek(position)
        head = _HEAD.fullmatch(self._read.readline(_MAX_HEAD))
        if head is None:
            return None
        first, length = position + head.end(), int(head[1])
        if first + length > size or not length:
            return None
        checksum, rest = 0, length
        while rest:
            chunk = self._read.read(min(rest, _CHUNK))
            if not chunk:
                return None
            checksum, rest = zlib.crc32(chunk, checksum), rest - len(chunk)
        return (first, length) if checksum == int(head[2], 16) else None

    def _heads(self, first: int, size: int) -> Iterator[int]:
        """Possible positions of batches."""
        while first < size:
            self._read.seek(first)
            chunk = self._read.read(_CHUNK + _MAX_HEAD)
            for found in _HEAD.finditer(chunk):
                if found.start() < _CHUNK:
                    yield first + found.start()
            first += _CHUNK

    def _entries(self, first: int, length: int) -> Iterator[tuple[int, Entry]]:
        position, end = first, first + length
        while position < end:
            values = self._values(position, end)
            here = self._read.tell()
            if self.facts is None or "negah_journal" in values:
                self._take_facts(values)
                position = here
                continue
            entry, rows = self._entry(values, position, end - here)
            yield position, entry
            position = here + rows

    def _take_facts(self, values: Mapping[str, Any]) -> None:
        facts = values.get("facts")
        if not isinstance(facts, dict) or "negah_journal" not in values:
            raise self._damaged("is no journal of a job")
        if values["negah_journal"] != _FORMAT:
            raise self._damaged("is of another version of Negah")
        self.facts = facts

    def _entry(self, values: dict[str, Any], position: int, room: int) -> tuple[Entry, int]:
        """The entry in the line at a position, and the number of bytes of rows after it."""
        length = values.pop("bytes", None)
        numbers = [length, *(values.get(name, 0) for name in ("size", "mtime_ns", "scenes"))]
        texts = [values.get(name, "") for name in ("path", "reason", "sha256", "same_as")]
        seconds = values.get("seconds", 0.0)
        if (
            not _NEEDED <= values.keys() <= set(_FIELDS)
            or not all(type(number) is int and abs(number) < 1 << 63 for number in numbers)
            or not all(type(text) is str for text in texts)
            or type(seconds) not in (int, float)
            or not 0 <= seconds < 1e12
            or not values["path"]
            or "\0" in values["path"]
            or not _SHA256.fullmatch(values.get("sha256", ""))
            or values["status"] not in list(Status)
            or not 0 <= length <= min(MAX_ROWS, room)
        ):
            raise self._damaged(f"holds an impossible entry at byte {position:,}")
        return Entry(**(values | {"status": Status(values["status"])})), length

    def _values(self, position: int, end: int) -> dict[str, Any]:
        """The object in the line at a position; the file is then positioned after it."""
        self._read.seek(position)
        line = self._read.readline(min(_MAX_LINE, max(0, end - position)))
        try:
            values = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise self._damaged(f"holds no entry at byte {position:,}")
        return values

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.path} {what}, so the job cannot continue: start over with --restart, or "
            "choose another --output"
        )


def _line(values: Mapping[str, Any]) -> bytes:
    """A JSON line in ASCII, which preserves file names with lone surrogates."""
    return json.dumps(values, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
