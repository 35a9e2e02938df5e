"""A progress bar on standard error, and the final summary line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from negah.captions import Caption
from negah.cli.clock import clock
from negah.cli.streams import say
from negah.errors import MediaError, OutputError
from negah.media.sources import left_out_line

if TYPE_CHECKING:
    from rich.progress import Progress

#: No bar for fewer photos.
_MANY = 20
#: Seconds between log lines without a terminal.
_PAUSE = 60.0
#: Seconds after which a rate is shown.
_SETTLED = 2.0
#: Number of failures of a job that are printed; its summary contains more.
_MOST = 1000
#: Number of skipped files that are printed: most often all have the same reason.
MOST_SKIPPED = 20

T = TypeVar("T")


class FileProgressBar:
    """Progress of the files, and of the current clip.

    Args:
        progress: where to draw; None draws nothing.
        total: files.
        done: files that were done before.
        logged: whether to print a line from time to time.
    """

    def __init__(
        self, progress: Progress | None, total: int, done: int = 0, *, logged: bool = False
    ) -> None:
        self._progress = progress
        self._total = total
        self._before = self._done = done
        self._logged = logged
        self._begun = self._told = time.monotonic()
        self._clip: tuple[str, float, float] | None = None
        if progress is not None:
            self._task = progress.add_task("captioning", total=total, completed=done, at="")
            self._show()

    def begin_clip(self, path: Path, start: float, end: float) -> None:
        """Scenes of this clip follow; it lasts from ``start`` to ``end`` seconds."""
        self._clip = (path.name, start, end)
        self.reach(start)

    def reach(self, time: float) -> None:
        """The clip's scenes were looked for until this second."""
        if self._clip is not None:
            name, start, end = self._clip
            part = min(1.0, max(0.0, (time - start) / (end - start)))
            self._show(part, f"{name} {clock(time)} / {clock(end)}")

    def advance(self) -> None:
        """A file is done."""
        self._done += 1
        self._clip = None
        self._show()
        now = time.monotonic()
        if self._logged and now - self._told >= _PAUSE:
            self._told = now
            rate = self._rate(now)
            left = clock((self._total - self._done) / rate).partition(".")[0] if rate else "?"
            say(f"{self._done:,} of {self._total:,}, {rate:.1f} files/s, {left} left")

    def _rate(self, now: float) -> float:
        """Files a second in this run; 0 where that is not known yet."""
        seconds = now - self._begun
        return (self._done - self._before) / seconds if seconds >= _SETTLED else 0.0

    def _show(self, part: float = 0.0, clip: str = "") -> None:
        if self._progress is not None:
            files = f"{self._done}/{self._total}" if self._total > 1 else ""
            rate = self._rate(time.monotonic())
            speed = f"{rate:.1f}/s" if rate and self._total > 1 else ""
            at = "  ".join(filter(None, (files, speed, clip)))
            self._progress.update(self._task, completed=self._done + part, at=at)


@contextmanager
def progress_bar(
    total: int,
    *,
    wanted: bool,
    scenes: bool = False,
    done: int = 0,
    logged: bool = False,
    label: str = "captioning",
) -> Iterator[FileProgressBar]:
    """A bar to tell what was done, how quick that is, and how long the rest takes.

    It is shown where it is ``wanted``, standard error is a terminal, and files are many or
    ``scenes`` of clips are captioned, which may last. Without a terminal ``logged`` gives a line
    once a minute.

    Args:
        total: files.
        wanted: whether it may be shown.
        scenes: whether scenes are captioned.
        done: files that were done before.
        logged: whether lines take the place of a bar.
        label: what is done with the files.
    """
    if not wanted or not (scenes or total >= _MANY) or not sys.stderr.isatty():
        yield FileProgressBar(None, total, done, logged=logged)
        return
    with bar_on_standard_error(label) as columns:
        yield FileProgressBar(columns, total, done)


def bar_on_standard_error(label: str) -> Progress:
    """A bar of tasks that tell where they are in their field ``at``, with the time left."""
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn(label),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[at]}", markup=False),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        # Standard output may be a pipe: the bar must not take it for its own.
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )


