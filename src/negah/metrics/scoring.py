"""All metrics at once, on plain sentences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError
from negah.metrics.bleu import ReferenceLength, bleu_of, bleu_score
from negah.metrics.captions import Tokenised, Tokens
from negah.metrics.checks import warnings_about_captions, warnings_about_references
from negah.metrics.cider import SIGMA, Cider, Consensus, prepared
from negah.metrics.digests import digests_of
from negah.metrics.diversity import diversity_of
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.measures import Measures
from negah.metrics.references import Matched
from negah.metrics.result import Additive
from negah.metrics.rouge import rouge_l_score
from negah.metrics.scores import Scores
from negah.metrics.signatures import BLEU, CIDER, CIDER_D, METEOR, ROUGE_L, signatures

if TYPE_CHECKING:
    from negah.metrics.meteor import MeteorScore

logger = logging.getLogger(__name__)

#: One hypothesis for each image, by name or in order.
Hypotheses = Mapping[str, str] | Sequence[str]
#: The references of each image, by name or in order.
References = Mapping[str, Sequence[str]] | Sequence[Sequence[str]]


class CaptionScorer:
    """Scores captions against references that are tokenised and counted once.

    For scoring many sets of captions, such as those of each epoch; see :func:`score` for the
    arguments. ``progress`` is called with the share done while METEOR's data is compiled, which
    happens once on a machine (see :func:`negah.metrics.meteor.load_meteor`).

    Attributes:
        names: of the images; None where the references came in order.
    """

    def __init__(
        self,
        references: References,
        *,
        metrics: Sequence[str] | None = None,
        frequencies: DocumentFrequencies | None = None,
        tokenised: bool = False,
        reference_length: ReferenceLength = "closest",
        training: Iterable[str] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        measures = Measures.of(metrics, frequencies, tokenised, reference_length, training)
        names, rows = split_names(references)
        self.names = names
        self._measures = measures
        self._scorer = TokenScorer(
            rows, names, measures, tokenise=measures.tokens, progress=progress
        )

    @property
    def frequencies(self) -> DocumentFrequencies:
        """CIDEr-D's document frequencies, to be saved and used for other captions."""
        return self._scorer.consensus.frequencies

    def score(self, hypotheses: Hypotheses) -> Scores:
        """The scores of one caption for each image.

        Raises:
            DataError: a caption is missing, is no text, or stands for no image.
        """
        given = in_order(hypotheses, self.names)
        if isinstance(given, str):
            raise DataError("the hypotheses are one string; give one caption for each image")
        scores = self._scorer.score([self._measures.tokens(caption) for caption in given])
        for warning in scores.warnings:
            logger.warning(warning)
        return scores


def score(
    hypotheses: Hypotheses,
    references: References,
    *,
    metrics: Sequence[str] | None = None,
    frequencies: DocumentFrequencies | None = None,
    tokenised: bool = False,
    reference_length: ReferenceLength = "closest",
    training: Iterable[str] | None = None,
) -> Scores:
    """The standard metrics of one caption for each image, on the 0-100 scale.

    Args:
        hypotheses: raw sentences, by image name or in order.
        references: for each image its raw reference sentences, in the same way.
        metrics: some of :data:`METRICS`; by default all but CIDEr, and METEOR if its data is
            installed.
        frequencies: document frequencies of CIDEr-D (or of CIDEr); by default those of
            ``references``.
        tokenised: the sentences are tokenised already: tokens with spaces between them.
        reference_length: which one BLEU's brevity penalty takes: that of the reference
            ``"closest"`` in length (as the COCO caption evaluation), of the ``"shortest"``, or
            their ``"average"``.
        training: the captions that the model was trained on, to tell which ones are novel.

    Raises:
        DataError: no images, one without references, or names or numbers that do not match.
        UnknownNameError: no such metric or reference length.
        MissingExtraError: METEOR is asked for, and its data is not installed.
    """
    return CaptionScorer(
        references,
        metrics=metrics,
        frequencies=frequencies,
        tokenised=tokenised,
        reference_length=reference_length,
        training=training,
    ).score(hypotheses)


