"""Implants: features of things that no available photo shows, from the weights of a classifier.

The weights w_c of a linear classifier detect a class; they are not the features of the class. The
features of the class are found by regression of the features on the class's logit, over any
available photos (S. Haufe et al., NeuroImage 87, 2014, who call it the pattern of a filter). With
Σ, the covariance of the features, and w, the mean of all w_c,

    direction_c = Σ (w_c - w) / (w_c - w)ᵀ Σ (w_c - w)

raises the logit of class c by 1 against the mean of all. Where the features of all classes vary
alike around means that lie close together, this is the direction from the mean of all features to
that of the class (linear discriminant analysis). The weights come with the encoder. So the thousand
classes of ImageNet can be added to the features of a photo, and a captioner can learn the word
"piano" without a photo of one. How well the directions fit things with photos is measured in
``benchmarks/implants.py`` and ``docs/video.md``.

Of an encoder's concepts (:mod:`negah.models.concepts`) the same holds without the mean of all,
since a picture shows many concepts.

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

#: Share of the mean variance that is added to that of every channel, for channels that hardly vary
#: in a few photos.
_SHRINKAGE = 1e-3
#: Share of an implant that is added to all regions, because the receptive field of a cell is large.
_EVERYWHERE = 0.2
#: Remaining share, inside the rectangle, of the picture's deviation from the mean: the implant
#: hides what was there.
_LEFT = 0.4
#: Minimum and maximum side of an implanted rectangle, as shares of the map's.
_SIDES = (0.4, 0.8)


@dataclass(frozen=True, slots=True)
class Implants:
    """Directions in which features change when a class is shown.

    Attributes:
        directions_LC: for each class, what to add to the features of all regions to raise its
            logit by 1 against the mean of all classes, float32 (L, C).
        mean_C: mean feature of the photos, float32 (C,).
        lowest: minimum of all features.
        highest: maximum of all features.
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
            exclusive: whether a picture shows only one of the classes, so that logits are relative
                to their mean.

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
        """Measure photos with given logits, such as those of another encoder's classifier.

        Args:
            batches: features, float32 (N, R, C), with the logits of all classes, float32 (N, L),
                which are taken relative to their mean.

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
        """Add classes to a picture, each in a random rectangle.

        Args:
            regions_RC: features of a picture, float32 (R, C); not changed.
            grid: rows and columns of its map.
            things: classes with their gains, the increase of their logits, most of it in the
                rectangle. Part of the picture's own features there is hidden, and the result is
                clipped to the range of the measured features, which leaves about three quarters of
                a gain.
            random: the random generator.

        Returns:
            new features, float32 (R, C), within the range of the measured ones.
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
        """The weight of an implant in each region, with a mean of 1, and which regions are
        inside."""
        mask_HW = np.zeros(grid, dtype=np.float32)
        sides = [max(1, round(side * random.uniform(*_SIDES))) for side in grid]
        top, left = (
            int(random.integers(side - length + 1))
            for side, length in zip(grid, sides, strict=True)
        )
        mask_HW[top : top + sides[0], left : left + sides[1]] = 1
        weights_HW = _EVERYWHERE + (1 - _EVERYWHERE) * mask_HW / mask_HW.mean()
        return np.asarray(weights_HW.ravel(), dtype=np.float32), mask_HW.ravel() > 0
