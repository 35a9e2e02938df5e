"""The share of the shards of a process, ``I/N``, if a scheduler divides them.

Slurm arrays and indexed Kubernetes jobs give each process its number in the environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from negah.errors import UsageError

_Item = TypeVar("_Item")
_SHARE = re.compile(r"(auto|\d+)(?:/(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Share:
    """One of equal shares.

    Attributes:
        number: of the share, from 1.
        count: number of shares.
    """

    number: int
    count: int

    def of(self, items: Sequence[_Item]) -> list[_Item]:
        """Every ``count``-th item, starting with that of this share."""
        return list(items[self.number - 1 :: self.count])


def parse_share(text: str, environment: Mapping[str, str]) -> Share:
    """Parse ``I/N``, ``auto`` or ``auto/N``.

    ``auto`` takes the number and the count of a Slurm array from ``SLURM_ARRAY_TASK_ID``,
    ``_MIN``, ``_STEP`` and ``_COUNT``; ``auto/N`` the number of an indexed job of Kubernetes from
    ``JOB_COMPLETION_INDEX``; no variable contains its count.

    Raises:
        UsageError: it is invalid, or a variable is missing in the environment.
    """
    match = _SHARE.fullmatch(text.strip())
    if match is None or (match[1] != "auto" and match[2] is None):
        raise UsageError(
            f"a share is I/N, such as 1/4 to 4/4, auto in a Slurm array or auto/N in an indexed "
            f"job of Kubernetes, not {text!r}"
        )
    count = int(match[2]) if match[2] else None
    if match[1] != "auto":
        return _checked(int(match[1]), count or 0, text)
    if "SLURM_ARRAY_TASK_ID" in environment:
        first = _number(environment, "SLURM_ARRAY_TASK_MIN", 0)
        step = max(1, _number(environment, "SLURM_ARRAY_TASK_STEP", 1))
        index = (_number(environment, "SLURM_ARRAY_TASK_ID") - first) // step
        return _checked(index + 1, count or _number(environment, "SLURM_ARRAY_TASK_COUNT"), text)
    if "JOB_COMPLETION_INDEX" in environment:
        if count is None:
            raise UsageError(
                "an indexed job of Kubernetes does not tell how many it has: write --shard auto/N "
                "with its completions"
            )
        return _checked(_number(environment, "JOB_COMPLETION_INDEX") + 1, count, text)
    raise UsageError(
        f"--shard {text} asks the environment, which has neither SLURM_ARRAY_TASK_ID nor "
        "JOB_COMPLETION_INDEX: write --shard I/N"
    )


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "" if default is None else str(default))
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"the environment has {name}={text!r}, which is no number")
    return int(text)


def _checked(number: int, count: int, text: str) -> Share:
    if not 1 <= number <= count:
        raise UsageError(
            f"--shard {text} means share {number} of {count}: the first is 1, the last N of N"
        )
    return Share(number, count)
