"""Batches of which one photo is bad: the others are done without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from negah.errors import MediaError

T = TypeVar("T")
R = TypeVar("R")


def isolate_errors(
    batch: Sequence[T], work: Callable[[Sequence[T]], R]
) -> Iterator[tuple[Sequence[T], R | MediaError]]:
    """The result of a batch; where it raises a MediaError, those of its items one by one.

    A model cannot always say which picture of a batch it refuses, so each is tried by itself. A
    caption does not depend on the other photos of its batch, so the results are the same.

    Args:
        batch: one item or more.
        work: on some of them.

    Yields:
        Some of the items in their order, and their result; or one, and its error.
    """
    result: R | MediaError
    try:
        result = work(batch)
    except MediaError as error:
        if len(batch) > 1:
            for place in range(len(batch)):
                yield from isolate_errors(batch[place : place + 1], work)
            return
        result = error
    yield batch, result
