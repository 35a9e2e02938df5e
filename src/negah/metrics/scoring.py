"""Scoring of plain sentences by several metrics at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack

import numpy as np

from negah import __version__
from negah.arrays import DoubleArray
from negah.errors import DataError, UsageError
from negah.metrics.captions import Tokens
from negah.metrics.catalogue import chosen_metrics, kinds_of
from negah.metrics.checks import warnings_about_captions, warnings_about_references
from negah.metrics.digests import digests_of
from negah.metrics.diversity import diversity_of
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.metric import CaptionSet, Metric, ReferenceSet, ShareDone, calling
from negah.metrics.scores import CaptionStatistics, Scores
from negah.metrics.settings import Settings, SettingValues

logger = logging.getLogger(__name__)

#: One hypothesis for each image, by name or in order.
Hypotheses = Mapping[str, str] | Sequence[str]
#: The references of each image, by name or in order.
References = Mapping[str, Sequence[str]] | Sequence[Sequence[str]]


class CaptionScorer:
    """Scores captions against references that are prepared only once.

    Use it to score many sets of captions, such as those of each epoch; see :func:`score` for the
    arguments. ``progress`` is called with the share done while METEOR's data is compiled, which
    happens once on a machine.

    Attributes:
        names: of the images; None where the references came in order.
    """

    def __init__(
        self,
        references: References,
        *,
        metrics: Sequence[str] | None = None,
        training: Iterable[str] | None = None,
        progress: ShareDone | None = None,
        **settings: Unpack[SettingValues],
    ) -> None:
        shared = Settings(**settings)
        chosen = chosen_metrics(metrics, shared)
        known = tokens_of_training(training, shared)
        kinds = kinds_of(chosen)
        for kind in kinds:
            kind.load(progress)
        self._needs_text = any(kind.needs_text for kind in kinds)
        self.names, rows = split_names(references)
        self._settings = shared
        self._references = ReferenceSet(
            rows,
            self.names,
            shared,
            tokenise=shared.tokens,
            text=rows if self._needs_text else None,
        )
        self._scorer = SetScorer(self._references, chosen, known)

    @property
    def signatures(self) -> Mapping[str, str]:
        """By metric, what its numbers depend on."""
        return self._scorer.signatures

    @cached_property
    def frequencies(self) -> DocumentFrequencies:
        """CIDEr-D's document frequencies, to be saved and used for other captions."""
        given = self._settings.frequencies
        if given is not None and not given.stems:
            return given
        return DocumentFrequencies.of_prepared(self._references.numbered)

    def score(self, hypotheses: Hypotheses) -> Scores:
        """The scores of one caption for each image.

        Raises:
            DataError: a caption is missing, is not text, or belongs to no image.
        """
        given = in_order(hypotheses, self.names)
        if isinstance(given, str):
            raise DataError("the hypotheses are one string; give one caption for each image")
        tokens = [self._settings.tokens(caption) for caption in given]
        text = given if self._needs_text else None
        scores = self._scorer.score(CaptionSet(tokens, self._references, text))
        for warning in scores.warnings:
            logger.warning(warning)
        return scores


def score(
    hypotheses: Hypotheses,
    references: References,
    *,
    metrics: Sequence[str] | None = None,
    training: Iterable[str] | None = None,
    **settings: Unpack[SettingValues],
) -> Scores:
    """The scores of one caption for each image, mostly on the 0-100 scale.

    Args:
        hypotheses: raw sentences, by image name or in order.
        references: for each image its raw reference sentences, in the same way.
        metrics: names out of :data:`negah.metrics.METRICS`; by default all but CIDEr, METEOR if
            its data is installed, CHAIR if ``objects`` are given.
        training: the captions that the model was trained on, to tell which ones are novel.
        settings: ``frequencies``, ``tokenised``, ``reference_length`` and ``objects``, described
            in :class:`~negah.metrics.settings.Settings`.

    Raises:
        DataError: no images, one without references, or names or numbers that do not match.
        UnknownNameError: no such metric or reference length.
        MissingExtraError: a dependency of a requested metric is not installed.
    """
    return CaptionScorer(references, metrics=metrics, training=training, **settings).score(
        hypotheses
    )


