"""Doing the next items in threads while the current ones are used."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[Result, None, None]:
    """``map``, in order, with up to ``ahead`` items taken and worked on before they are asked for.

    ``items`` is read in the caller's thread, and never more than ``ahead`` items further than
    the results that were taken, which bounds the memory. Closing the iterator drops what has
    not begun.

    Args:
        function: called in a thread; what it raises comes out where its result would.
        items: may be endless.
        threads: how many calls run at a time.
        ahead: at least 1.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="negah-reader")
    try:
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in itertools.islice(remaining, ahead)
        )
        while waiting:
            result = waiting.popleft().result()
            for item in itertools.islice(remaining, 1):
                waiting.append(pool.submit(function, item))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one shorter (``itertools.batched`` of Python 3.12)."""
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch
