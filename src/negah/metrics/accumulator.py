"""Incremental scoring of captions that arrive in batches or in several processes.

Captions are kept as tokens until the end, because CIDEr-D needs the references of all images to
weigh a word. Tokenisation, and the statistics of slow metrics that look at one image at a time
(``Metric.separate``: METEOR), are computed as captions arrive, so processes share this work.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any, Self, Unpack

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError
from negah.metrics.captions import Tokens, check_lengths, check_references
from negah.metrics.catalogue import chosen_metrics, kinds_of
from negah.metrics.metric import CaptionSet, Metric, ReferenceSet, calling, raw
from negah.metrics.scores import Scores
from negah.metrics.scoring import (
    Hypotheses,
    References,
    SetScorer,
    in_order,
    split_names,
    tokens_of_training,
)
from negah.metrics.settings import Settings, SettingValues

logger = logging.getLogger(__name__)

_VERSION = 2


class Accumulator:
    """Collects captions with their references and scores them together.

    The scores equal those of a single pass bit for bit, whatever the batches: images with names are
    sorted by name, others keep the order in which they were added. Arguments are those of
    :func:`negah.metrics.score`.
    """

    def __init__(
        self,
        *,
        metrics: Sequence[str] | None = None,
        training: Iterable[str] | None = None,
        **settings: Unpack[SettingValues],
    ) -> None:
        self._settings = Settings(**settings)
        self._metrics = chosen_metrics(metrics, self._settings)
        self._training = tokens_of_training(training, self._settings)
        kinds = kinds_of(self._metrics)
        self._needs_text = any(kind.needs_text for kind in kinds)
        #: statistics of the images taken in, of metrics that look at one image at a time
        self._separate: dict[type[Metric], list[DoubleArray]] = {
            kind: [] for kind in kinds if kind.separate
        }
        self._names: dict[str, None] = {}
        self._hypotheses: list[Tokens] = []
        self._references: list[list[Tokens]] = []
        #: each caption and its references as given, if a metric needs raw text
        self._text: list[tuple[str, list[str]]] = []

    def __len__(self) -> int:
        return len(self._hypotheses)

    def add(self, hypotheses: Hypotheses, references: References) -> None:
        """Add the captions and references of some images.

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
        text = [
            (raw(one), [raw(caption) for caption in row])
            for one, row in zip(given, rows, strict=True)
        ]
        there = [row for _, row in text]
        part = ReferenceSet(found, names, self._settings, text=there)
        said = CaptionSet(tokens, part, [one for one, _ in text])
        added = {}
        for kind in self._separate:
            with calling(kind.names[0], "statistics"):
                added[kind] = kind(part).statistics(said)
        for kind, statistics_NK in added.items():
            self._separate[kind].append(statistics_NK)
        if self._needs_text:
            self._text += text
        self._names.update(dict.fromkeys(names or ()))
        self._hypotheses += tokens
        self._references += found

    def merge(self, other: Accumulator) -> None:
        """Append everything that another accumulator holds.

        Raises:
            DataError: its settings differ, or it has images that were added here already.
        """
        if other._description() != self._description():
            raise DataError(
                "accumulators with different settings cannot be merged:"
                f" {self._description()} and {other._description()}"
            )
        if not len(other):
            return
        self._check_names(tuple(other._names) or None)
        self._names.update(other._names)
        self._hypotheses += other._hypotheses
        self._references += other._references
        self._text += other._text
        for kind, blocks in other._separate.items():
            self._separate[kind] += blocks

    def scores(self) -> Scores:
        """The scores of all captions added so far.

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
        text = [self._text[index] for index in order] if self._needs_text else None
        references = ReferenceSet(
            [self._references[index] for index in order],
            names,
            self._settings,
            text=None if text is None else [row for _, row in text],
        )
        captions = CaptionSet(
            [self._hypotheses[index] for index in order],
            references,
            None if text is None else [one for one, _ in text],
        )
        scorer = SetScorer(references, self._metrics, self._training)
        statistics = {
            kind: np.concatenate(blocks)[order] for kind, blocks in self._separate.items()
        }
        scores = scorer.score(captions, statistics)
        for warning in scores.warnings:
            logger.warning(warning)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """The state, ready for JSON, to be sent to another process."""
        return {
            "version": _VERSION,
            "measures": self._description(),
            "names": list(self._names) or None,
            "hypotheses": [list(tokens) for tokens in self._hypotheses],
            "references": [[list(tokens) for tokens in row] for row in self._references],
            "text": [[one, row] for one, row in self._text],
            "statistics": {
                kind.names[0]: [row for block in blocks for row in block.tolist()]
                for kind, blocks in self._separate.items()
            },
        }

    @classmethod
    def from_state_dict(
        cls,
        state: Mapping[str, Any],
        *,
        training: Iterable[str] | None = None,
        **settings: Unpack[SettingValues],
    ) -> Self:
        """Restore the accumulator that gave ``state``.

        Args:
            state: what :meth:`state_dict` gave.
            training: as in the accumulator that gave it; it is not part of the state.
            settings: with the same ``frequencies`` and ``objects``, which are not part of the state
                either.

        Raises:
            DataError: ``state`` is not such a state.
        """
        try:
            measures = state["measures"]
            settings["tokenised"] = measures["tokenised"]
            settings["reference_length"] = measures["reference_length"]
            settings["language"] = measures["language"]
            made = cls(metrics=measures["metrics"], training=training, **settings)
            made._restore(state)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is not the state of an accumulator ({error!r:.80})") from None
        return made

    def _restore(self, state: Mapping[str, Any]) -> None:
        if state["version"] != _VERSION or state["measures"] != self._description():
            raise ValueError("another version, or other frequencies or objects than these")
        self._hypotheses = [_checked_tokens(tokens) for tokens in state["hypotheses"]]
        self._references = [
            [_checked_tokens(tokens) for tokens in row] for row in state["references"]
        ]
        self._names = dict.fromkeys(state["names"] or ())
        self._text = [(_sentence(one), list(map(_sentence, row))) for one, row in state["text"]]
        images = len(self._hypotheses)
        numbers = {len(self._references), *({len(self._names)} if self._names else ())}
        if self._needs_text:
            numbers.add(len(self._text))
        for kind in self._separate:
            rows = state["statistics"][kind.names[0]]
            numbers.add(len(rows))
            self._separate[kind] = [np.array(rows, dtype=np.float64)] if rows else []
        if numbers != {images} or not all(self._references):
            raise ValueError("not one caption, name and list of references for each image")
        if not all(isinstance(name, str) for name in self._names):
            raise TypeError("a name is not text")

    def _description(self) -> dict[str, Any]:
        """The settings in which two accumulators must agree, ready for JSON."""
        settings = self._settings
        frequencies, objects = settings.frequencies, settings.objects
        return {
            "metrics": list(self._metrics),
            "tokenised": settings.tokenised,
            "reference_length": settings.reference_length,
            "frequencies": None if frequencies is None else frequencies.images,
            "objects": None if objects is None else len(objects),
            "language": settings.language,
            "training": None if self._training is None else len(self._training),
        }

    def _tokens(self, caption: str) -> Tokens:
        # one string object for each word, however often it occurs
        return tuple(map(intern, self._settings.tokens(caption)))

    def _check_names(self, names: tuple[str, ...] | None) -> None:
        if len(self) and bool(names) != bool(self._names):
            raise DataError("images with names and images without cannot be scored together")
        twice = [name for name in names or () if name in self._names]
        if twice:
            raise DataError(
                f"{len(twice)} images were added before, such as {twice[0]}; add each image once"
            )


def _checked_tokens(tokens: Any) -> Tokens:
    if isinstance(tokens, str) or not all(isinstance(token, str) for token in tokens):
        raise TypeError("a caption is not a list of words")
    return tuple(map(intern, tokens))


def _sentence(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("a caption is no text")
    return given
