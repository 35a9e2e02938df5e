"""Would the difference of two rows stand on other photos? Tests over photos, not seeds.

CIDEr-D of a part is the mean of its photos', so the mean over seeds of each photo's difference is
what is tested: a percentile bootstrap over photos for the interval, and differences whose signs are
drawn for p, as in :mod:`negah.metrics.significance`.
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
    """

    low: float
    high: float
    p: float

    @property
    def text(self) -> str:
        """``+0.4 to +4.2, p = 0.018``, with a real minus."""
        interval = f"{self.low:+.1f} to {self.high:+.1f}".replace("-", "−")
        return f"{interval}, " + ("p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}")


def over_photos(results: Results, variant: str, against: str, measure: str) -> OverPhotos | None:
    """The difference of two rows in CIDEr-D; None where cells kept no photos."""
    key = "photos" + measure.removeprefix("cider_d")
    first, second = (_means(results, row, key) for row in (variant, against))
    if first is None or second is None:
        return None
    count = len(first)
    found = compare(
        first[:, None], second[:, None], lambda sums: sums[..., 0] / count, resamples=10_000
    )
    return OverPhotos(found.low, found.high, found.p_randomisation)


def _means(results: Results, row: str, key: str) -> DoubleArray | None:
    """Each photo's mean over the seeds, (N,)."""
    if row not in results.variants:
        return None
    cells = [results.cell(row, seed)["extra"].get(key) for seed in results.seeds]
    if any(cell is None for cell in cells):
        return None
    means: DoubleArray = np.mean(np.array(cells, dtype=np.float64), axis=0)
    return means
