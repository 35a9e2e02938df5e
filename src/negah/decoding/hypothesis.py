"""A decoded sequence, and the trail from which it is read back.

A search keeps, for every step, which hypothesis each new one continues. Log-probabilities and
evidence are gathered only for the hypotheses that are returned, by following these parents
back from the last word to the first.

Axes: B photos, K hypotheses of each, T words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray, IntArray
from negah.decoding.protocol import Evidence


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One decoded sequence.

    Attributes:
        tokens: T token ids, without start and end.
        logprobs: the model's natural log-probability of each token, in nats, unaffected by
            temperature and constraints; T values, plus that of the end token if ``finished``.
        score: ``sequence_score`` of ``logprobs``.
        evidence: by name, float32 (T, ...): where the model looked at each token.
        finished: whether the end token was chosen; False where ``max_length`` cut it off.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    score: float
    evidence: dict[str, FloatArray]
    finished: bool


def sequence_score(logprobs: tuple[float, ...], alpha: float) -> float:
    """Sum of log-probabilities, taken from left to right, over length ** ``alpha``; 0 if empty.

    The form of Wu et al. 2016 (arXiv:1609.08144, section 7); the end token, where there is one,
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
    """Of the end token; None for a hypothesis that was cut off."""
    score: float


class Trail:
    """What every step of a search chose, for a batch."""

    def __init__(self) -> None:
        self._evidence: list[Evidence] = []
        self._tokens_BK: list[IntArray] = []
        self._parents_BK: list[IntArray] = []
        self._logprobs_BK: list[npt.NDArray[np.float64]] = []

    def look(self, evidence: Evidence) -> None:
        """Keep the evidence of a step; its rows are the step's inputs."""
        self._evidence.append(evidence)

    def choose(
        self, tokens_BK: IntArray, parents_BK: IntArray, logprobs_BK: npt.NDArray[np.float64]
    ) -> None:
        """Keep what the step led to: token, the row that it continues, its log-probability."""
        self._tokens_BK.append(tokens_BK)
        self._parents_BK.append(parents_BK)
        self._logprobs_BK.append(logprobs_BK)

    def hypothesis(self, photo: int, ending: Ending, alpha: float) -> Hypothesis:
        """Read one hypothesis back from its end."""
        row = ending.row
        tokens, logprobs, rows = [], [], []
        for t in reversed(range(ending.length)):
            tokens.append(int(self._tokens_BK[t][photo, row]))
            logprobs.append(float(self._logprobs_BK[t][photo, row]))
            row = int(self._parents_BK[t][photo, row])
            rows.append(row)
        values = (*reversed(logprobs), *(() if ending.logprob is None else (ending.logprob,)))
        return Hypothesis(
            tokens=tuple(reversed(tokens)),
            logprobs=values,
            score=sequence_score(values, alpha),
            evidence=self._gather(photo, rows[::-1]),
            finished=ending.logprob is not None,
        )

    def _gather(self, photo: int, rows: list[int]) -> dict[str, FloatArray]:
        gathered = {}
        for name, first in self._evidence[0].items():
            values = np.empty((len(rows), *first.shape[2:]), np.float32)
            for t, row in enumerate(rows):
                values[t] = self._evidence[t][name][photo, row]
            gathered[name] = values
        return gathered
