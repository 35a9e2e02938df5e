"""Fitting the regressions of a calibration to captions whose truth is known.

All measures and their products enter; an L2 penalty, chosen by cross-validation over photos, keeps
the weights small. Captions are fitted to probabilities of their words that come from fits to other
photos, as they will for photos that nobody has seen.

Axes: N content words of all captions, K captions, M measures, T terms.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from negah.arrays import BoolArray, DoubleArray, IntArray
from negah.bundle.calibration import CaptionRegression, Logistic, WordRegression
from negah.calibration.collect import Collected
from negah.calibration.logistic import (
    auc,
    bootstrap_interval,
    calibration_error,
    cross_validated,
    fit_logistic,
    folds_of,
)
from negah.calibration.report import Calibrated, GroupMeasures
from negah.errors import DataError
from negah.runtime.seen import of_captions, standardised

#: Candidates, of which the most likely is used; there are fewer captions than words.
_PENALTIES = (10.0, 30.0, 100.0)
#: Photographs are easily distinguished from other pictures.
_PHOTOGRAPH_PENALTIES = (1.0, 10.0)
#: The threshold leaves this share of photographs below it.
_PHOTOS_BELOW = 0.015
#: Of a photograph, where nothing else was shown: as good as sure.
_SURE = 20.0
_LEAST = 1e-3
#: 0 or 1: their squares say nothing new.
_FLAGS = frozenset(["thing", "person", "no_concept"])

_Regression = TypeVar("_Regression", bound=Logistic)


@dataclass(frozen=True, slots=True, eq=False)
class _CrossValidated:
    """A fitted model, and what fits to other photos say of each observation."""

    model: Logistic
    chance: DoubleArray


def fit(collected: Collected, fitted_on: str) -> Calibrated:
    """Fit both regressions, and evaluate them by cross-validation over photos.

    Args:
        collected: captions and their truth.
        fitted_on: their data, for the bundle.

    Raises:
        DataError: all words are supported, or none is.
    """
    measured, truth_N = collected.measured, collected.truth_N
    of_photo_N = collected.group_K[measured.caption_N] >= 0
    if len({*truth_N[of_photo_N].tolist()}) < 2:
        raise DataError(
            f"of the {int(of_photo_N.sum()):,} content words of these captions "
            f"{int(truth_N[of_photo_N].sum()):,} are supported by references: a calibration needs "
            "words that are and words that are not"
        )
    folds_K = folds_of(collected.group_K)
    words = _fit(WordRegression, measured.words, truth_N, folds_K[measured.caption_N], _PENALTIES)
    captions = of_captions(measured, words.chance)
    wrong_K = np.bincount(measured.caption_N[~truth_N], minlength=len(folds_K)) > 0
    whole_K = ~wrong_K & (captions["words"] > 0)
    photos_K = collected.group_K >= 0
    fitted = _fit(CaptionRegression, captions, whole_K, folds_K, _PENALTIES)
    photographs = _CrossValidated(
        fitted.model.model_copy(update={"terms": (), "weights": (), "intercept": _SURE}),
        np.ones(len(photos_K)),
    )
    if not photos_K.all():
        photographs = _fit(CaptionRegression, captions, photos_K, folds_K, _PHOTOGRAPH_PENALTIES)
    confidence_K = fitted.chance * photographs.chance
    threshold = float(
        np.clip(np.quantile(confidence_K[photos_K], _PHOTOS_BELOW), _LEAST, 0.5).round(4)
    )
    spec = collected.tables.spec.model_copy(
        update={
            "words": words.model,
            "captions": fitted.model,
            "photographs": photographs.model,
            "threshold": threshold,
            "fitted_on": fitted_on,
        }
    )
    below_K = confidence_K < threshold
    return Calibrated(
        calibration=replace(collected.tables, spec=type(spec).model_validate(spec.model_dump())),
        rows=tuple(_rows(collected, words.chance, confidence_K, whole_K)),
        alone=_alone(collected),
        photos=int(photos_K.sum()),
        own_words=collected.own_words,
        others=int((~photos_K).sum()),
        others_below=float(below_K[~photos_K].mean()) if (~photos_K).any() else float("nan"),
        photos_below=float(below_K[photos_K].mean()),
        unread=collected.unread,
    )


def _fit(
    kind: type[_Regression],
    measures: Mapping[str, DoubleArray],
    truth_X: BoolArray,
    folds_X: IntArray,
    penalties: tuple[float, ...],
) -> _CrossValidated:
    """Fit one regression to all measures that differ, and their products."""
    values = {name: measures[name] for name in sorted(measures)}
    with np.errstate(all="ignore"):
        known = {name: one[np.isfinite(one)] for name, one in values.items()}
        scales = {name: float(one.std()) if len(one) else 0.0 for name, one in known.items()}
    names = tuple(name for name in values if scales[name] > _LEAST)
    empty = kind(
        measures=names,
        means=tuple(round(float(known[name].mean()), 5) for name in names),
        scales=tuple(round(scales[name], 5) for name in names),
        terms=(),
        weights=(),
        intercept=0.0,
    )
    standard_XM = standardised(empty, values)
    terms = tuple(_terms(names))
    columns_XT = np.stack([standard_XM[:, list(term)].prod(1) for term in terms], axis=1)
    target_X = truth_X.astype(np.float64)
    chance_X, penalty = cross_validated(columns_XT, target_X, folds_X, penalties)
    weights_T, intercept = fit_logistic(columns_XT, target_X, penalty)
    return _CrossValidated(
        empty.model_copy(
            update={
                "terms": terms,
                "weights": tuple(round(float(weight), 5) for weight in weights_T),
                "intercept": round(intercept, 5),
            }
        ),
        chance_X,
    )


def _terms(names: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    for place in range(len(names)):
        yield (place,)
    for one, other in itertools.combinations_with_replacement(range(len(names)), 2):
        if one != other or names[one] not in _FLAGS:
            yield one, other


def _rows(
    collected: Collected, seen_N: DoubleArray, confidence_K: DoubleArray, whole_K: BoolArray
) -> Iterator[GroupMeasures]:
    """Of words and of captions, of all data sets together and of each."""
    measured = collected.measured
    dataset_N, group_N = (
        one_K[measured.caption_N] for one_K in (collected.dataset_K, collected.group_K)
    )
    things_N = measured.words["thing"] > 0
    for group, which_N in (("content words", group_N >= 0), ("names of things", things_N)):
        for name, one_N in _each(collected.datasets, dataset_N):
            place_X = np.flatnonzero(which_N & one_N)
            if len(place_X):
                yield _row(
                    f"{group}, {name}", collected.truth_N[place_X].astype(np.float64),
                    seen_N[place_X], measured.words["logprob"][place_X], group_N[place_X],
                )  # fmt: skip
    for name, one_K in _each(collected.datasets, collected.dataset_K):
        place_X = np.flatnonzero(one_K)
        if len(place_X):
            yield _row(
                f"captions, {name}", whole_K[place_X].astype(np.float64), confidence_K[place_X],
                measured.captions["logprob"][place_X], collected.group_K[place_X],
            )  # fmt: skip


def _alone(collected: Collected) -> dict[str, dict[str, float]]:
    """The AUC of each measure of words by itself."""
    measured, truth_N = collected.measured, collected.truth_N.astype(np.float64)
    of_photo_N = collected.group_K[measured.caption_N] >= 0
    groups = {
        "content words": of_photo_N,
        "names of things": of_photo_N & (measured.words["thing"] > 0),
    }
    alone: dict[str, dict[str, float]] = {}
    for measure, values_N in measured.words.items():
        for group, which_N in groups.items():
            place_X = np.flatnonzero(which_N & np.isfinite(values_N))
            area = auc(truth_N[place_X], values_N[place_X]) if len(place_X) else math.nan
            if not math.isnan(area):
                alone.setdefault(measure, {})[group] = area
    return alone


def _each(names: tuple[str, ...], dataset_X: IntArray) -> Iterator[tuple[str, BoolArray]]:
    """The observations of all data sets, and of each if there are several."""
    yield "all", dataset_X >= 0
    if len(names) > 1:
        for place, name in enumerate(names):
            yield name, dataset_X == place


def _row(
    group: str,
    truth_X: DoubleArray,
    chance_X: DoubleArray,
    logprob_X: DoubleArray,
    group_X: IntArray,
) -> GroupMeasures:
    def of(chosen_X: IntArray, scores_X: DoubleArray) -> float:
        return auc(truth_X[chosen_X], scores_X[chosen_X])

    statistics: tuple[Callable[[IntArray], float], ...] = (
        lambda some_X: of(some_X, chance_X),
        lambda some_X: of(some_X, logprob_X),
        lambda some_X: of(some_X, chance_X) - of(some_X, logprob_X),
        lambda some_X: calibration_error(truth_X[some_X], chance_X[some_X]),
    )
    every_X = np.arange(len(truth_X))
    values = [(one(every_X), *bootstrap_interval(one, group_X)) for one in statistics]
    return GroupMeasures(group, len(truth_X), float(truth_X.mean()), *values)
