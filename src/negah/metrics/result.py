"""The result of a metric that is a mean: a score for each image (N)."""

from __future__ import annotations

from dataclasses import dataclass

from negah.arrays import DoubleArray


@dataclass(frozen=True, slots=True, eq=False)
class MeanScore:
    """A score for each image and their mean.

    Attributes:
        per_caption: float64 (N,), one for each image, in the order given.
    """

    per_caption: DoubleArray

    @property
    def corpus(self) -> float:
        """The mean over the images."""
        return float(self.per_caption.mean())