class CappedMessages(list[T]):
    """Messages for the end of a run: the first ones, and the number of others.

    Args:
        most: that are kept; None: all.
    """

    def __init__(self, given: Iterable[T] = (), most: int | None = None) -> None:
        super().__init__(given)
        self.most = most
        self.more = 0

    def append(self, one: T) -> None:
        """Keep one, or count it."""
        if self.most is None or len(self) < self.most:
            super().append(one)
        else:
            self.more += 1

    @property
    def total(self) -> int:
        """How many there were."""
        return len(self) + self.more


@dataclass(slots=True)
class Tally:
    """Counts and messages of a run over photos and clips.

    Attributes:
        total: files that were named.
        verb: what is done with them.
        done: files of which that was written.
        skipped: files that need nothing, and why: a line each.
        before: of a job, files that were done before.
        failures: files that failed, and why.
        failed_before: of a job, files that failed before, and were not tried again.
        scenes: scenes of clips that were written.
        unsure: captions that were left out because the model was not sure enough of them.
        warnings: what was wrong with files that are done all the same.
        left_out: of files in folders that are not read, how many there are by suffix.
        interrupted: whether Ctrl-C or another signal ended the run.
        stopped: why nothing more could be written, which ended the run.
        advice: how to continue an interrupted run, as a clause.
    """

    total: int
    verb: str = "captioned"
    done: int = 0
    skipped: CappedMessages[str] = field(default_factory=lambda: CappedMessages(most=MOST_SKIPPED))
    before: int = 0
    failures: CappedMessages[MediaError] = field(default_factory=CappedMessages)
    failed_before: int = 0
    scenes: int = 0
    unsure: CappedMessages[str] = field(default_factory=CappedMessages)
    warnings: CappedMessages[str] = field(default_factory=CappedMessages)
    left_out: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
    stopped: OutputError | None = None
    advice: str = ""

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 1 if something did, 130 after Ctrl-C."""
        failed = self.failures or self.failed_before or self.stopped
        return 130 if self.interrupted else int(bool(failed))

    def limit(self, most: int = _MOST) -> None:
        """Keep no more lines of a kind than this."""
        for told in (self.failures, self.unsure, self.warnings):
            told.most = most

    def warn(self, path: Path, caption: Caption) -> None:
        """Note what the caption's warnings say; scenes of one clip may say the same."""
        for warning in caption.warnings:
            line = f"{path}: {warning}"
            if line not in self.warnings[-1:]:
                self.warnings.append(line)

    def leave_out(self, path: Path, caption: Caption) -> None:
        """Note a caption that is not written because it is not sure enough."""
        self.unsure.append(f"{path}: confidence {caption.confidence:.3f}")

    def report(self) -> None:
        """Print what went wrong and, last, a summary; nothing where one file went well."""
        tell("skipped", self.skipped)
        tell("warning", self.warnings)
        tell("unsure", self.unsure)
        tell("failed", self.failures)
        skipped = self.skipped.total + self.before
        done = f"{self.verb} {self.done}, skipped {skipped}, failed {self.failures.total}"
        done += f", unsure {self.unsure.total}" if self.unsure else ""
        if self.failed_before:
            done += f", failed before {self.failed_before} (--retry-failed tries again)"
        scenes = f"; scenes written: {self.scenes}" if self.scenes else ""
        scenes += f"; left out: {left_out_line(self.left_out)}" if self.left_out else ""
        advice = f"; {self.advice}" if self.advice else ""
        if self.stopped is not None:
            say(f"negah: {self.stopped}; {done}, of {self.total}{scenes}{advice}")
        elif self.interrupted:
            say(f"interrupted: {done}, of {self.total}{scenes}{advice}")
        elif self.total > 1 or not self.done or self.left_out or self.failures or self.unsure:
            say(f"{done}{scenes}{advice}")


def tell(what: str, told: CappedMessages[T]) -> None:
    """Print messages of a kind, and the number of those that were not kept."""
    for one in told:
        say(f"{what}: {one}")
    if told.more:
        say(f"{what}: {told.more:,} more")
