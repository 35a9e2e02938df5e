"""What beam search and sampling share: the hypotheses of a batch, alive, finished and cut off.

Axes: B photos, K hypotheses, T words so far.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from negah.arrays import IntArray
from negah.decoding.constraints import Constraints
from negah.decoding.hypothesis import Ending, Hypothesis, Trail, normalise
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Step
from negah.errors import NegahError, UsageError
from negah.text import SOS


class Search(ABC):
    """The hypotheses of a batch, from the start token on; one row per photo at first.

    Attributes:
        last_BK: the token that the model has to read next, int64.
        words_BKT: every token chosen so far, int64.
        totals_BK: sum of the log-probabilities of each row, float64; -inf for a row that no longer
            lives and is carried along only because arrays are rectangular.
        finished: the hypotheses of each photo that reached the end token.
    """

    def __init__(self, photos: int, options: DecodingOptions, constraints: Constraints) -> None:
        self.options = options
        self.constraints = constraints
        self.last_BK: IntArray = np.full((photos, 1), SOS, np.int64)
        self.words_BKT: IntArray = np.zeros((photos, 1, 0), np.int64)
        self.totals_BK: npt.NDArray[np.float64] = np.zeros((photos, 1))
        self.finished: list[list[Ending]] = [[] for _ in range(photos)]
        self.trail = Trail()

    @abstractmethod
    def advance(self, step: Step) -> IntArray | None:
        """Choose the next words.

        Returns:
            Which row each new hypothesis continues, (B, K); None when every photo is done.

        Raises:
            UsageError: the options ask for what the model cannot give.
            NegahError: the model's log-probabilities are not numbers.
        """

    @property
    def length(self) -> int:
        """Number of words that every living hypothesis has."""
        return int(self.words_BKT.shape[2])

    def score(self, total: float, length: int) -> float:
        """What hypotheses are ranked by."""
        return float(normalise(total, length, self.options.length_normalisation))

    def finish(self, photo: int, row: int, total: float, logprob: float) -> None:
        """Row ``row`` ends here; ``logprob`` is that of the end token, ``total`` includes it."""
        score = self.score(total, self.length + 1)
        self.finished[photo].append(Ending(self.length, row, logprob, score))

    def extend(
        self,
        tokens_BK: IntArray,
        parents_BK: IntArray,
        logprobs_BK: npt.NDArray[np.float64],
        totals_BK: npt.NDArray[np.float64],
    ) -> None:
        """New row k continues row ``parents_BK[:, k]`` with a token."""
        self.trail.choose(tokens_BK, parents_BK, logprobs_BK)
        history_BKT = np.take_along_axis(self.words_BKT, parents_BK[..., None], axis=1)
        self.words_BKT = np.concatenate([history_BKT, tokens_BK[..., None]], axis=2)
        self.totals_BK = totals_BK
        self.last_BK = tokens_BK

    def results(self) -> list[list[Hypothesis]]:
        """The ``n_best`` of every photo.

        Finished ones come first, by score, the one found first among equals; then, to fill up,
        those that were cut off.

        Raises:
            UsageError: a photo has none, so the options forbid every caption.
        """
        return [self._results_of(photo) for photo in range(len(self.finished))]

    def _results_of(self, photo: int) -> list[Hypothesis]:
        endings = sorted(self.finished[photo], key=lambda ending: -ending.score)
        if len(endings) < self.options.n_best:
            endings += sorted(self._cut_off(photo), key=lambda ending: -ending.score)
        if not endings:
            raise UsageError(
                f"the decoding options leave photo {photo} of the batch no possible caption: "
                "ban fewer words, lower min_length or turn no_repeat_ngram off"
            )
        alpha = self.options.length_normalisation
        return [
            self.trail.hypothesis(photo, ending, alpha) for ending in endings[: self.options.n_best]
        ]

    def _cut_off(self, photo: int) -> list[Ending]:
        ended = {e.row for e in self.finished[photo] if e.length == self.length}
        return [
            Ending(self.length, row, None, self.score(total, self.length))
            for row, total in enumerate(self.totals_BK[photo].tolist())
            if total > -np.inf and row not in ended
        ]


def refuse_nan(values: npt.NDArray[np.floating]) -> None:
    """Raise NegahError where a value is not a number: nothing could be ranked or drawn by it."""
    if np.isnan(values).any():
        raise NegahError(
            "the model gave log-probabilities that are not numbers (NaN): its weights or the "
            "features are damaged, or its training diverged"
        )
