"""A progress bar for the shards of a job, and the final summary line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from negah.cli.progress import bar_on_standard_error
from negah.cli.streams import say

if TYPE_CHECKING:
    from rich.progress import Progress

    from negah.jobs.shards import ShardStatus

#: Maximum number of failed photos of a shard that are reported, one line each.
_SHOWN = 20


class ShardBar:
    """How far the shards are, and how many photos a second pass.

    Args:
        progress: where to draw; None draws nothing.
        total: shards.
        done: of them, before.
    """

    def __init__(self, progress: Progress | None, total: int, done: int) -> None:
        self._progress = progress
        self._total, self._done = total, done
        self._photos, self._started = 0, time.monotonic()
        if progress is not None:
            self._task = progress.add_task("captioning", total=total, completed=done, at="")

    def photos(self, count: int = 1) -> None:
        """Photos are done."""
        self._photos += count
        self._show()

    def shard(self) -> None:
        """A shard is done."""
        self._done += 1
        self._show()

    def wait(self, shards: int) -> None:
        """Others are at the last shards."""
        self._show(f"waiting for {shards} of others")

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self._photos / max(1e-9, time.monotonic() - self._started)

    def _show(self, more: str = "") -> None:
        if self._progress is not None:
            at = f"{self._done}/{self._total}  {self.rate:.1f} photos/s  {more}".rstrip()
            self._progress.update(self._task, completed=self._done, at=at)


@contextmanager
def shard_progress(total: int, done: int) -> Iterator[ShardBar]:
    """A bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield ShardBar(None, total, done)
        return
    with bar_on_standard_error("shards") as columns:
        yield ShardBar(columns, total, done)


@dataclass(slots=True)
class ShardTally:
    """What became of the shards.

    Attributes:
        total: shards of this process, or of all where it has no share of its own.
        failures: what went wrong, a line each.
        left_out: of files in folders that are not read, how many there are by suffix.
        shards: that this run has done.
        captions: that it has written.
        failed: photos that it could not caption.
        unsure: captions that it has left out.
        rate: photos a second.
        settled: what there is of all shards at the end, by name.
        interrupted: whether somebody asked to stop.
        stopped: why nothing more could be written.
    """

    total: int
    failures: list[str] = field(default_factory=list)
    left_out: str = ""
    shards: int = 0
    captions: int = 0
    failed: int = 0
    unsure: int = 0
    rate: float = 0.0
    settled: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False
    stopped: str | None = None
    _own: set[str] = field(default_factory=set)

    def add(self, report: ShardStatus) -> None:
        """Count a shard that was done, and say at once what failed in it."""
        self._own.add(report.shard)
        self.shards += report.state == "done"
        self.captions += report.captions
        self.failed += len(report.failed)
        self.unsure += report.unsure
        if report.error is not None:
            say(f"failed: {report.shard}: {report.error}")
        for photo in report.failed[:_SHOWN]:
            say(f"failed: {report.shard}: {photo['path']}: {photo['error']}")
        if len(report.failed) > _SHOWN:
            more = len(report.failed) - _SHOWN
            say(f"failed: {report.shard}: {more} more, named in {report.shard}.done.json")

    @property
    def failed_shards(self) -> int:
        """Shards that have failed, in this run, before it, or elsewhere."""
        return sum(state == ".failed.json" for state in self.settled.values())

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 1 if something did, 130 after Ctrl-C."""
        failed = self.failures or self.failed or self.failed_shards or self.stopped
        return 130 if self.interrupted else int(bool(failed))

    def report(self) -> None:
        """Print what went wrong and, last, a summary."""
        for line in self.failures:
            say(f"failed: {line}")
        elsewhere = sum(
            state == ".done.json" and name not in self._own for name, state in self.settled.items()
        )
        line = f"shards: {self.shards} done here, {elsewhere} before or elsewhere"
        line += f", {self.failed_shards} failed, of {self.total}"
        line += f"; captioned {self.captions}, failed {self.failed}"
        line += f", unsure {self.unsure}" if self.unsure else ""
        line += f", {self.rate:.1f} photos/s" if self.captions else ""
        line += f"; left out: {self.left_out}" if self.left_out else ""
        if self.failed_shards or self.failed:
            line += "; --retry-failed does again what failed"
        if self.stopped is not None:
            line = f"negah: {self.stopped}; {line}"
        elif self.interrupted:
            line = f"interrupted: {line}"
        say(line)
