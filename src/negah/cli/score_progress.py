"""Progress of ``negah score`` on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from negah.cli.streams import say


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show on a terminal that work continues: METEOR takes a while."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


@contextmanager
def compiling(what: str) -> Iterator[Callable[[float], None]]:
    """Give a function that shows the share done: on a terminal a bar, else one line.

    Nothing is shown before it is called, and most runs find everything compiled.
    """
    with ExitStack() as stack:
        show: Callable[[float], None] | None = None

        def progress(share: float) -> None:
            nonlocal show
            if show is None:
                show = _begin_progress(what, stack)
            show(share)

        yield progress


def _begin_progress(what: str, stack: ExitStack) -> Callable[[float], None]:
    """Begin to show; ``stack`` ends it."""
    title = f"compiling {what}, once"
    if not sys.stderr.isatty():
        say(f"{title}; this takes half a minute")
        return lambda share: None
    from rich import progress
    from rich.console import Console

    bar = stack.enter_context(
        progress.Progress(
            progress.TextColumn(title),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            # Standard output may be a pipe: the bar must not take it for its own.
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
    )
    task = bar.add_task("", total=1.0)
    return lambda share: bar.update(task, completed=share)
