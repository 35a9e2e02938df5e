"""The result of a metric whose corpus score is the mean over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class MeanScore:
    """A score for each image and their mean.

    Attributes:
        per_caption: float64 (N,), one for each image, in the order given.
    """

    per_caption: npt.NDArray[np.float64]

    @property
    def corpus(self) -> float:
        """The mean over the images."""
        return float(self.per_caption.mean())
