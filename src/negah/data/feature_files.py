"""The small files of a feature store's folder, beside the features themselves.

key.json        what the features are
index           one line of 74 bytes per row, in row order: SHA-256 of the picture's
                file, CRC-32 of the row. A row is valid once its line is complete. For a span
                of a clip the SHA-256 is of the file's and the span.
times.f64       of clips: when each frame is shown, in seconds, as little-endian float64;
                not-a-number where a clip has fewer frames than its row has room for
failures.jsonl  pictures that could not be read, and why
hashes.jsonl    path, size and time of change -> SHA-256, so that a second run over
                the same files need not read them
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from negah.errors import DataError
from negah.files import write_text
from negah.hashing import content_sha256

KEY_FILE = "key.json"
INDEX_FILE = "index"
FEATURES_FILE = "features.f16"
TIMES_FILE = "times.f64"
FAILURES_FILE = "failures.jsonl"
HASHES_FILE = "hashes.jsonl"
LOCK_FILE = "lock"

_LINE = re.compile(rb"([0-9a-f]{64}) ([0-9a-f]{8})\n")
LINE_BYTES = 64 + 1 + 8 + 1

#: A file that changed this recently may change again without its time changing: not cached.
_SETTLED_NS = 2_000_000_000


def damaged(folder: Path, what: str) -> DataError:
    """The error for a damaged store."""
    return DataError(
        f"{folder}: this feature store is damaged: {what}. "
        "Delete this folder; its features will be computed again."
    )


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One row: the SHA-256 of its picture's file, and the CRC-32 of its bytes.

    For a clip the CRC-32 also covers its times.
    """

    sha256: str
    crc32: int

    def to_line(self) -> bytes:
        """74 bytes, line end included."""
        return f"{self.sha256} {self.crc32:08x}\n".encode("ascii")


def read_index(folder: Path) -> list[IndexEntry]:
    """The valid rows, in order. An incomplete last line (a killed run) is ignored.

    Raises:
        DataError: a complete line is not what was written.
    """
    path = folder / INDEX_FILE
    if not path.exists():
        return []
    content = path.read_bytes()
    entries = []
    for row in range(len(content) // LINE_BYTES):
        match = _LINE.fullmatch(content, row * LINE_BYTES, (row + 1) * LINE_BYTES)
        if match is None:
            raise damaged(folder, f"line {row + 1} of {INDEX_FILE} is not readable")
        entries.append(IndexEntry(match[1].decode("ascii"), int(match[2], 16)))
    return entries


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture without features.

    Attributes:
        path: the file.
        sha256: of its content; None where not even that could be read.
        reason: why, in a clause.
    """

    path: str
    sha256: str | None
    reason: str


def read_failures(folder: Path) -> dict[str, Failure]:
    """Failures by path; a later line about the same path replaces an earlier one."""
    failures = {}
    for row in _json_lines(folder / FAILURES_FILE):
        failure = Failure(str(row.get("path")), row.get("sha256"), str(row.get("reason")))
        failures[failure.path] = failure
    return failures


def write_failures(folder: Path, failures: Iterable[Failure]) -> None:
    """Replace the list of failures."""
    lines = [json.dumps(asdict(failure)) + "\n" for failure in failures]
    write_text(folder / FAILURES_FILE, "".join(lines))


class HashCache:
    """SHA-256 of files, remembered by path, size and time of change.

    Args:
        folder: the feature store's folder; what an earlier run saved there is read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / HASHES_FILE
        self._known: dict[str, tuple[int, int, str]] = {}
        for row in _json_lines(self._path):
            match row:
                case {
                    "path": str(path),
                    "size": int(size),
                    "mtime_ns": int(mtime_ns),
                    "sha256": str(sha256),
                }:
                    self._known[path] = (size, mtime_ns, sha256)

    def sha256(self, path: Path) -> str:
        """SHA-256 of the file's bytes.

        Raises:
            OSError: the file cannot be read.
        """
        absolute = os.path.abspath(path)  # noqa: PTH100 - resolve() would read every link
        status = path.stat()
        known = self._known.get(absolute)
        if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
            return known[2]
        sha256 = content_sha256(path)
        if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            self._known[absolute] = (status.st_size, status.st_mtime_ns, sha256)
        return sha256

    def learn(self, other: HashCache) -> None:
        """Take over the entries of another cache."""
        self._known |= other._known

    def save(self) -> None:
        """Write the entries, for the next run."""
        lines = [
            json.dumps({"path": path, "size": size, "mtime_ns": mtime_ns, "sha256": sha256}) + "\n"
            for path, (size, mtime_ns, sha256) in self._known.items()
        ]
        write_text(self._path, "".join(lines))


def read_key(folder: Path) -> Mapping[str, Any] | None:
    """The content of ``key.json``; None if it does not exist yet.

    Raises:
        DataError: it is no JSON object.
    """
    try:
        value = json.loads((folder / KEY_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise damaged(folder, f"{KEY_FILE} is not readable")
    return value


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a cache file; lines truncated by a crash are skipped."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
