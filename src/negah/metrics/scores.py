"""The scores of one set of captions, with signatures, intervals and warnings.

Scores are on the 0-100 scale of the captioning literature: BLEU, METEOR, ROUGE-L, CIDEr and CHAIR
in percent; CIDEr-D (0 to 10 in its paper's unit, mostly below 2) times 100 too. A metric of another
package may have another unit, see ``Scores.units``.

Axes: N images, K statistics of an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError, UnknownNameError, UsageError
from negah.metrics.bootstrap import Interval, percentiles, resample
from negah.metrics.digests import Digests
from negah.metrics.diversity import Diversity
from negah.metrics.metric import Metric, calling
from negah.metrics.significance import Comparison, compare_scores


@dataclass(frozen=True, slots=True, eq=False)
class CaptionStatistics:
    """The statistics of a set of captions by one metric.

    Attributes:
        metric: its class.
        names: of the requested scores.
        statistics_NK: of each image, float64 (N, K).
    """

    metric: type[Metric]
    names: tuple[str, ...]
    statistics_NK: DoubleArray

    def score(self, sums: DoubleArray) -> dict[str, DoubleArray]:
        """The wanted scores by name, float64 (...), from sums of statistics (..., K)."""
        with calling(self.names[0], "score"):
            scores = self._wanted(self.metric.score(sums), sums.shape[:-1])
        for name, values in scores.items():
            if not np.isfinite(values).all():
                raise UsageError(
                    f"the metric {name!r} returned a score that is not finite (NaN or infinity); "
                    f"scores must be finite for the sum over any subset of images, also if a "
                    f"denominator is 0"
                )
        return scores

    def per_image(self) -> dict[str, DoubleArray]:
        """The wanted scores of each image by name, float64 (N,)."""
        with calling(self.names[0], "per_image"):
            found = self.metric.per_image(self.statistics_NK)
            return self._wanted(found, self.statistics_NK.shape[:1])

    def _wanted(
        self, found: Mapping[str, DoubleArray], shape: tuple[int, ...]
    ) -> dict[str, DoubleArray]:
        if not isinstance(found, Mapping):
            raise UsageError(
                f"the metric {self.names[0]!r} gave scores as {type(found).__name__}; return a "
                f"mapping from its names to arrays"
            )
        scores = {name: np.asarray(found[name]) for name in self.names if name in found}
        for name in self.names:
            if name not in scores or scores[name].shape != shape:
                got = ", ".join(map(repr, found)) or "nothing"
                got = f"an array of shape {scores[name].shape}" if name in scores else got
                raise UsageError(
                    f"the metric {name!r} must return scores of shape {shape} but returned {got}; "
                    f"from statistics (..., K) it makes scores (...), by name"
                )
        return scores


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The scores of one set of captions.

    Attributes:
        values: the score of the set by metric, 0-100 scale (CIDEr-D can pass 100).
        signatures: by metric, the settings that the score depends on:
            ``CIDEr-D|n:4|sigma:6|tok:ptb|...``.
        images: number of images.
        per_image: the score of each image by metric, float64 (N,), same scale; NaN where an image
            has none. BLEU, METEOR and CHAIR-i of the set are not their mean.
        names: of the images, in the order of ``per_image``; None where they came in order.
        warnings: reasons why these scores are less meaningful, in sentences.
        diversity: diversity statistics of the captions.
    """

    values: Mapping[str, float]
    signatures: Mapping[str, str]
    images: int
    per_image: Mapping[str, DoubleArray]
    names: tuple[str, ...] | None
    warnings: tuple[str, ...]
    diversity: Diversity
    _measured: tuple[CaptionStatistics, ...] = field(repr=False)
    _references: Digests = field(repr=False)

    def __getitem__(self, metric: str) -> float:
        if metric not in self.values:
            raise UnknownNameError("metric", metric, self.values)
        return self.values[metric]

    @property
    def units(self) -> dict[str, str]:
        """The unit of each metric."""
        return {name: kind.unit for name, kind in self._kinds().items()}

    @property
    def lower_is_better(self) -> frozenset[str]:
        """The metrics by which the better of two systems has the lower score."""
        return frozenset(name for name, kind in self._kinds().items() if kind.lower_is_better)

    def _kinds(self) -> dict[str, type[Metric]]:
        return {name: one.metric for one in self._measured for name in one.names}

    def intervals(
        self, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Interval]:
        """Confidence intervals by bootstrap over images, for every metric, on the same scale.

        The document frequencies of CIDEr are always those of the whole set.

        Args:
            level: share of the resamples inside the interval, in (0, 1).
            resamples: number of bootstrap resamples.
            seed: random seed; the same seed gives the same intervals.

        Raises:
            UsageError: ``level`` or ``resamples`` is out of range.
        """
        # all metrics on the same draws
        widths = [one.statistics_NK.shape[1] for one in self._measured]
        blocks = np.concatenate([one.statistics_NK for one in self._measured], axis=1)
        parts = np.split(resample(blocks, resamples, seed), np.cumsum(widths)[:-1], axis=1)
        found: dict[str, Interval] = {}
        for one, sums in zip(self._measured, parts, strict=True):
            scores = one.score(sums)
            found |= {name: percentiles(scores[name], level) for name in one.names}
        return {name: found[name] for name in self.values}

    def compare(
        self, other: Scores, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Comparison]:
        """Test whether this system differs from another, by every metric that both have.

        Args:
            other: scores of other captions of the same images with the same references.
            level: of the interval of the difference, in (0, 1).
            resamples: how often images are drawn, and captions swapped.
            seed: the same seed gives the same numbers.

        Raises:
            DataError: the images, their references or the signatures differ, or no metric is in
                both.
            UsageError: ``level`` or ``resamples`` is out of range.
        """
        order = self._order_in(other)
        metrics = [metric for metric in self.values if metric in other.values]
        if not metrics:
            raise DataError(
                f"nothing to compare: the first has {', '.join(self.values)}, the other"
                f" {', '.join(other.values)}"
            )
        for metric in metrics:
            if self.signatures[metric] != other.signatures[metric]:
                raise DataError(
                    f"{metric} was computed with different settings, so its values are not "
                    f"comparable:"
                    f" {self.signatures[metric]} and {other.signatures[metric]}"
                )
        strange = np.flatnonzero(self._references != other._references[order])
        if len(strange):
            first = strange[0] if self.names is None else self.names[strange[0]]
            raise DataError(
                f"two systems are compared against the same references, and {len(strange)} of"
                f" {self.images} images have different ones in the second, such as image {first}; "
                f"score both against the same file"
            )
        others = {one.metric: one for one in other._measured}
        found: dict[str, Comparison] = {}
        for one in self._measured:
            if one.metric in others:
                compared = compare_scores(
                    one.statistics_NK,
                    others[one.metric].statistics_NK[order],
                    one.score,
                    level=level,
                    resamples=resamples,
                    seed=seed,
                )
                lower = one.metric.lower_is_better
                found |= {n: replace(c, lower_is_better=lower) for n, c in compared.items()}
        return {name: found[name] for name in metrics}

    def _order_in(self, other: Scores) -> list[int]:
        """The index of each of these images in ``other``."""
        if (self.names is None) != (other.names is None) or self.images != other.images:
            raise DataError(
                f"two systems are compared on the same images, and these have {self.images} and"
                f" {other.images}, {'with' if self.names else 'without'} and"
                f" {'with' if other.names else 'without'} names"
            )
        if self.names is None or other.names is None:
            return list(range(self.images))
        places = {name: index for index, name in enumerate(other.names)}
        strange = [name for name in self.names if name not in places]
        if strange:
            raise DataError(
                f"two systems are compared on the same images, and {len(strange)} of the one are"
                f" not among the other's, such as {strange[0]}"
            )
        return [places[name] for name in self.names]

    def _scale(self, metric: str) -> dict[str, Any]:
        """The note on a score that is not on the 0-100 scale or is better when lower."""
        scale: dict[str, Any] = {}
        if self.units[metric] != Metric.unit:
            scale["unit"] = self.units[metric]
        if metric in self.lower_is_better:
            scale["lower_is_better"] = True
        return scale

    def to_dict(
        self, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
    ) -> dict[str, Any]:
        """JSON-ready, with intervals; numbers have all their digits."""
        intervals = self.intervals(level=level, resamples=resamples, seed=seed)
        return {
            "images": self.images,
            "scores": {
                metric: {
                    "value": value,
                    "low": intervals[metric].low,
                    "high": intervals[metric].high,
                    "signature": self.signatures[metric],
                    **self._scale(metric),
                }
                for metric, value in self.values.items()
            },
            "interval": {
                "method": "percentile bootstrap over images",
                "level": level,
                "resamples": resamples,
                "seed": seed,
            },
            "diversity": self.diversity.to_dict(),
            "warnings": list(self.warnings),
        }
