"""Sampling: ``n_best`` captions of each photo, sampled in parallel and ranked by their score.

Temperature, then top-k, then top-p (Holtzman et al. 2020, arXiv:1904.09751) shape the distribution
that words are drawn from; the log-probabilities reported are the model's own. With a model that
returns M candidates, words are sampled from these, as if ``top_k`` were at most M.

The draws of caption k of a photo come from one stream, seeded by (seed, photo id, k), so neither
the rest of the batch nor ``n_best`` changes them.

Axes: B photos, K captions of each, V vocabulary or M candidates, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray, IntArray
from negah.decoding.constraints import Constraints
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Step
from negah.decoding.search import Search, refuse_nan


class Sampling(Search):
    """``n_best`` captions of each photo, drawn independently of each other.

    Args:
        photo_ids: one non-negative number per photo, which seeds its streams.
    """

    def __init__(
        self, photo_ids: Sequence[int], options: DecodingOptions, constraints: Constraints
    ) -> None:
        super().__init__(len(photo_ids), options, constraints)
        steps = options.max_length + 1
        self._draws_BKT = np.array(
            [
                [
                    np.random.default_rng([options.seed, photo, k]).random(steps)
                    for k in range(options.n_best)
                ]
                for photo in photo_ids
            ]
        )

    def advance(self, step: Step) -> IntArray | None:
        """Draw the next words; see :meth:`Search.advance`."""
        self.trail.look(step.evidence, self.photos_B)
        photos, rows, width = step.logprobs.shape
        number = self.options.n_best
        shape_BKM = (photos, number, width)
        # At the first step all captions of a photo continue its one row.
        parents_BK = np.zeros((photos, number), np.int64)
        if rows > 1:
            parents_BK += np.arange(number)
        weights = self._weights(self.constraints.apply(step, self.words_BKT))
        possible_BK = np.broadcast_to(weights.any(axis=2), shape_BKM[:2])
        draws_BK = self._draws_BKT[:, :, self.length]
        places_BK1 = _draw(np.broadcast_to(weights, shape_BKM), draws_BK)[..., None]
        logprobs_BKM = np.broadcast_to(step.logprobs, shape_BKM)
        logprobs_BK = np.take_along_axis(logprobs_BKM, places_BK1, axis=2)[..., 0].astype(float)
        if step.candidates is None:
            tokens_BK = places_BK1[..., 0]
        else:
            candidates_BKM = np.broadcast_to(step.candidates, shape_BKM)
            tokens_BK = np.take_along_axis(candidates_BKM, places_BK1, axis=2)[..., 0]
        totals_BK = np.where(possible_BK, self.totals_BK + logprobs_BK, -np.inf)
        ends_BK = (tokens_BK == self.constraints.specials.end) & (totals_BK > -np.inf)
        for place, k in np.argwhere(ends_BK):
            total, logprob = float(totals_BK[place, k]), float(logprobs_BK[place, k])
            self.finish(place, int(parents_BK[place, k]), total, logprob)
        if self.length == self.options.max_length:
            return None
        totals_BK[ends_BK] = -np.inf
        self.extend(tokens_BK, parents_BK, logprobs_BK, totals_BK)
        self.done_B = (totals_BK == -np.inf).all(axis=1)
        return None if self.done_B.all() else parents_BK

    def narrow(self, kept_B: IntArray) -> None:
        """See :meth:`Search.narrow`."""
        super().narrow(kept_B)
        self._draws_BKT = self._draws_BKT[kept_B]

    def _weights(self, allowed: FloatArray) -> npt.NDArray[np.float64]:
        """Sampling weights along the last axis, not normalised; all 0 where nothing is allowed."""
        peaks = allowed.max(axis=2, keepdims=True)
        refuse_nan(peaks)
        peaks[np.isneginf(peaks)] = 0.0
        scaled = (allowed - peaks) / np.float32(self.options.temperature)
        weights: npt.NDArray[np.float64] = np.exp(scaled).astype(np.float64)
        top_k, top_p = self.options.top_k, self.options.top_p
        if top_k is None and top_p is None:
            return weights
        largest = np.sort(weights, axis=2)[..., ::-1][..., :top_k]
        counts = np.full(largest.shape[:2], largest.shape[2])
        if top_p is not None:
            sums = largest.cumsum(axis=2)
            nucleus = 1 + (sums < top_p * sums[..., -1:]).sum(axis=2)
            counts = np.minimum(counts, nucleus)
        weights *= _are_largest(weights, largest, counts)
        return weights


def _are_largest(
    values: npt.NDArray[np.float64], descending: npt.NDArray[np.float64], counts: IntArray
) -> npt.NDArray[np.bool_]:
    """Mask of the ``counts`` largest values of each row; among equal values, those of lower
    index."""
    counts = counts[..., None]
    smallest = np.take_along_axis(descending, counts - 1, axis=2)
    above, equal = values > smallest, values == smallest
    room = counts - above.sum(axis=2, keepdims=True)
    largest: npt.NDArray[np.bool_] = above | (equal & (equal.cumsum(axis=2) <= room))
    return largest


def _draw(weights: npt.NDArray[np.float64], draws: npt.NDArray[np.float64]) -> IntArray:
    """The index at which each draw in [0, 1) falls on the cumulative sum of the weights."""
    sums = weights.cumsum(axis=-1)
    totals = sums[..., -1]
    # Rounding may make draw * total equal to the total, past the last weight that is not 0.
    marks = np.minimum(draws * totals, np.nextafter(totals, 0.0))
    last = weights.shape[-1] - 1
    places: IntArray = np.minimum((sums <= marks[..., None]).sum(axis=-1), last)
    return places
