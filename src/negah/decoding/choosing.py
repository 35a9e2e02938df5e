"""Choosing among the candidates of a search by what the picture supports.

A search ranks captions by what its model finds likely, and what is likely is often said of any
picture. Here the encoder has its say, which knows nothing of the sentence: it tells for many
words how probable it is that the picture supports them (concepts; H. Fang et al., "From captions
to visual concepts and back", CVPR 2015, who choose among candidates likewise). A candidate is
ranked by

    (sum_t log p(w_t) + weight * sum_{w in its concepts} log P(w | picture)) / length ** alpha

where a concept counts once, however often the caption says it.

Axes: B photos or clips, W concepts, N candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from negah.arrays import FloatArray
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Vocabulary
from negah.decoding.search import Hypothesis, normalise
from negah.errors import UsageError

#: Probabilities are kept this far from 0 and 1, so that one word decides nothing alone.
_FARTHEST = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """What an encoder says of words.

    Attributes:
        words: the W concepts.
        probabilities_BW: of each, that the photo or clip supports it.
    """

    words: tuple[str, ...]
    probabilities_BW: FloatArray


class Chooser:
    """Ranks the candidates of each photo again.

    Args:
        options: of the search, with the weight of the support.
        support: what the encoder says.
        vocabulary: in which the concepts are looked up.

    Raises:
        UsageError: a concept is no word of the vocabulary.
    """

    def __init__(self, options: DecodingOptions, support: Support, vocabulary: Vocabulary) -> None:
        self._weight, self._alpha = options.support, options.length_normalisation
        ids = {token: index for index, token in enumerate(vocabulary.tokens)}
        unknown = [word for word in support.words if word not in ids]
        if unknown:
            raise UsageError(f"concepts that are no words of the vocabulary: {unknown[:3]}")
        self._concept = {ids[word]: place for place, word in enumerate(support.words)}
        self._support_BW = np.log(np.clip(support.probabilities_BW, _FARTHEST, 1 - _FARTHEST))

    def choose(self, photo: int, candidates: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The candidates of a photo, best first; those that were cut off stay behind."""
        return sorted(candidates, key=lambda one: (not one.finished, -self._score(photo, one)))

    def _score(self, photo: int, candidate: Hypothesis) -> float:
        said = {self._concept[token] for token in candidate.tokens if token in self._concept}
        supported = float(self._support_BW[photo, sorted(said)].sum())
        total = sum(candidate.logprobs) + self._weight * supported
        return normalise(total, len(candidate.logprobs), self._alpha)
