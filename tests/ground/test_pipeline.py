"""Work ahead of its use: order, bounds, errors."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import PATIENCE
from negah.pipeline import batched, map_ahead


@given(st.lists(st.integers(), max_size=30), st.integers(1, 4), st.integers(1, 8))
def test_results_come_in_the_order_of_the_items(items: list[int], threads: int, ahead: int) -> None:
    def slow_if_even(item: int) -> int:
        time.sleep(0.0005 * (item % 2 == 0))
        return item * 2

    assert list(map_ahead(slow_if_even, items, threads=threads, ahead=ahead)) == [
        item * 2 for item in items
    ]


def test_items_are_taken_no_further_ahead_than_asked() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in itertools.count():
            taken.append(item)
            yield item

    results = map_ahead(str, items(), threads=2, ahead=5)
    assert taken == []
    for number in range(20):
        assert next(results) == str(number)
        assert len(taken) == number + 1 + 5
    results.close()


def test_work_overlaps_with_use() -> None:
    begun = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            begun.set()
        return item

    results = map_ahead(work, [0, 1], threads=1, ahead=2)
    assert next(results) == 0
    assert begun.wait(PATIENCE), "the second item was not worked on before it was asked for"
    assert list(results) == [1]


def test_an_error_comes_where_its_result_would() -> None:
    results = map_ahead(lambda item: 1 // item, [1, 1, 0, 1], threads=2, ahead=4)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_closing_ends_the_threads() -> None:
    before = set(threading.enumerate())
    results = map_ahead(str, itertools.count(), threads=2, ahead=4)
    next(results)
    readers = set(threading.enumerate()) - before
    assert {thread.name.partition("_")[0] for thread in readers} == {"negah-reader"}
    results.close()
    assert not readers & set(threading.enumerate())


@given(st.lists(st.integers(), max_size=40), st.integers(1, 10))
def test_batches_hold_everything_in_order(items: list[int], size: int) -> None:
    batches = list(batched(items, size))
    assert list(itertools.chain(*batches)) == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)


@pytest.mark.parametrize("ahead", [1, 2, 7])
def test_what_the_items_raise_comes_after_the_results_before_it(ahead: int) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the list ended early")

    results = map_ahead(str, items(), threads=2, ahead=ahead)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(OSError, match="ended early"):
        next(results)
