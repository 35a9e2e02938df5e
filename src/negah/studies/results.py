"""Cells of a study -> means, intervals and paired differences over seeds.

Intervals are of Student's t over seeds; differences are paired by seed, since seed k gives every
variant the same photos in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: The 0.975 quantile of Student's t by degrees of freedom, from 1.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)

#: More seeds than this have no quantile here.
MOST_SEEDS = len(_T) + 1


@dataclass(frozen=True, slots=True)
class SeedEstimate:
    """A mean over seeds and half the width of its 95% interval; None for a single seed.

    Attributes:
        mean: over seeds.
        half: half the width.
        n: how many seeds.
    """

    mean: float
    half: float | None
    n: int = 1

    @property
    def beyond_zero(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.half is not None and abs(self.mean) > self.half

    def text(self, digits: int = 1) -> str:
        """``12.3 ± 0.4``; the mean alone where all seeds agree, as in counts."""
        mean = f"{self.mean:,.{digits}f}"
        alike = self.half is None or self.half <= 1e-9 * abs(self.mean)
        return mean if alike else f"{mean} ± {self.half:,.{digits}f}"

    def __str__(self) -> str:
        return self.text()

    def __format__(self, digits: str) -> str:
        return self.text(int(digits or 1))


def estimate(values: Sequence[float]) -> SeedEstimate:
    """Mean and 95% interval of Student's t.

    Args:
        values: one for each seed, at most :data:`MOST_SEEDS`.
    """
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return SeedEstimate(mean, None, n)
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    return SeedEstimate(mean, _T[n - 2] * math.sqrt(variance / n), n)


def _paired(values: list[float] | None, against: list[float] | None) -> SeedEstimate | None:
    if not values or not against:
        return None
    return estimate([one - other for one, other in zip(values, against, strict=True)])


class Results:
    """What a study found, by variant and seed.

    Args:
        results: as ``docs/studies/NAME.json`` keeps them.

    Attributes:
        raw: as given.
        variants: in the order of the tables; the first is the baseline.
        seeds: of the trainings.
        facts: numbers of the study as a whole.
    """

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.raw = results
        self.variants = list(dict.fromkeys(cell["variant"] for cell in results["cells"]))
        self.seeds = list(dict.fromkeys(cell["seed"] for cell in results["cells"]))
        self.facts: Mapping[str, Any] = results.get("facts", {})
        self._cells = {(cell["variant"], cell["seed"]): cell for cell in results["cells"]}

    def cell(self, variant: str, seed: int) -> Mapping[str, Any]:
        """All that one training left."""
        found: Mapping[str, Any] = self._cells[variant, seed]
        return found

    def only(self, variants: Sequence[str]) -> Results:
        """The results of some of the variants."""
        cells = [cell for cell in self.raw["cells"] if cell["variant"] in variants]
        return Results({**self.raw, "cells": cells})

    def having(self, *measures: str) -> list[str]:
        """The variants that have one of some measures."""
        return [
            variant
            for variant in self.variants
            if any(self.values(variant, measure) is not None for measure in measures)
        ]

    def values(self, variant: str, measure: str) -> list[float] | None:
        """One value a seed; None where the variant has no such thing, or is none."""
        found = [
            self._cells.get((variant, seed), {"values": {}})["values"].get(measure)
            for seed in self.seeds
        ]
        return None if None in found else found

    def estimate(self, variant: str, measure: str) -> SeedEstimate | None:
        """Mean and interval over seeds."""
        values = self.values(variant, measure)
        return None if values is None else estimate(values)

    def difference(self, variant: str, against: str, measure: str) -> SeedEstimate | None:
        """Mean and interval of ``variant`` minus ``against``, paired by seed."""
        return _paired(self.values(variant, measure), self.values(against, measure))

    def gap(self, variant: str, measure: str, other: str) -> SeedEstimate | None:
        """Mean and interval of one measure less another of the same trainings."""
        return _paired(self.values(variant, measure), self.values(variant, other))

    def at(self, variant: str, curve: str, x: float) -> list[float]:
        """What a curve says at ``x``, for each seed that has it."""
        return [y for points in self.curves(variant, curve) for at, y in points if at == x]

    def points(self, curve: str) -> list[float]:
        """The points of a curve; those of the first cell, as all have the same."""
        return [x for x, _ in self.curves(self.variants[0], curve)[0]]

    def difference_at(
        self, variant: str, against: str, curve: str, x: float
    ) -> SeedEstimate | None:
        """Mean and interval of the difference of two curves at ``x``, paired by seed."""
        return _paired(self.at(variant, curve, x), self.at(against, curve, x))

    def curves(self, variant: str, name: str) -> list[list[list[float]]]:
        """A list of points [x, y] for each seed that has this curve."""
        found = (self._cells[variant, seed].get("curves", {}).get(name) for seed in self.seeds)
        return [curve for curve in found if curve is not None]

    def curve_names(self) -> list[str]:
        """The names of all curves, in the order in which they come."""
        names = (name for cell in self._cells.values() for name in cell.get("curves", {}))
        return list(dict.fromkeys(names))
