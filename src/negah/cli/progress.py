"""A progress bar on standard error, and the line that says what was done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from negah.errors import MediaError

#: Fewer photos are done before a bar would be read.
_MANY = 20


@contextmanager
def progress_bar(total: int, *, wanted: bool) -> Iterator[Callable[[], None]]:
    """Give a function to call after each photo.

    A bar is shown where it is ``wanted``, standard error is a terminal, and photos are many.
    """
    if not wanted or total < _MANY or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn("captioning"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        # Standard output may be a pipe: the bar must not take it for its own.
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )
    task = bar.add_task("", total=total)
    with bar:
        yield lambda: bar.advance(task)


@dataclass(slots=True)
class Tally:
    """What became of the photos of a run.

    Attributes:
        total: photos that were named.
        captioned: photos whose captions were written.
        skipped: photos that had theirs already.
        failures: photos that could not be captioned, and why.
        interrupted: whether Ctrl-C ended the run.
    """

    total: int
    captioned: int = 0
    skipped: int = 0
    failures: list[MediaError] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 1 if something did, 130 after Ctrl-C."""
        return 130 if self.interrupted else int(bool(self.failures))

    def report(self) -> None:
        """Print the failures and, last, a summary; nothing where one photo went well."""
        for failure in self.failures:
            print(f"failed: {failure}", file=sys.stderr)
        done = f"captioned {self.captioned}, skipped {self.skipped}, failed {len(self.failures)}"
        if self.interrupted:
            print(f"interrupted: {done}, of {self.total}", file=sys.stderr)
        elif self.total > 1 or not self.captioned:
            print(done, file=sys.stderr)
