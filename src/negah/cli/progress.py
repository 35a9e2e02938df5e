"""A progress bar on standard error, and the line that says what was done."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from negah.captions import Caption
from negah.cli.clock import clock
from negah.cli.streams import say
from negah.errors import MediaError, OutputError
from negah.media.sources import left_out_line

if TYPE_CHECKING:
    from rich.progress import Progress

#: Fewer photos are done before a bar would be read.
_MANY = 20


class Bar:
    """How far the files are, and how far the clip is that is being captioned.

    Args:
        progress: where to draw; None draws nothing.
        total: files.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._clip: tuple[str, float, float] | None = None
        if progress is not None:
            self._task = progress.add_task("captioning", total=total, at="")
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

    def _show(self, part: float = 0.0, clip: str = "") -> None:
        if self._progress is not None:
            files = f"{self._done}/{self._total}" if self._total > 1 else ""
            at = "  ".join(filter(None, (files, clip)))
            self._progress.update(self._task, completed=self._done + part, at=at)


@contextmanager
def progress_bar(total: int, *, wanted: bool, scenes: bool = False) -> Iterator[Bar]:
    """A bar to tell what was done.

    It is shown where it is ``wanted``, standard error is a terminal, and files are many or
    ``scenes`` of clips are captioned, which may last.
    """
    if not wanted or not (scenes or total >= _MANY) or not sys.stderr.isatty():
        yield Bar(None, total)
        return
    from rich import progress
    from rich.console import Console

    columns = progress.Progress(
        progress.TextColumn("captioning"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[at]}", markup=False),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        # Standard output may be a pipe: the bar must not take it for its own.
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )
    with columns:
        yield Bar(columns, total)


@dataclass(slots=True)
class Tally:
    """What became of the photos and clips of a run.

    Attributes:
        total: files that were named.
        captioned: files whose captions were written.
        skipped: files that had theirs already.
        failures: files that could not be captioned, and why.
        scenes: scenes of clips that were written.
        unsure: captions that were left out because the model was not sure enough of them.
        warnings: what was wrong with files that were captioned all the same.
        left_out: of files in folders that are not read, how many there are by suffix.
        interrupted: whether Ctrl-C or another signal ended the run.
        stopped: why nothing more could be written, which ended the run.
    """

    total: int
    captioned: int = 0
    skipped: int = 0
    failures: list[MediaError] = field(default_factory=list)
    scenes: int = 0
    unsure: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
    stopped: OutputError | None = None

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 1 if something did, 130 after Ctrl-C."""
        return 130 if self.interrupted else int(bool(self.failures or self.stopped))

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
        for warning in self.warnings:
            say(f"warning: {warning}")
        for line in self.unsure:
            say(f"unsure: {line}")
        for failure in self.failures:
            say(f"failed: {failure}")
        done = f"captioned {self.captioned}, skipped {self.skipped}, failed {len(self.failures)}"
        done += f", unsure {len(self.unsure)}" if self.unsure else ""
        scenes = f"; scenes written: {self.scenes}" if self.scenes else ""
        scenes += f"; left out: {left_out_line(self.left_out)}" if self.left_out else ""
        if self.stopped is not None:
            say(f"negah: {self.stopped}; {done}, of {self.total}{scenes}")
        elif self.interrupted:
            say(f"interrupted: {done}, of {self.total}{scenes}")
        elif self.total > 1 or not self.captioned or self.left_out or self.failures or self.unsure:
            say(f"{done}{scenes}")
