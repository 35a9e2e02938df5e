"""The measures and comparisons that a study declares, and what a difference says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from negah.studies.results import Results, SeedEstimate

_MOST_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of every cell.

    Attributes:
        name: its key in the cell's ``values``.
        title: as tables and figures call it.
        digits: after the point.
        table: that it stands in: "results", "cost", or a study's own.
        better: which way is better; "" for neither.
        chance: the measure that holds what chance alone gives, shown in brackets; "" for none.
    """

    name: str
    title: str
    digits: int = 1
    table: str = "results"
    better: Literal["higher", "lower", ""] = "higher"
    chance: str = ""

    def text(self, results: Results, variant: str) -> str:
        """The mean and interval of a variant; "–" where it has no such thing."""
        found = results.estimate(variant, self.name)
        if found is None:
            return "–"
        chance = results.estimate(variant, self.chance) if self.chance else None
        beside = "" if chance is None else f" ({chance.mean:.{self.digits}f})"
        return _rounded(found, self.digits) + beside

    def compared(self, found: SeedEstimate, unit: str = "") -> str:
        """A difference and what it says: ``−0.3 ± 0.9, no significant difference (3 seeds)``."""
        return f"{signed(found, self.digits)}{unit}, {claim(found, self)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A question whose answer is a sentence made from the numbers.

    Attributes:
        variant: what is asked about.
        against: what it is compared with, seed by seed.
        measure: the name of a :class:`Measure`.
        what: the change that is compared, such as "leaving out the reset gate".
    """

    variant: str
    against: str
    measure: str
    what: str


#: What the harness adds to every cell.
COST = (
    Measure("seconds", "seconds", 0, "cost", "lower"),
    Measure("peak_mb", "peak memory, MB", 0, "cost", "lower"),
)


def claim(found: SeedEstimate, measure: Measure) -> str:
    """What a difference says, in words."""
    if found.half is None:
        return "a single seed, so no interval"
    if not found.beyond_zero:
        return f"no significant difference ({found.n} seeds)"
    if float(f"{found.mean:.{measure.digits}f}") == 0:
        return "no difference at this precision"
    if measure.better == "":
        return "higher" if found.mean > 0 else "lower"
    return "better" if (found.mean > 0) == (measure.better == "higher") else "worse"


def signed(found: SeedEstimate, digits: int = 1) -> str:
    """``+1.2 ± 0.3``, with a real minus."""
    return ("+" if found.mean >= 0 else "−") + found.text(digits).removeprefix("-")


def _rounded(found: SeedEstimate, digits: int) -> str:
    """The text of a mean, with more digits or by magnitude where it would wrongly be 0."""
    if found.mean == 0 or float(f"{found.mean:.{digits}f}") != 0:
        return found.text(digits)
    more = -math.floor(math.log10(abs(found.mean)))
    return found.text(more) if more <= _MOST_DIGITS else f"{found.mean:.0e}"
