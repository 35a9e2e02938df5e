"""Base of beam search and sampling: the live, finished and truncated hypotheses of a batch.

A search keeps, for every step, which hypothesis each new one continues. Log-probabilities are
gathered only for the hypotheses that are found best, by following these parents back from the
last word to the first, and evidence only for those that are returned.

A search may be narrowed to the photos that are not done; the others keep what they have found.

Axes: B photos that are still searched, K hypotheses, T words so far.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.decoding.constraints import Constraints
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Step, StepWeights
from negah.errors import NegahError, UsageError


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoded sequence.

    Attributes:
        tokens: T token ids, without start and end.
        logprobs: the model's natural log-probability of each token, in nats, unaffected by
            temperature and constraints; T values, plus that of the end token if ``finished``.
        score: ``sequence_score`` of ``logprobs``.
        evidence: by name, float32 (T, ...): where the model looked at each token.
        finished: whether the end token was chosen; False if it was truncated at ``max_length``.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    score: float
    evidence: dict[str, FloatArray]
    finished: bool


def sequence_score(logprobs: tuple[float, ...], alpha: float) -> float:
    """Sum of log-probabilities, taken from left to right, over length ** ``alpha``; 0 if empty.

    The form of Wu et al. 2016 (arXiv:1609.08144, section 7); the end token, if any,
    counts in sum and length.
    """
    total = 0.0
    for logprob in logprobs:
        total += logprob
    return normalise(total, len(logprobs), alpha)


def normalise(total: float, length: int, alpha: float) -> float:
    """``total / length ** alpha``; an empty hypothesis counts as length 1."""
    return total / float(max(length, 1) ** alpha)


@dataclass(frozen=True, slots=True)
class Ending:
    """Where a hypothesis stops: after ``length`` words, in row ``row`` of its photo."""

    length: int
    row: int
    logprob: float | None
    """Log-probability of the end token; None for a truncated hypothesis."""
    score: float


@dataclass(frozen=True, slots=True)
class Traced:
    """A hypothesis traced back from its end.

    Attributes:
        hypothesis: without evidence.
        at: for each word, the index of its photo in the batch and the row that chose it.
    """

    hypothesis: Hypothesis
    at: tuple[tuple[int, int], ...]


class Trail:
    """The choices of every step of a search, for a batch."""

    def __init__(self) -> None:
        self._photos_B: list[IntArray] = []
        self._evidence: list[StepWeights] = []
        self._tokens_BK: list[IntArray] = []
        self._parents_BK: list[IntArray] = []
        self._logprobs_BK: list[npt.NDArray[np.float64]] = []

    def look(self, evidence: StepWeights, photos_B: IntArray) -> None:
        """Store the evidence of a step and the photos of its rows, before the step is applied."""
        self._photos_B.append(photos_B)
        self._evidence.append(evidence)

    def choose(
        self, tokens_BK: IntArray, parents_BK: IntArray, logprobs_BK: npt.NDArray[np.float64]
    ) -> None:
        """Store the choices of a step: token, parent row and log-probability."""
        self._tokens_BK.append(tokens_BK)
        self._parents_BK.append(parents_BK)
        self._logprobs_BK.append(logprobs_BK)

    def read_back(self, photo: int, ending: Ending, alpha: float) -> Traced:
        """Read one hypothesis back from its end."""
        row = ending.row
        tokens, logprobs, at = [], [], []
        for t in reversed(range(ending.length)):
            place = int(np.searchsorted(self._photos_B[t], photo))
            tokens.append(int(self._tokens_BK[t][place, row]))
            logprobs.append(float(self._logprobs_BK[t][place, row]))
            row = int(self._parents_BK[t][place, row])
            at.append((place, row))
        values = (*reversed(logprobs), *(() if ending.logprob is None else (ending.logprob,)))
        hypothesis = Hypothesis(
            tokens=tuple(reversed(tokens)),
            logprobs=values,
            score=sequence_score(values, alpha),
            evidence={},
            finished=ending.logprob is not None,
        )
        return Traced(hypothesis, tuple(reversed(at)))

    def with_evidence(self, traced: Traced) -> Hypothesis:
        """A hypothesis with the evidence of its words."""
        gathered = {}
        for name, first in self._evidence[0].items():
            values = np.empty((len(traced.at), *first.shape[2:]), np.float32)
            for t, (place, row) in enumerate(traced.at):
                values[t] = self._evidence[t][name][place, row]
            gathered[name] = values
        return replace(traced.hypothesis, evidence=gathered)


class Search(ABC):
    """The hypotheses of a batch, from the start token on; one row per photo at first.

    Attributes:
        width: hypotheses that are alive for each photo at a time.
        photos_B: which photos of the batch are still searched, ascending.
        done_B: True for those whose search has ended.
        last_BK: the token that the model has to read next, int64.
        words_BKT: every token chosen so far, int64.
        totals_BK: sum of the log-probabilities of each row, float64; -inf for a dead row, which
            only keeps the arrays rectangular.
        finished: the hypotheses of each photo of the batch that reached the end token.
    """

    def __init__(self, photos: int, options: DecodingOptions, constraints: Constraints) -> None:
        self.options = options
        self.width = {"greedy": 1, "beam": options.beam, "sample": options.n_best}[options.method]
        self.constraints = constraints
        self.photos_B: IntArray = np.arange(photos)
        self.done_B: BoolArray = np.zeros(photos, np.bool_)
        self.last_BK: IntArray = np.full((photos, 1), constraints.specials.start, np.int64)
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
            UsageError: the model does not support what the options ask for.
            NegahError: the model's log-probabilities are not numbers.
        """

    def narrow(self, kept_B: IntArray) -> None:
        """Continue with only the photos at these indices of the batch."""
        self.photos_B, self.done_B = self.photos_B[kept_B], self.done_B[kept_B]
        self.last_BK, self.totals_BK = self.last_BK[kept_B], self.totals_BK[kept_B]
        self.words_BKT = self.words_BKT[kept_B]

    @property
    def length(self) -> int:
        """Number of words of every live hypothesis."""
        return int(self.words_BKT.shape[2])

    def score(self, total: float, length: int) -> float:
        """The score by which hypotheses are ranked."""
        return float(normalise(total, length, self.options.length_normalisation))

    def finish(self, place: int, row: int, total: float, logprob: float) -> None:
        """Finish one row of a photo; ``total`` includes ``logprob``, that of the end token."""
        score = self.score(total, self.length + 1)
        self.finished[self.photos_B[place]].append(Ending(self.length, row, logprob, score))

    def extend(
        self,
        tokens_BK: IntArray,
        parents_BK: IntArray,
        logprobs_BK: npt.NDArray[np.float64],
        totals_BK: npt.NDArray[np.float64],
    ) -> None:
        """New row k continues row ``parents_BK[:, k]`` with a token."""
        self.trail.choose(tokens_BK, parents_BK, logprobs_BK)
        photos_B1 = np.arange(len(parents_BK))[:, None]
        history_BKT = self.words_BKT[photos_B1, parents_BK]
        self.words_BKT = np.concatenate([history_BKT, tokens_BK[..., None]], axis=2)
        self.totals_BK = totals_BK
        self.last_BK = tokens_BK

    def results(self) -> list[list[Traced]]:
        """The ``n_best`` of every photo.

        Finished hypotheses come first, by score, equal ones in the order found; truncated ones fill
        up the rest.

        Raises:
            UsageError: a photo has no hypothesis: the options forbid every caption.
        """
        return [self._results_of(photo) for photo in range(len(self.finished))]

    def _results_of(self, photo: int) -> list[Traced]:
        endings = sorted(self.finished[photo], key=lambda ending: -ending.score)
        if len(endings) < self.options.n_best:
            endings += sorted(self._cut_off(photo), key=lambda ending: -ending.score)
        if not endings:
            raise UsageError(
                f"the decoding options allow no caption of photo {photo} of the batch: "
                "ban fewer words, lower min_length, or turn no_repeat_ngram or no_repeat_content "
                "off"
            )
        alpha = self.options.length_normalisation
        return [
            self.trail.read_back(photo, ending, alpha) for ending in endings[: self.options.n_best]
        ]

    def _cut_off(self, photo: int) -> list[Ending]:
        ended = {e.row for e in self.finished[photo] if e.length == self.length}
        return [
            Ending(self.length, row, None, self.score(total, self.length))
            for totals_K in self.totals_BK[self.photos_B == photo].tolist()
            for row, total in enumerate(totals_K)
            if total > -np.inf and row not in ended
        ]


def refuse_nan(values: npt.NDArray[np.floating]) -> None:
    """Raise NegahError if a value is NaN: captions could not be ranked or sampled by it."""
    if np.isnan(values).any():
        raise NegahError(
            "the model's log-probabilities are not numbers (NaN): its weights or the "
            "features are damaged, or its training diverged"
        )
