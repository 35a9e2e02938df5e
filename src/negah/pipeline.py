"""Prefetching: process the next items in threads while the current ones are used."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Output = TypeVar("Output")


def map_ahead(
    function: Callable[[Item], Output], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[Output, None, None]:
    """``map`` in threads, in order, with up to ``ahead`` items processed before they are requested.

    ``items`` is read in the caller's thread, never more than ``ahead`` items beyond the results
    taken, which bounds the memory. Closing the iterator cancels calls that have not started.

    Args:
        function: called in a thread; its exception is raised in place of its result.
        items: may be endless; its exception is raised after the results of the earlier items.
        threads: number of parallel calls.
        ahead: at least 1.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="negah-reader")
    waiting: deque[Future[Output]] = deque()
    ended: Exception | None = None

    def take(number: int) -> None:
        nonlocal ended
        try:
            for item in itertools.islice(remaining, number if ended is None else 0):
                waiting.append(pool.submit(function, item))
        except (
            Exception
        ) as error:  # an exception of ``items`` is raised to the caller, at its position
            ended = error

    try:
        take(ahead)
        while waiting:
            result = waiting.popleft().result()
            take(1)
            yield result
        if ended is not None:
            raise ended
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one shorter (``itertools.batched`` of Python 3.12)."""
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


@contextmanager
def beside(function: Callable[[], Output]) -> Iterator[Future[Output]]:
    """Call a function in a thread while the block runs; the block's end waits for it.

    Args:
        function: its exception is raised by the future's ``result``.
    """
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function)
