"""A job over many files: the state of each, and the processing of those that are left.

A file takes its path and 9 bytes of memory; with ``dedupe`` also its digest. Rows stay in the
journal until the output is written.
"""

from __future__ import annotations

import os
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from negah.errors import CheckpointError, OutputError
from negah.hashing import content_sha256
from negah.jobs.identity import merge_facts
from negah.jobs.journal import Entry, Journal, Status
from negah.locks import exclusive
from negah.media import is_clip
from negah.pipeline import map_ahead

JOURNAL = "journal"
SUMMARY = "summary.json"
_LOCK = "lock"
#: Files whose content is hashed while others are captioned.
_HASHED_AHEAD = 64
_NOT_DONE = 0
_CODES = {Status.DONE: 1, Status.FAILED: 2, Status.UNSURE: 3}
_COPY = 4
#: Seconds that an entry waits for others of its batch.
_PATIENCE = 1.0

#: Called once for a file whose content is that of another, with the entry and the rows of that one;
#: gives the rows of this one.
Copy: TypeAlias = Callable[[Path, Entry, bytes], bytes]


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Options of a job.

    Attributes:
        batch: number of files whose entries are written together.
        restart: whether existing results are discarded.
        retry_failed: whether only files that failed before are captioned.
        hashing: whether entries contain the SHA-256 of their files.
        copy: makes the rows of files with identical content, which are captioned only once; None
            to caption every file.
    """

    batch: int = 16
    restart: bool = False
    retry_failed: bool = False
    hashing: bool = False
    copy: Copy | None = None


class _FileState(NamedTuple):
    """The state of a file just before it is captioned."""

    number: int
    size: int
    mtime_ns: int
    sha256: str


class Job:
    """A job; see :func:`open_job`.

    Args:
        journal: of the job, open and locked.
        files: of this run, in the order of the output.
        facts: that determine the rows; see :mod:`negah.jobs.identity`.
        plan: its options.
        name: in messages.

    Attributes:
        files: as given.
        before: number of files that were done or tried in earlier runs.
        elsewhere: entries of files that are not among them.
        seconds: spent on all entries, including earlier runs.
        made: number of captioned files, including earlier runs and files that were captioned again,
            changed or are no longer given; without copies.

    Raises:
        UsageError: the job was started with other options or another model.
        CheckpointError: its journal is damaged.
        OutputError: it cannot be written.
    """

    def __init__(
        self,
        journal: Journal,
        files: Sequence[Path],
        facts: Mapping[str, Any],
        plan: JobSettings,
        name: str,
    ) -> None:
        self.files = files
        self.elsewhere = self.made = 0
        self.seconds = 0.0
        self._journal = journal
        self._plan = plan
        self._places = array("q", bytes(8 * len(files)))
        self._states = bytearray(len(files))
        # by SHA-256: where the entry of the first file of a content stands
        self._firsts: dict[bytes, int] = {}
        # by SHA-256: the files that wait for the first one, which is being captioned
        self._waiting: dict[str, list[_FileState]] = {}
        self._looks: dict[Path, _FileState] = {}
        self._numbers: deque[int] = deque()
        self._batch: list[tuple[_FileState, Entry, bytes]] = []
        if plan.restart:
            journal.clear()
        self._recall(facts, name)
        self.before = len(files) - self._states.count(_NOT_DONE)
        self._last = self._flushed = time.monotonic()

    def _recall(self, facts: Mapping[str, Any], name: str) -> None:
        """Read the finished files; files that changed since do not count."""
        sizes, times = (array("q", bytes(8 * len(self.files))) for _ in range(2))
        numbers = {str(path): number for number, path in enumerate(self.files)}
        for place, entry in self._journal.scan():
            self._count(entry, place)
            number = numbers.get(entry.path)
            if number is None:
                self.elsewhere += 1
                continue
            self._places[number], self._states[number] = place, _state(entry)
            sizes[number], times[number] = entry.size, entry.mtime_ns
        before = self._journal.facts
        merged = dict(facts) if before is None else merge_facts(before, facts, name)
        if merged != before:
            self._journal.describe(merged)
        for number, path in enumerate(self.files):
            if self._states[number]:
                size, mtime_ns = _stat(path)
                same = size == sizes[number] and (
                    mtime_ns == times[number] or self._has_content(number)
                )
                if not same:
                    self._states[number] = _NOT_DONE

    def _has_content(self, number: int) -> bool:
        """Whether a file with a new modification time has the same content."""
        entry, _ = self._journal.read(self._places[number])
        return bool(entry.sha256) and _sha256(self.files[number]) == entry.sha256

    def _count(self, entry: Entry, place: int) -> None:
        self.seconds += entry.seconds
        if entry.same_as:
            return
        self.made += 1
        if self._plan.copy is not None and entry.sha256 and entry.status is not Status.FAILED:
            self._firsts.setdefault(bytes.fromhex(entry.sha256), place)

    def count(self, status: Status | None) -> int:
        """The number of files in a state; None: not done yet."""
        code = _NOT_DONE if status is None else _CODES[status]
        return self._states.count(code) + (self._states.count(code | _COPY) if code else 0)

    @property
    def copies(self) -> int:
        """Files whose captions are those of another of equal content."""
        return sum(self._states.count(code | _COPY) for code in _CODES.values())

    def pending(self) -> Iterator[Path]:
        """Yield the files to be captioned, as needed; each must be passed to :meth:`record`.

        Raises:
            OutputError: the journal cannot be written (for files with identical content).
        """
        failed = (_CODES[Status.FAILED], _CODES[Status.FAILED] | _COPY)
        wanted = failed if self._plan.retry_failed else (_NOT_DONE,)
        numbers = (number for number, state in enumerate(self._states) if state in wanted)
        looks: Iterable[_FileState] = map(self._look, numbers)
        if not self._plan.hashing:
            yield from map(self._hand_out, looks)
            return
        with closing(map_ahead(self._look, numbers, threads=2, ahead=_HASHED_AHEAD)) as looks:
            for look in looks:
                if self._plan.copy is None or not self._is_copy(look):
                    yield self._hand_out(look)

    def places(self) -> Iterator[int]:
        """The index among all files of each pending file, in order."""
        while True:
            yield self._numbers.popleft()

    def _look(self, number: int) -> _FileState:
        path = self.files[number]
        return _FileState(number, *_stat(path), _sha256(path) if self._plan.hashing else "")

    def _hand_out(self, look: _FileState) -> Path:
        path = self.files[look.number]
        self._looks[path] = look
        self._numbers.append(look.number)
        return path

    def _is_copy(self, look: _FileState) -> bool:
        """Whether a file gets the captions of another file with identical content."""
        if not look.sha256:
            return False
        place = self._firsts.get(bytes.fromhex(look.sha256))
        if place is not None:
            self._copy(look, *self._journal.read(place))
            return True
        if look.sha256 in self._waiting:
            self._waiting[look.sha256].append(look)
            return True
        self._waiting[look.sha256] = []
        return False

    def _copy(self, look: _FileState, entry: Entry, rows: bytes) -> None:
        assert self._plan.copy is not None
        path = self.files[look.number]
        entry = replace(entry, size=look.size, mtime_ns=look.mtime_ns, seconds=0.0)
        rows = self._plan.copy(path, entry, rows)
        self._add(look, replace(entry, path=str(path), same_as=entry.path), rows)

    def sha256(self, path: Path) -> str:
        """The SHA-256 of a pending file; "" if not requested or if it cannot be read."""
        return self._looks[path].sha256

    def record(
        self, path: Path, status: Status, rows: bytes, *, reason: str = "", scenes: int = 0
    ) -> None:
        """Record the result of a pending file; it is durable once its batch is.

        Args:
            path: the file.
            status: its result.
            rows: its rows, including those before a failure.
            reason: of a failure.
            scenes: number of its captioned scenes.

        Raises:
            OutputError: the journal cannot be written.
        """
        now = time.monotonic()
        look = self._looks.pop(path)
        entry = Entry(
            path=str(path), size=look.size, mtime_ns=look.mtime_ns, status=status,
            seconds=round(now - self._last, 4), scenes=scenes, reason=reason, sha256=look.sha256,
        )  # fmt: skip
        self._last = now
        self._add(look, entry, rows)
        full = len(self._batch) >= self._plan.batch or now - self._flushed > _PATIENCE
        if full or is_clip(path):
            self.flush()

    def _add(self, look: _FileState, entry: Entry, rows: bytes) -> None:
        self._batch.append((look, entry, rows))

    def flush(self) -> None:
        """Make all recorded results durable.

        Raises:
            OutputError: the journal cannot be written.
        """
        while self._batch:
            batch, self._batch = self._batch, []
            places = self._journal.append([(entry, rows) for _, entry, rows in batch])
            for (look, entry, rows), place in zip(batch, places, strict=True):
                self._places[look.number], self._states[look.number] = place, _state(entry)
                self._count(entry, place)
                for other in self._waiting.pop(look.sha256, ()):
                    self._copy(other, entry, rows)
        self._flushed = time.monotonic()

    def entries(self, status: Status | None = None) -> Iterator[tuple[Entry, bytes]]:
        """Entries and rows of the finished files, in order.

        Args:
            status: only files in this state.

        Raises:
            CheckpointError: the journal was changed in the meantime.
        """
        for number, path in enumerate(self.files):
            state = self._states[number]
            if state and (status is None or state & ~_COPY == _CODES[status]):
                entry, rows = self._journal.read(self._places[number])
                if entry.path != str(path):
                    raise CheckpointError(f"{self._journal.path} has been changed meanwhile")
                yield entry, rows


@contextmanager
def open_job(
    folder: Path, files: Sequence[Path], facts: Mapping[str, Any], plan: JobSettings, output: Path
) -> Iterator[Job]:
    """Start or resume a job; only one process at a time.

    Args:
        folder: of the job; made if absent.
        files: of this run, in the order of the output.
        facts: that determine the rows.
        plan: its options.
        output: name of the job in messages.

    Raises:
        LockedError: another process is working on it.
        NegahError: as :class:`Job`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(folder, error) from error
    with (
        exclusive(folder / _LOCK, f"captioning into {output}"),
        closing(Journal(folder / JOURNAL)) as journal,
    ):
        yield Job(journal, files, facts, plan, f"the job of {output}")


def _state(entry: Entry) -> int:
    return _CODES[entry.status] | (_COPY if entry.same_as else 0)


def _stat(path: Path) -> tuple[int, int]:
    """Size and modification time; for a missing file, values that no file has."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a million times
    except (OSError, ValueError):
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _sha256(path: Path) -> str:
    """The SHA-256 of a file; "" if it cannot be read, which captioning will report."""
    try:
        # what is no file, such as a pipe, would keep us waiting
        return content_sha256(path) if path.is_file() else ""
    except (OSError, ValueError):
        return ""
