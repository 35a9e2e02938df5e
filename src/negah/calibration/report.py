"""The quality of a calibration: AUC, calibration errors, intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from negah.bundle import Score
from negah.bundle.calibration import Calibration

#: How the numbers on a card were measured.
SIGNATURE = "seen|folds:10,by-photo|truth:references+kinds+categories"


@dataclass(frozen=True, slots=True)
class GroupMeasures:
    """What was measured of one group of words or captions, cross-validated by photo.

    Attributes:
        group: such as "all content words".
        number: of words or captions.
        supported: the share that is supported.
        auc: of the probability, with its 95% interval over photos.
        auc_logprob: of the log-probability alone, likewise.
        gain: the difference, likewise.
        error: the expected calibration error, likewise.
    """

    group: str
    number: int
    supported: float
    auc: tuple[float, float, float]
    auc_logprob: tuple[float, float, float]
    gain: tuple[float, float, float]
    error: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A fitted calibration and its quality.

    Attributes:
        calibration: for the bundle.
        rows: what was measured.
        alone: of each measure of words the area under the curve by itself, of the content words of
            photos for which it is known, and of the names of things among them.
        photos: photos and clips that were captioned.
        own_words: of what people say themselves of them, the share that other people support.
        others: pictures that are no photographs.
        others_below: the share of those whose confidence is below the threshold.
        photos_below: the same of photos and clips.
        unread: names of files that could not be read.
    """

    calibration: Calibration
    rows: tuple[GroupMeasures, ...]
    alone: Mapping[str, Mapping[str, float]]
    photos: int
    own_words: float
    others: int
    others_below: float
    photos_below: float
    unread: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the calibration itself."""
        return {
            "photos": self.photos,
            "own_words": self.own_words,
            "threshold": self.calibration.spec.threshold,
            "others": self.others,
            "others_below": self.others_below,
            "photos_below": self.photos_below,
            "unread": list(self.unread),
            "rows": [asdict(row) for row in self.rows],
            "alone": {name: dict(values) for name, values in self.alone.items()},
        }

    def scores(self, dataset: str, split: str) -> tuple[Score, ...]:
        """The scores for a model card.

        Args:
            dataset: what the data sets are called.
            split: the part of them.
        """
        return tuple(
            Score(
                dataset=dataset,
                split=split,
                metric=f"{metric}, {row.group.removesuffix(', all')}",
                value=values[0],
                low=_known(values[1]),
                high=_known(values[2]),
                n=self.photos,
                signature=SIGNATURE,
            )
            for row in self.rows
            if row.group.endswith(", all")
            for metric, values in (("AUC", row.auc), ("calibration error", row.error))
            if not math.isnan(values[0])
        )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
