"""Features of things that no photo at hand shows, from the weights of a classifier.

The weights w_c of a linear classifier tell how to find a class, not what it looks like. What it
looks like is how the features change with the class's logit: their regression on it over the photos
at hand, whatever these show (S. Haufe et al., NeuroImage 87, 2014, who call it the pattern of a
filter). With Σ, the covariance of the features, and w, the mean of all w_c,

    direction_c = Σ (w_c - w) / (w_c - w)ᵀ Σ (w_c - w)

raises the logit of class c by 1 against the mean of all. Where the features of all classes vary
alike around means that lie close together, this is the way from the mean of all features to that of
the class (linear discriminant analysis). The weights come with the encoder. So the thousand classes
of ImageNet can be added to the features of a photo, and a captioner learns what a piano is called
without having seen one. How well directions fit things of which there are photos:
``benchmarks/implants.py`` and ``docs/video.md``.

Of an encoder's concepts (:mod:`negah.models.concepts`) the same holds for each by itself, since a
picture shows many: without the mean of all.

Axes: N photos, R regions (H rows x W columns), C channels, L classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray
from negah.errors import UsageError

#: Share of the mean variance that is added to every channel's, so that a channel which hardly
#: varies in a few photos is not taken for one that never does.
_SHRINKAGE = 1e-3
#: Share of an implant that all regions get; the encoder sees around every cell.
_EVERYWHERE = 0.2
#: What is left, in the rectangle, of how the picture differs from the mean of all: what comes into
#: view hides something else.
_LEFT = 0.4
#: Least and greatest side of an implanted rectangle, as shares of the map's.
_SIDES = (0.4, 0.8)


@dataclass(frozen=True, slots=True)
class Implants:
    """Directions in which features move when a class of ImageNet comes into view.

    Attributes:
        directions_LC: for each class, what to add to the features of all regions to raise its
            logit by 1 against the mean of all classes, float32 (L, C).
        mean_C: mean feature of the photos, float32 (C,).
        lowest: least value of any feature.
        highest: greatest value.
    """

    directions_LC: FloatArray
    mean_C: FloatArray
    lowest: float
    highest: float

    @classmethod
    def of(
        cls,
        weights_LC: FloatArray,
        features: Iterable[FloatArray],
        *,
        exclusive: bool = True,
    ) -> Self:
        """Measure the photos.

        Args:
            weights_LC: of the classifier, float32 (1000, C).
            features: of photos, in batches of float32 (N, R, C).
            exclusive: whether a picture shows one of the classes, so that logits count against
                their mean.

        Raises:
            UsageError: fewer than two photos, or features of other channels.
        """
        channels = weights_LC.shape[1]
        total_C, products_CC = np.zeros(channels), np.zeros((channels, channels))
        count, lowest, highest = 0, np.inf, -np.inf
        for batch_NRC in features:
            if batch_NRC.shape[-1] != channels:
                raise UsageError(
                    f"the classifier reads {channels} channels, features have "
                    f"{batch_NRC.shape[-1]}: give the encoder its own weights, and freeze it"
                )
            means_NC = batch_NRC.mean(1, dtype=np.float64)
            count += len(means_NC)
            total_C += means_NC.sum(0)
            products_CC += means_NC.T @ means_NC
            lowest = min(lowest, float(batch_NRC.min()))
            highest = max(highest, float(batch_NRC.max()))
        if count < 2:
            raise UsageError("implants need the features of two photos or more")
        mean_C = total_C / count
        covariance_CC = products_CC / count - np.outer(mean_C, mean_C)
        variance = max(float(np.trace(covariance_CC)) / channels, 1e-12)
        covariance_CC += _SHRINKAGE * variance * np.eye(channels)
        centred_LC = weights_LC.astype(np.float64)
        if exclusive:
            centred_LC -= centred_LC.mean(0)
        directions_LC = centred_LC @ covariance_CC
        gains_L = np.einsum("lc,lc->l", directions_LC, centred_LC)
        directions_LC /= np.maximum(gains_L, 1e-12)[:, None]
        return cls(directions_LC.astype(np.float32), mean_C.astype(np.float32), lowest, highest)

    @classmethod
    def of_logits(cls, batches: Iterable[tuple[FloatArray, FloatArray]]) -> Self:
        """Measure photos whose logits somebody else tells, such as another encoder's classifier.

        Args:
            batches: features, float32 (N, R, C), with the logits of all classes, float32 (N, L),
                which count against their mean.

        Raises:
            UsageError: fewer than two photos.
        """
        means, logits = [], []
        lowest, highest = np.inf, -np.inf
        for features_NRC, logits_NL in batches:
            means.append(features_NRC.mean(1, dtype=np.float64))
            logits.append(logits_NL - logits_NL.mean(1, keepdims=True, dtype=np.float64))
            lowest = min(lowest, float(features_NRC.min()))
            highest = max(highest, float(features_NRC.max()))
        if sum(map(len, means)) < 2:
            raise UsageError("implants need the features of two photos or more")
        means_NC, logits_NL = np.concatenate(means), np.concatenate(logits)
        mean_C, centred_NL = means_NC.mean(0), logits_NL - logits_NL.mean(0)
        directions_LC = centred_NL.T @ (means_NC - mean_C)
        directions_LC /= np.maximum((centred_NL**2).sum(0), 1e-12)[:, None]
        return cls(directions_LC.astype(np.float32), mean_C.astype(np.float32), lowest, highest)

    def add(
        self,
        regions_RC: FloatArray,
        grid: tuple[int, int],
        things: Sequence[tuple[int, float]],
        random: np.random.Generator,
    ) -> FloatArray:
        """A picture with some classes in it, each in a rectangle somewhere.

        Args:
            regions_RC: features of a picture, float32 (R, C); stays as it is.
            grid: rows and columns of its map.
            things: classes with their gains: how much the logit of each rises by what is added,
                most of it in its rectangle. Of what the picture itself shows there a part is
                hidden, and the result is kept within the range of the measured features, so that
                some three quarters of a gain are left.
            random: where chance comes from.

        Returns:
            other features, float32 (R, C), within the range of the measured ones.
        """
        added_RC, hidden_R = np.zeros_like(regions_RC), np.zeros(len(regions_RC), dtype=np.bool_)
        for label, gain in things:
            weights_R, inside_R = self._where(grid, random)
            added_RC += weights_R[:, None] * (gain * self.directions_LC[label])
            hidden_R |= inside_R
        left_R1 = np.where(hidden_R, np.float32(_LEFT), np.float32(1))[:, None]
        behind_RC = left_R1 * regions_RC + (1 - left_R1) * self.mean_C
        clipped_RC = np.clip(behind_RC + added_RC, self.lowest, self.highest)
        return np.asarray(clipped_RC, dtype=np.float32)

    @staticmethod
    def _where(
        grid: tuple[int, int], random: np.random.Generator
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """How much of an implant each region gets, with a mean of 1, and which are inside."""
        mask_HW = np.zeros(grid, dtype=np.float32)
        sides = [max(1, round(side * random.uniform(*_SIDES))) for side in grid]
        top, left = (
            int(random.integers(side - length + 1))
            for side, length in zip(grid, sides, strict=True)
        )
        mask_HW[top : top + sides[0], left : left + sides[1]] = 1
        weights_HW = _EVERYWHERE + (1 - _EVERYWHERE) * mask_HW / mask_HW.mean()
        return np.asarray(weights_HW.ravel(), dtype=np.float32), mask_HW.ravel() > 0
