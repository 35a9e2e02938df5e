"""What an output layer costs in operations, counted by executing it.

:func:`softmax` and :func:`sigmoid` are written as their definitions are. Their numbers are
:class:`Counted`: they compute as floats do, and :class:`OperationCounts` keeps what was done.
Nothing here knows a formula for the counts.

The scores themselves, D multiplications and additions for each class, come before either of the
two and are not counted here.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass

from negah.errors import UsageError


@dataclass(slots=True)
class OperationCounts:
    """How many operations of each kind were done.

    Attributes:
        exponentials: exp x.
        additions: x + y.
        divisions: x / y.
        negations: -x, a flipped bit, which hand counts leave out.
    """

    exponentials: int = 0
    additions: int = 0
    divisions: int = 0
    negations: int = 0

    def text(self) -> str:
        """Exponentials / additions / divisions, as hand counts state them."""
        return f"{self.exponentials} / {self.additions} / {self.divisions}"


class Counted:
    """A number that enters all that is done with it in a tally.

    Args:
        value: the number.
        tally: shared by all numbers of one computation.
    """

    __slots__ = ("tally", "value")

    def __init__(self, value: float, tally: OperationCounts) -> None:
        self.value = value
        self.tally = tally

    def exp(self) -> Counted:
        """The exponential."""
        self.tally.exponentials += 1
        return Counted(math.exp(self.value), self.tally)

    def __add__(self, other: Counted | float) -> Counted:
        self.tally.additions += 1
        return Counted(self.value + _value(other), self.tally)

    __radd__ = __add__

    def __truediv__(self, other: Counted | float) -> Counted:
        self.tally.divisions += 1
        return Counted(self.value / _value(other), self.tally)

    def __rtruediv__(self, other: float) -> Counted:
        self.tally.divisions += 1
        return Counted(other / self.value, self.tally)

    def __neg__(self) -> Counted:
        self.tally.negations += 1
        return Counted(-self.value, self.tally)


def _value(number: Counted | float) -> float:
    return number.value if isinstance(number, Counted) else number


def softmax(scores: Sequence[Counted]) -> list[Counted]:
    """p_i = exp s_i / (exp s_1 + ... + exp s_N), as the definition is written.

    It does not take the maximum off first, which keeps large scores from overflowing for N - 1
    comparisons and N subtractions more; callers keep their scores below 700.
    """
    exponentials = [score.exp() for score in scores]
    total = functools.reduce(operator.add, exponentials)
    return [exponential / total for exponential in exponentials]


def sigmoid(score: Counted) -> Counted:
    """p = 1 / (1 + exp -s); callers keep s above -700."""
    return 1.0 / (1.0 + (-score).exp())


def count_operations(classes: int) -> dict[str, OperationCounts]:
    """Execute a softmax over N classes, one sigmoid, and N sigmoids, and count each.

    Args:
        classes: N, 1 or more.

    Returns:
        ``softmax``, ``sigmoid`` (of one class) and ``sigmoids`` (of every class).
    """
    if classes < 1:
        raise UsageError(f"a softmax is over 1 class or more, not {classes}")
    over_all, one, each = OperationCounts(), OperationCounts(), OperationCounts()
    softmax([Counted(index / classes, over_all) for index in range(classes)])
    sigmoid(Counted(0.5, one))
    for index in range(classes):
        sigmoid(Counted(index / classes, each))
    return {"softmax": over_all, "sigmoid": one, "sigmoids": each}