class SetScorer:
    """Scores tokenised captions by several metrics; used by scorers and accumulators.

    Args:
        references: of all images.
        metrics: names, checked.
        training: the tokenised captions that a model was trained on.

    Attributes:
        signatures: by metric, what its numbers depend on.
    """

    def __init__(
        self, references: ReferenceSet, metrics: Sequence[str], training: frozenset[Tokens] | None
    ) -> None:
        self._references = references
        self._training = training
        numbered = references.numbered
        self._metrics: list[tuple[Metric, tuple[str, ...]]] = []
        for kind, names in kinds_of(metrics).items():
            with calling(names[0], "__init__"):
                self._metrics.append((kind(references), names))
        self._order = tuple(metrics)
        self._digests = digests_of(numbered)
        self._warnings = warnings_about_references(numbered)
        lowest, highest = numbered.sizes_N.min(), numbered.sizes_N.max()
        numbers = f"{lowest}" if lowest == highest else f"{lowest}-{highest}"
        common = f"tok:{references.settings.tokenizer}|nrefs:{numbers}|v:{__version__}"
        found = {
            name: f"{_signature(metric, name)}|{common}"
            for metric, names in self._metrics
            for name in names
        }
        self.signatures = {name: found[name] for name in metrics}

    def score(
        self,
        captions: CaptionSet,
        statistics: Mapping[type[Metric], DoubleArray] | None = None,
    ) -> Scores:
        """The scores of one caption for each image.

        Args:
            captions: in the order of the references.
            statistics: of metrics that are already computed.

        Raises:
            DataError: there are not as many captions as images.
            UsageError: a metric of another package violates the interface.
        """
        matched = captions.matched
        known = statistics or {}
        measured: list[CaptionStatistics] = []
        warnings: list[str] = []
        for metric, names in self._metrics:
            kind = type(metric)
            with calling(names[0], "statistics"):
                given = known[kind] if kind in known else metric.statistics(captions)
            statistics_NK = _checked(given, captions, names)
            measured.append(CaptionStatistics(kind, names, statistics_NK))
            with calling(names[0], "warnings"):
                warnings += metric.warnings(statistics_NK)
        singles, pairs = matched.orders[:2]
        variety = diversity_of(
            matched.captions,
            len(np.unique(singles.grams_S)),
            matched.table.sizes[1],
            pairs.hypotheses_S[pairs.counts_S > 1],
            captions.tokens,
            self._training,
        )
        values: dict[str, DoubleArray] = {}
        per_image: dict[str, DoubleArray] = {}
        for one in measured:
            values |= one.score(one.statistics_NK.sum(axis=0))
            per_image |= one.per_image()
        return Scores(
            values={name: float(values[name]) for name in self._order},
            signatures=self.signatures,
            images=len(captions),
            per_image={name: per_image[name] for name in self._order},
            names=self._references.names,
            warnings=(*self._warnings, *warnings, *warnings_about_captions(matched, variety)),
            diversity=variety,
            _measured=tuple(measured),
            _references=self._digests,
        )


def tokens_of_training(
    training: Iterable[str] | None, settings: Settings
) -> frozenset[Tokens] | None:
    """The tokenised captions that a model was trained on.

    Raises:
        DataError: one is no text.
    """
    if isinstance(training, str):
        raise DataError("training is one string; give a list of captions")
    if training is None:
        return None
    return frozenset(settings.tokens(caption) for caption in training)


def _signature(metric: Metric, name: str) -> str:
    with calling(name, "signature"):
        signature = metric.signature(name)
    if not isinstance(signature, str) or not signature:
        raise UsageError(
            f"the metric {name!r} returned the signature {signature!r:.80}; it must be text"
        )
    return signature


def _checked(statistics: Any, captions: CaptionSet, names: Sequence[str]) -> DoubleArray:
    """Check the statistics of a metric, which may come from another package.

    Raises:
        UsageError: they are not one row of finite numbers for each image.
    """
    images = len(captions)
    found = np.asarray(statistics)
    if found.dtype != np.float64 or found.ndim != 2 or len(found) != images or not found.shape[1]:
        raise UsageError(
            f"the metric {names[0]!r} returned statistics of type {found.dtype} and shape "
            f"{found.shape}; it must return a float64 array with a row for each of the {images} "
            f"images"
        )
    if not np.isfinite(found).all():
        place = int(np.argmin(np.isfinite(found).all(axis=1)))
        called = captions.references.names
        image = f"image {place}, counted from 0" if called is None else called[place]
        raise UsageError(
            f"the metric {names[0]!r} returned statistics that are not finite (NaN or "
            f"infinity), the first for {image}; for an image without a score return zeros, "
            "and NaN in per_image"
        )
    return found


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
            f"{len(missing)} images have references but no hypothesis ({_abridged(missing)}) and"
            f" {len(unknown)} a hypothesis but no references ({_abridged(unknown)}); give exactly"
            " one hypothesis for each image"
        )
    return [hypotheses[name] for name in names]


def _abridged(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "") if names else "none"
