"""METEOR 1.5 from alignments: statistics of each caption, and the score that follows from sums.

Paper: M. Denkowski, A. Lavie, "Meteor Universal: language specific translation evaluation for any
target language", WMT 2014, with its parameters for English. As in the COCO caption evaluation, an
image counts with its best reference, and the score of a set follows from the summed statistics.

Axes: N images, K statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray
from negah.metrics.captions import Tokenised, as_tokens, check_lengths, check_references
from negah.metrics.meteor.alignment import align, count_chunks
from negah.metrics.meteor.captions import STAGES, AnalysedCaption, find_matches
from negah.metrics.meteor.data import load_arrays
from negah.metrics.meteor.lexicon import Lexicon

#: Parameters: precision against recall, fragmentation, penalty, content words.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.20, 0.60, 0.75
#: Weight of a match of each stage: exact, stem, synonym, paraphrase.
WEIGHTS = (1.0, 0.6, 0.8, 0.6)
#: Settings in the signature.
METEOR_SIGNATURE = "METEOR|meteor:1.5|lang:en|norm:yes|mods:exact-stem-syn-para"

# Statistics of one caption: words, then content and function words matched at each stage, of the
# hypothesis and of the reference; then chunks.
_LENGTHS, _FUNCTIONS = slice(0, 2), slice(2, 4)
_FIRST_MATCHES = 4
_PER_STAGE = 4
_CHUNKS = _FIRST_MATCHES + _PER_STAGE * len(STAGES)
STATISTICS = _CHUNKS + 1


@dataclass(frozen=True, slots=True, eq=False)
class MeteorScore:
    """METEOR of some captions.

    Attributes:
        corpus: of all of them, from their summed statistics, in [0, 1].
        per_caption: of each caption alone, float64 (N,).
        statistics: float64 (N, K), additive; :func:`meteor_of` gives the score of any sum.
    """

    corpus: float
    per_caption: DoubleArray
    statistics: DoubleArray


class Meteor:
    """METEOR with its data loaded; :func:`load_meteor` makes one.

    Args:
        lexicon: METEOR's data.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def score(
        self, hypotheses: Sequence[Tokenised], references: Sequence[Sequence[Tokenised]]
    ) -> MeteorScore:
        """METEOR of one tokenised hypothesis for each of N images against its references.

        Raises:
            DataError: not as many hypotheses as images, or an image without references.
        """
        check_references(references)
        check_lengths(hypotheses, len(references))
        statistics_NK = np.array(
            [
                self._best(as_tokens(hypothesis), [as_tokens(caption) for caption in captions])
                for hypothesis, captions in zip(hypotheses, references, strict=True)
            ],
            dtype=np.float64,
        )
        corpus = float(meteor_of(statistics_NK.sum(axis=0)))
        return MeteorScore(corpus, meteor_of(statistics_NK), statistics_NK)

    def _best(self, hypothesis: Sequence[str], references: list[tuple[str, ...]]) -> DoubleArray:
        """The statistics against the reference that gives the highest score.

        METEOR takes the first of equals. No caption's score depends on that; the corpus score
        does, since the lengths of that reference count, most where nothing matches.
        """
        caption = AnalysedCaption(hypothesis, self._lexicon)
        candidates = [AnalysedCaption(reference, self._lexicon) for reference in references]
        rows = np.array([_statistics(caption, one) for one in candidates], dtype=np.float64)
        best: DoubleArray = rows[int(np.argmax(meteor_of(rows)))]
        return best


def load_meteor(progress: Callable[[float], None] | None = None) -> Meteor:
    """METEOR with the installed data; the first time, compiling it takes half a minute.

    Args:
        progress: called with the share done, from 0 to 1, while the data is compiled; not called
            where that was done before.

    Raises:
        MissingExtraError: the data is not installed.
        DataError: it is malformed.
    """
    return Meteor(Lexicon(load_arrays(progress=progress)))


def meteor_of(statistics: npt.NDArray[Any]) -> DoubleArray:
    """METEOR, float64 (...), from statistics (..., K) or sums of them; in [0, 1]."""
    values = statistics.astype(np.float64)
    lengths, functions = values[..., _LENGTHS], values[..., _FUNCTIONS]
    shape = (*values.shape[:-1], len(STAGES), 2, 2)  # stage; content, function; here, there
    matches = values[..., _FIRST_MATCHES:_CHUNKS].reshape(shape)
    kinds = np.array([DELTA, 1 - DELTA])
    weighted = np.einsum("...skw,s,k->...w", matches, np.array(WEIGHTS), kinds)
    sizes = DELTA * (lengths - functions) + (1 - DELTA) * functions
    shares = np.divide(weighted, sizes, out=np.zeros_like(weighted), where=sizes > 0)
    precision, recall = shares[..., 0], shares[..., 1]
    below = ALPHA * precision + (1 - ALPHA) * recall
    mean = np.divide(precision * recall, below, out=np.zeros_like(below), where=below > 0)
    average = matches.sum((-3, -2)).mean(-1)
    fragmentation = np.divide(
        values[..., _CHUNKS], average, out=np.zeros_like(average), where=average > 0
    )
    penalty = GAMMA * fragmentation**BETA
    score: DoubleArray = mean * (1 - penalty)
    return score


def _statistics(hypothesis: AnalysedCaption, reference: AnalysedCaption) -> list[int]:
    alignment = align(find_matches(hypothesis, reference), len(reference.words))
    row = [len(hypothesis.words), len(reference.words)]
    row += [sum(hypothesis.functions), sum(reference.functions)]
    row += [0] * (STATISTICS - _FIRST_MATCHES)
    for match in alignment:
        first = _FIRST_MATCHES + _PER_STAGE * match.stage
        for place in range(match.hypothesis, match.hypothesis + match.hypothesis_length):
            row[first + 2 * hypothesis.functions[place]] += 1
        for place in range(match.reference, match.reference + match.reference_length):
            row[first + 2 * reference.functions[place] + 1] += 1
    chunks = count_chunks(alignment)
    # Captions that match completely are not fragmented: METEOR counts no chunk.
    whole = chunks == 1 and sum(row[_FIRST_MATCHES:_CHUNKS]) == row[0] + row[1]
    row[_CHUNKS:] = [0 if whole else chunks]
    return row