class TokenScorer:
    """The scorer behind :class:`CaptionScorer`, for hypotheses that are tokens already."""

    def __init__(
        self,
        references: Sequence[Sequence[Tokenised]],
        names: tuple[str, ...] | None,
        measures: Measures,
        *,
        tokenise: Callable[[Tokenised], Tokens] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self._names = names
        self._measures = measures
        metrics = measures.metrics
        words = measures.frequencies if CIDER_D in metrics else None
        self._references = prepared(references, words, tokenise=tokenise)
        self.consensus = Consensus(self._references, words)
        self._cider = None
        if CIDER in metrics:
            self._cider = Cider(self._rows(), frequencies=measures.frequencies)
        self._meteor = None
        if METEOR in metrics:
            from negah.metrics.meteor import load_meteor

            self._meteor = load_meteor(progress)
            self._tokens = self._rows()
        self._digests = digests_of(self._references)
        self._warnings = warnings_about_references(self._references)
        self._signatures = signatures(
            metrics,
            tokenizer=measures.tokenizer,
            reference_numbers=self._references.sizes_N,
            frequencies=measures.frequencies,
            reference_length=measures.reference_length,
        )

    def score(self, hypotheses: Sequence[Tokens], meteor: MeteorScore | None = None) -> Scores:
        """The scores of one tokenised caption for each image.

        Args:
            hypotheses: in the order of the references.
            meteor: of these captions, if it is computed already.

        Raises:
            DataError: there are not as many captions as images.
        """
        matched = self._references.match(hypotheses)
        if self._meteor is not None and meteor is None:
            meteor = self._meteor.score(hypotheses, self._tokens)
        per_image, additive = self._measure(hypotheses, matched, meteor)
        singles, pairs = matched.orders[:2]
        variety = diversity_of(
            matched.captions,
            len(np.unique(singles.grams_S)),
            matched.table.sizes[1],
            pairs.hypotheses_S[pairs.counts_S > 1],
            hypotheses,
            self._measures.training,
        )
        values = {
            name: float(one.score(one.statistics_NK.sum(axis=0))) for name, one in additive.items()
        }
        warnings = self._warnings + warnings_about_captions(
            matched, per_image, variety, single=bool(self._warnings)
        )
        return Scores(
            values=values,
            signatures=self._signatures,
            images=len(hypotheses),
            per_image=per_image,
            names=self._names,
            warnings=tuple(warnings),
            diversity=variety,
            _additive=additive,
            _references=self._digests,
        )

    def _rows(self) -> list[list[Tokens]]:
        """The references of each image, as words."""
        every = iter(self._references.captions.spell(self._references.vocabulary))
        return [list(islice(every, size)) for size in self._references.sizes_N.tolist()]

    def _measure(
        self, hypotheses: Sequence[Tokens], matched: Matched, meteor: MeteorScore | None
    ) -> tuple[dict[str, DoubleArray], dict[str, Additive]]:
        """By metric, the score of each image and what that of all follows from."""
        wanted = self._measures.metrics
        per_image: dict[str, DoubleArray] = {}
        additive: dict[str, Additive] = {}
        if any(name in BLEU for name in wanted):
            found = bleu_score(self._references, matched, self._measures.reference_length)
            for order, name in enumerate(BLEU):
                per_image[name] = 100 * found.per_caption[:, order]
                additive[name] = Additive(found.statistics, _Bleu(order))
        if meteor is not None:
            per_image[METEOR] = 100 * meteor.per_caption
            additive[METEOR] = Additive(meteor.statistics, _meteor)
        means: dict[str, DoubleArray] = {}
        if ROUGE_L in wanted:
            means[ROUGE_L] = rouge_l_score(self._references, matched).per_caption
        if self._cider is not None:
            means[CIDER] = self._cider.score(hypotheses).per_caption
        if CIDER_D in wanted:
            means[CIDER_D] = 10 * self.consensus.means(matched, clipped=True, sigma=SIGMA)
        for name, scores in means.items():
            per_image[name] = 100 * scores
            additive[name] = Additive.mean(per_image[name])
        return (
            {name: per_image[name] for name in wanted},
            {name: additive[name] for name in wanted},
        )


class _Bleu:
    """BLEU of one order on the scale of 100, from sums of statistics."""

    def __init__(self, order: int) -> None:
        self._order = order

    def __call__(self, sums: DoubleArray) -> DoubleArray:
        scores: DoubleArray = 100 * bleu_of(sums)[..., self._order]
        return scores


def _meteor(sums: DoubleArray) -> DoubleArray:
    from negah.metrics.meteor import meteor_of

    scores: DoubleArray = 100 * meteor_of(sums)
    return scores


def split_names(references: References) -> tuple[tuple[str, ...] | None, Sequence[Sequence[str]]]:
    """The names of the images, if they have any, and their references in order."""
    if isinstance(references, Mapping):
        return tuple(references), list(references.values())
    return None, references


def in_order(hypotheses: Hypotheses, names: tuple[str, ...] | None) -> Sequence[str]:
    """The hypotheses in the order of the references.

    Raises:
        DataError: names are missing or unknown, or only one of the two has names.
    """
    if names is None and not isinstance(hypotheses, Mapping):
        return hypotheses
    if names is None or not isinstance(hypotheses, Mapping):
        raise DataError(
            "hypotheses and references are both by name (mappings) or both in order"
            " (sequences), not one of each"
        )
    missing = sorted(set(names) - set(hypotheses), key=str)
    unknown = sorted(set(hypotheses) - set(names), key=str)
    if missing or unknown:
        raise DataError(
            f"{len(missing)} images have references but no hypothesis ({_some(missing)}) and"
            f" {len(unknown)} a hypothesis but no references ({_some(unknown)}); give exactly"
            " one hypothesis for each image"
        )
    return [hypotheses[name] for name in names]


def _some(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "") if names else "none"
