"""Beam search over a batch of photos; greedy search is a beam of one.

Every step ranks the continuations of all hypotheses of a photo by their total log-probability. An
end token among the first K of them finishes its hypothesis; the best K others live on. The search
for a photo ends once ``patience`` * K of its hypotheses have finished (Kasai et al. 2022,
arXiv:2204.05424) and no live hypothesis scores above the ``n_best``-th finished one: a likely
caption is not dropped for a worse one that happens to be shorter. The search ends earlier if
``n_best`` hypotheses have finished and no live one can still beat them: log-probabilities are <= 0,
so no continuation scores above total / (longest possible length) ** alpha. Stopping early does not
change the result.

Ties go to the lower token id, then to the hypothesis ranked higher before. The captions of a photo
do not depend on the other photos of the batch.

Axes: B photos, K hypotheses, V vocabulary, M candidates, P proposals of a hypothesis,
N = K * P choices of a photo, R required words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray, IntArray
from negah.decoding.constraints import Constraints, share_beam
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Step
from negah.decoding.search import Search, refuse_nan
from negah.errors import UsageError


class BeamSearch(Search):
    """The ``width`` best hypotheses of each photo, and those that finished."""

    def __init__(self, photos: int, options: DecodingOptions, constraints: Constraints) -> None:
        super().__init__(photos, options, constraints)
        self._end = constraints.specials.end
        self._required_R = np.asarray(constraints.required, np.int64)
        self._met_BKR = np.zeros((photos, 1, len(self._required_R)), np.bool_)

    def advance(self, step: Step) -> IntArray | None:
        """Choose the next words; see :meth:`Search.advance`."""
        self.trail.look(step.evidence, self.photos_B)
        width = self.width
        choices = self._choices(step)
        order_BN = share_beam(choices.totals, choices.tokens, choices.parents, choices.banks)
        photos_B1 = np.arange(len(order_BN))[:, None]
        ends_BN = choices.tokens[photos_B1, order_BN] == self._end
        for place, rank in np.argwhere(ends_BN[:, :width] & ~self.done_B[:, None]):
            choice = place, order_BN[place, rank]
            total = float(choices.totals[choice])
            if total > -np.inf:
                row, logprob = int(choices.parents[choice]), float(choices.logprobs[choice])
                self.finish(place, row, total, logprob)
        if self.length == self.options.max_length:
            return None
        words_first_BN = np.argsort(ends_BN, axis=1, kind="stable")
        chosen_BK = order_BN[photos_B1, words_first_BN[:, :width]]
        parents_BK = self._continue(choices, chosen_BK)
        self._mark_done()
        return None if self.done_B.all() else parents_BK

    def narrow(self, kept_B: IntArray) -> None:
        """See :meth:`Search.narrow`."""
        super().narrow(kept_B)
        self._met_BKR = self._met_BKR[kept_B]

    def _choices(self, step: Step) -> _Choices:
        allowed = self.constraints.apply(step, self.words_BKT)
        if self._required_R.size:
            logprobs_BKP, tokens_BKP, banks_BKP = self._propose_with_required(step, allowed)
        else:
            logprobs_BKP, tokens_BKP = self._propose(step, allowed)
            banks_BKP = np.zeros_like(tokens_BKP)
        totals_BKP = self.totals_BK[..., None] + logprobs_BKP
        refuse_nan(totals_BKP)
        rows = np.arange(tokens_BKP.shape[1])
        photos = len(tokens_BKP)
        return _Choices(
            totals=totals_BKP.reshape(photos, -1),
            logprobs=logprobs_BKP.reshape(photos, -1),
            tokens=tokens_BKP.reshape(photos, -1),
            parents=np.broadcast_to(rows[:, None], tokens_BKP.shape).reshape(photos, -1),
            banks=banks_BKP.reshape(photos, -1),
        )

    def _propose(self, step: Step, allowed: FloatArray) -> tuple[npt.NDArray[np.float64], IntArray]:
        # One more than the beam: the end token may be among them and is not continued.
        logprobs_BKP, places_BKP = _best_per_row(allowed, self.width + 1)
        if step.candidates is None:
            return logprobs_BKP, places_BKP
        return logprobs_BKP, np.take_along_axis(step.candidates, places_BKP, axis=2)

    def _propose_with_required(
        self, step: Step, allowed: FloatArray
    ) -> tuple[npt.NDArray[np.float64], IntArray, IntArray]:
        """Propose all required words and the best others; count the required words met by each.

        The end token is proposed only when all required words are met. When the remaining length
        equals the number of missing words, only missing words are proposed.
        """
        if step.candidates is not None:
            raise UsageError(
                "required words need log-probabilities of the whole vocabulary, and this model "
                "returns its best candidates only: let it return all log-probabilities, or require "
                "no words"
            )
        met_BKR = self._met_BKR
        allowed[..., self._end][~met_BKR.all(axis=2)] = -np.inf
        required_BKR = allowed[:, :, self._required_R].astype(np.float64)
        allowed[:, :, self._required_R] = -np.inf
        logprobs_BKP, tokens_BKP = self._propose(step, allowed)
        banks_BK1 = met_BKR.sum(axis=2, keepdims=True)
        banks_BKP = np.concatenate(
            [np.broadcast_to(banks_BK1, tokens_BKP.shape), banks_BK1 + ~met_BKR], axis=2
        )
        logprobs_BKP = np.concatenate([logprobs_BKP, required_BKR], axis=2)
        tokens_BKR = np.broadcast_to(self._required_R, met_BKR.shape)
        tokens_BKP = np.concatenate([tokens_BKP, tokens_BKR], axis=2)
        room = self.options.max_length - self.length - 1
        logprobs_BKP[
            (self._required_R.size - banks_BKP > room) & (tokens_BKP != self._end)
        ] = -np.inf
        return logprobs_BKP, tokens_BKP, banks_BKP

    def _continue(self, choices: _Choices, chosen_BK: IntArray) -> IntArray:
        photos_B1 = np.arange(len(chosen_BK))[:, None]
        tokens_BK = choices.tokens[photos_B1, chosen_BK]
        parents_BK = choices.parents[photos_B1, chosen_BK]
        logprobs_BK = choices.logprobs[photos_B1, chosen_BK]
        totals_BK = choices.totals[photos_B1, chosen_BK]
        # If there are too few choices, end tokens fill the beam; they are not continued.
        totals_BK[tokens_BK == self._end] = -np.inf
        met_BKR = self._met_BKR[photos_B1, parents_BK]
        self._met_BKR = met_BKR | (tokens_BK[..., None] == self._required_R)
        self.extend(tokens_BK, parents_BK, logprobs_BK, totals_BK)
        return parents_BK

    def _mark_done(self) -> None:
        n_best, enough = self.options.n_best, self.options.patience * self.width
        for place, total in enumerate(self.totals_BK.max(axis=1).tolist()):
            found = self.finished[self.photos_B[place]]
            scores = sorted((ending.score for ending in found), reverse=True)
            if total == -np.inf:
                self.done_B[place] = True
            elif len(scores) >= n_best:
                length = self.length if len(scores) >= enough else self.options.max_length + 1
                if self.score(total, length) <= scores[n_best - 1]:
                    self.done_B[place] = True


@dataclass(frozen=True, slots=True)
class _Choices:
    """Possible continuations of the hypotheses of each photo, arrays (B, N); impossible: total
    -inf."""

    totals: npt.NDArray[np.float64]
    logprobs: npt.NDArray[np.float64]
    tokens: IntArray
    parents: IntArray
    banks: IntArray


def _best_per_row(
    logprobs_BKM: FloatArray, number: int
) -> tuple[npt.NDArray[np.float64], IntArray]:
    """The ``number`` largest values of the last axis and their indices, best first; overwrites the
    array.

    Repeated ``argmax`` beats ``argpartition`` for the few that a beam needs: it is vectorised, and
    among equal values it takes the first, where a partition takes any.
    """
    photos, rows, width = logprobs_BKM.shape
    flat = logprobs_BKM.reshape(photos * rows, width)
    number = min(number, width)
    values = np.empty((len(flat), number))
    places = np.empty((len(flat), number), np.int64)
    every = np.arange(len(flat))
    for rank in range(number):
        best = flat.argmax(axis=1)
        places[:, rank] = best
        values[:, rank] = flat[every, best]
        flat[every, best] = -np.inf
    return values.reshape(photos, rows, number), places.reshape(photos, rows, number)
