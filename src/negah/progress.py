"""How long work tells its progress to whoever called it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

#: Called with the name of some work, how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]


def counting(progress: Progress, work: str, total: int) -> Callable[[], None]:
    """A function that is called after each of ``total`` items, and counts them.

    Args:
        progress: is told the count.
        work: the name of the work.
        total: how many items there are.
    """
    numbers = itertools.count(1)
    return lambda: progress(work, next(numbers), total)
