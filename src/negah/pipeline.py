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
        items: may be endless; what it raises comes after the results of the items before.
        threads: how many calls run at a time.
        ahead: at least 1.
    """
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="negah-reader")
    waiting: deque[Future[Result]] = deque()
    ended: Exception | None = None

    def take(number: int) -> None:
        nonlocal ended
        try:
            for item in itertools.islice(remaining, number if ended is None else 0):
                waiting.append(pool.submit(function, item))
        except Exception as error:  # whatever the items raise is the caller's, in its place
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
