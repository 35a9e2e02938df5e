"""Would the difference of two rows stand on other photos? Tests over photos, not seeds.

A cell keeps what each test photo adds to a measure under ``extra["photos"]``: a number whose mean
is the measure, such as CIDEr-D, or a pair, such as nats and tokens, whose sums' ratio it is. The
means over seeds are tested: a percentile bootstrap over photos for the interval, and differences
whose signs are drawn for p, as in :mod:`negah.metrics.significance`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from negah.arrays import DoubleArray
from negah.metrics.significance import compare
from negah.studies.results import Results


@dataclass(frozen=True, slots=True)
class OverPhotos:
    """The difference of two rows over photos.

    Attributes:
        low, high: of the 95% interval.
        p: two-sided, of approximate randomisation.
        digits: after the point.
    """

    low: float
    high: float
    p: float
    digits: int = 1

    @property
    def text(self) -> str:
        """``+0.4 to +4.2, p = 0.018``, with a real minus."""
        interval = f"{self.low:+.{self.digits}f} to {self.high:+.{self.digits}f}".replace("-", "−")
        return f"{interval}, " + ("p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}")


def over_photos(
    results: Results, variant: str, against: str, measure: str, digits: int = 1
) -> OverPhotos | None:
    """The difference of two rows in a measure; None where cells kept no photos."""
    first, second = (_means(results, row, measure) for row in (variant, against))
    if first is None or second is None:
        return None
    found = compare(first, second, lambda sums: sums[..., 0] / sums[..., 1], resamples=10_000)
    return OverPhotos(found.low, found.high, found.p_randomisation, digits)


def _means(results: Results, row: str, measure: str) -> DoubleArray | None:
    """What each photo adds, and its weight, in the mean over seeds: (N, 2)."""
    if row not in results.variants:
        return None
    cells = [
        results.cell(row, seed).get("extra", {}).get("photos", {}).get(measure)
        for seed in results.seeds
    ]
    if any(cell is None for cell in cells):
        return None
    values: DoubleArray = np.mean(np.array(cells, dtype=np.float64), axis=0)
    return values if values.ndim == 2 else np.stack([values, np.ones_like(values)], axis=1)
