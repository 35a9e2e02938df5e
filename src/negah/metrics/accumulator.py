"""Scoring in parts: captions that come in batches, or in several processes.

What an image adds is kept until the end as tokens, because CIDEr-D needs the references of all
images before it can weigh a word. Tokenising, and METEOR, which is the slow one, are done as
captions come in, so they are shared between processes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any, Self

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError
from negah.metrics.bleu import ReferenceLength
from negah.metrics.captions import Tokens, check_lengths, check_references
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.measures import Measures
from negah.metrics.scores import Scores
from negah.metrics.scoring import Hypotheses, References, TokenScorer, in_order, split_names
from negah.metrics.signatures import METEOR

logger = logging.getLogger(__name__)

_VERSION = 1


class Accumulator:
    """Collects captions with their references, and scores them together.

    Whatever the parts, the scores are those of one pass, to the last bit: images with names are
    put in the order of their names, others stay in the order in which they came. Arguments are
    those of :func:`negah.metrics.score`.
    """

    def __init__(
        self,
        *,
        metrics: Sequence[str] | None = None,
        frequencies: DocumentFrequencies | None = None,
        tokenised: bool = False,
        reference_length: ReferenceLength = "closest",
        training: Iterable[str] | None = None,
    ) -> None:
        self._measures = Measures.of(metrics, frequencies, tokenised, reference_length, training)
        self._names: dict[str, None] = {}
        self._hypotheses: list[Tokens] = []
        self._references: list[list[Tokens]] = []
        self._meteor: list[DoubleArray] = []

    def __len__(self) -> int:
        return len(self._hypotheses)

    def add(self, hypotheses: Hypotheses, references: References) -> None:
        """Take in the captions and references of some images.

        Raises:
            DataError: they do not fit together, an image was added before, or images with names
                meet images without.
        """
        names, rows = split_names(references)
        check_references(rows)
        given = in_order(hypotheses, names)
        check_lengths(given, len(rows))
        tokens = [self._tokens(caption) for caption in given]
        found = [[self._tokens(caption) for caption in captions] for captions in rows]
        self._check_names(names)
        if METEOR in self._measures.metrics:
            from negah.metrics.meteor import load_meteor

            self._meteor.append(load_meteor().score(tokens, found).statistics)
        self._names.update(dict.fromkeys(names or ()))
        self._hypotheses += tokens
        self._references += found

    def merge(self, other: Accumulator) -> None:
        """Take in all that another one has, behind what is here.

        Raises:
            DataError: it measures something else, or has images that are here already.
        """
        if _description(other._measures) != _description(self._measures):
            raise DataError(
                "two accumulators that measure differently cannot be merged:"
                f" {_description(self._measures)} and {_description(other._measures)}"
            )
        if not len(other):
            return
        self._check_names(tuple(other._names) or None)
        self._names.update(other._names)
        self._hypotheses += other._hypotheses
        self._references += other._references
        self._meteor += other._meteor

    def scores(self) -> Scores:
        """The scores of all captions taken in so far.

        Raises:
            DataError: there are none.
        """
        check_references(self._references)
        order = list(range(len(self)))
        names = None
        if self._names:
            every = list(self._names)
            order.sort(key=every.__getitem__)
            names = tuple(every[index] for index in order)
        scorer = TokenScorer([self._references[index] for index in order], names, self._measures)
        meteor = self._meteor_score(order) if self._meteor else None
        scores = scorer.score([self._hypotheses[index] for index in order], meteor)
        for warning in scores.warnings:
            logger.warning(warning)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """All that was taken in, ready for JSON, to be sent to another process."""
        return {
            "version": _VERSION,
            "measures": _description(self._measures),
            "names": list(self._names) or None,
            "hypotheses": [list(tokens) for tokens in self._hypotheses],
            "references": [[list(tokens) for tokens in row] for row in self._references],
            "meteor": [row for block in self._meteor for row in block.tolist()],
        }

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Any],
        *,
        frequencies: DocumentFrequencies | None = None,
        training: Iterable[str] | None = None,
    ) -> Self:
        """The accumulator that gave ``state``.

        Args:
            state: what :meth:`state_dict` gave.
            frequencies: as in the accumulator that gave it; they do not travel in the state.
            training: likewise.

        Raises:
            DataError: ``state`` is something else.
        """
        try:
            measures = state["measures"]
            made = cls(
                metrics=measures["metrics"],
                frequencies=frequencies,
                tokenised=measures["tokenised"],
                reference_length=measures["reference_length"],
                training=training,
            )
            made._restore(state)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is no state of an accumulator ({error!r:.80})") from None
        return made

    def _restore(self, state: Mapping[str, Any]) -> None:
        if state["version"] != _VERSION or state["measures"] != _description(self._measures):
            raise ValueError("another version, or other frequencies than these")
        self._hypotheses = [_words(tokens) for tokens in state["hypotheses"]]
        self._references = [[_words(tokens) for tokens in row] for row in state["references"]]
        self._names = dict.fromkeys(state["names"] or ())
        meteor = state["meteor"]
        images = len(self._hypotheses)
        numbers = {len(self._references), *({len(self._names)} if self._names else ())}
        if METEOR in self._measures.metrics:
            numbers.add(len(meteor))
        if numbers != {images} or not all(self._references):
            raise ValueError("not one caption, name and list of references for each image")
        if not all(isinstance(name, str) for name in self._names):
            raise TypeError("a name is no text")
        self._meteor = [np.array(meteor, dtype=np.float64)] if meteor else []

    def _tokens(self, caption: str) -> Tokens:
        # a word is one object however often it comes
        return tuple(map(intern, self._measures.tokens(caption)))

    def _check_names(self, names: tuple[str, ...] | None) -> None:
        if len(self) and bool(names) != bool(self._names):
            raise DataError("images with names and images without cannot be scored together")
        twice = [name for name in names or () if name in self._names]
        if twice:
            raise DataError(
                f"{len(twice)} images were added before, such as {twice[0]}; add each image once"
            )

    def _meteor_score(self, order: Sequence[int]) -> Any:
        from negah.metrics.meteor import MeteorScore, meteor_of

        statistics = np.concatenate(self._meteor)[order]
        corpus = float(meteor_of(statistics.sum(axis=0)))
        return MeteorScore(corpus, meteor_of(statistics), statistics)


def _description(measures: Measures) -> dict[str, Any]:
    """What two accumulators must agree in, ready for JSON."""
    frequencies = measures.frequencies
    return {
        "metrics": list(measures.metrics),
        "tokenised": measures.tokenised,
        "reference_length": measures.reference_length,
        "frequencies": None if frequencies is None else frequencies.images,
        "training": None if measures.training is None else len(measures.training),
    }


def _words(tokens: Any) -> Tokens:
    if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise TypeError("a caption is no list of words")
    return tuple(map(intern, tokens))
