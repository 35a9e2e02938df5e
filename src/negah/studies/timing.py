"""Time of computations that take turns, so that what else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median


class Turns:
    """Seconds of some computations, which took turns.

    Args:
        works: by name.
        repeats: turns.
        told: after each turn, how many are done, and how many there are.
    """

    def __init__(
        self,
        works: Mapping[str, Callable[[], object]],
        repeats: int,
        told: Callable[[int, int], None],
    ) -> None:
        self._turns = []
        for turn in range(repeats):
            self._turns.append({name: _seconds(work) for name, work in works.items()})
            told(turn + 1, repeats)

    def ms(self, name: str) -> float:
        """The median over turns, in milliseconds."""
        return 1e3 * median(turn[name] for turn in self._turns)

    def share(self, name: str, baseline: str) -> float:
        """The median over turns of the time as a share of another's in the same turn."""
        return median(turn[name] / turn[baseline] for turn in self._turns)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
