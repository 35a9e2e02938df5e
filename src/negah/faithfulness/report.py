"""The faithfulness of a model's evidence on a data set: from rows of words to numbers with
intervals.

Intervals are of 95%, by resampling photos (:mod:`negah.metrics.bootstrap`): the words of a photo
are not independent. Differences are of the same photos.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from negah.arrays import BoolArray, DoubleArray
from negah.calibration.logistic import Bin, auc, calibration_bins, calibration_error
from negah.faithfulness.measure import POINTING, RANDOM
from negah.metrics.bootstrap import percentiles, resample

_RESAMPLES = 1000

#: All words of a photo that was measured.
MeasuredWords = Sequence[Mapping[str, Any]]


class Estimate(NamedTuple):
    """A mean over words with its interval.

    Attributes:
        value: the mean.
        low: end of the interval.
        high: likewise.
        n: words.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def beyond_zero(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Report:
    """The faithfulness of evidence.

    Attributes:
        model: its name.
        weights_sha256: of its weights.
        dataset: what it was measured on.
        split: the part of that.
        signatures: of the methods, by name; the first is the one that is judged.
        photos: that were measured.
        words: content words of their captions.
        pointing: by measure and method, the share of words whose strongest cell is on the thing;
            "pointing", and "pointing, middle", where the middle of the cell has to be in the box;
            each also of "small things", which fill less than a quarter of the cells.
        chance: for each of these the share of the cells that the things fill.
        deletion: by method and for random order, in nats; lower is better.
        insertion: likewise; higher is better.
        differences: of the first method from every other, by measure and name.
        agreement: mean rank correlation of the first method's maps with those of others.
        auc: of ``logprob``, and of ``seen`` where it is there: how well it ranks supported words
            above the others.
        calibration: of ``seen``, ten bins of equal numbers of words.
        calibration_error: the mean distance, over words, of what a bin says from what is true.
        failures: photos that could not be read, and why.
    """

    model: str
    weights_sha256: str
    dataset: str
    split: str
    signatures: Mapping[str, str]
    photos: int
    words: int
    pointing: Mapping[str, Mapping[str, Estimate]]
    chance: Mapping[str, float]
    deletion: Mapping[str, Estimate]
    insertion: Mapping[str, Estimate]
    differences: Mapping[str, Mapping[str, Estimate]]
    agreement: Mapping[str, float]
    auc: Mapping[str, Estimate]
    calibration: tuple[Bin, ...]
    calibration_error: float | None
    failures: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""

        def plain(value: Any) -> Any:
            if isinstance(value, Estimate | Bin):
                return value._asdict()
            if isinstance(value, dict):
                return {name: plain(one) for name, one in value.items()}
            return [plain(one) for one in value] if isinstance(value, tuple | list) else value

        return {name: plain(value) for name, value in asdict(self).items()}


def summarise(photos: Sequence[MeasuredWords], **facts: Any) -> Report:
    """The report of photos that were measured.

    Args:
        photos: the rows of :func:`~negah.faithfulness.measure.measure` of each.
        facts: the other fields of :class:`Report`: model, weights_sha256, dataset, split,
            signatures, failures.
    """
    methods = list(facts["signatures"])
    pointing = {
        name + (", small things" if small else ""): _pointed(name, small=small)
        for name in POINTING
        for small in (False, True)
    }
    picks: dict[str, _ValueOf] = {
        **pointing,
        "deletion": _curve("deletion"),
        "insertion": _curve("insertion"),
    }
    found: dict[str, dict[str, Estimate]] = {}
    differences: dict[str, dict[str, Estimate]] = {}
    for measure, pick in picks.items():
        found[measure], differences[measure] = {}, {}
        for name in (*methods, RANDOM):
            own = mean(photos, lambda row, name=name, pick=pick: pick(row, name))  # type: ignore[misc]
            gap = mean(photos, _gap(pick, methods[0], name))
            if own is not None:
                found[measure][name] = own
            if gap is not None and name != methods[0]:
                differences[measure][name] = gap
    auc = {name: one for name in ("logprob", "seen") if (one := _auc(photos, name)) is not None}
    bins, error = _calibration(photos)
    agreement = {
        name: one.value
        for name in methods[1:]
        if (one := mean(photos, lambda row, name=name: row["agreement"].get(name)))  # type: ignore[misc]
    }
    chance = {
        measure: one.value
        for measure in pointing
        if (one := mean(photos, _chance(measure))) is not None
    }
    return Report(
        photos=len(photos),
        words=sum(map(len, photos)),
        pointing={measure: found[measure] for measure in chance},
        chance=chance,
        deletion=found["deletion"],
        insertion=found["insertion"],
        differences=differences,
        agreement=agreement,
        auc=auc,
        calibration=bins,
        calibration_error=error,
        **facts,
    )


_ValueOf = Callable[[Mapping[str, Any], str], "float | None"]


def _curve(measure: str) -> _ValueOf:
    def pick(row: Mapping[str, Any], name: str) -> float | None:
        value = row[measure].get(name)
        return None if value is None else float(value)

    return pick


def _pointed(measure: str, *, small: bool) -> _ValueOf:
    def pick(row: Mapping[str, Any], name: str) -> float | None:
        own = row.get(measure)
        if own is None or name not in own["hits"] or (small and not own["small"]):
            return None
        return float(own["hits"][name])

    return pick


def _gap(pick: _ValueOf, first: str, other: str) -> Callable[[Mapping[str, Any]], float | None]:
    def gap(row: Mapping[str, Any]) -> float | None:
        one, two = pick(row, first), pick(row, other)
        return None if one is None or two is None else one - two

    return gap


def _chance(measure: str) -> Callable[[Mapping[str, Any]], float | None]:
    name, _, small = measure.partition(", small")

    def chance(row: Mapping[str, Any]) -> float | None:
        own = row.get(name)
        if own is None or (small and not own["small"]):
            return None
        return float(own["chance"])

    return chance


def mean(
    photos: Sequence[MeasuredWords], value: Callable[[Mapping[str, Any]], float | None]
) -> Estimate | None:
    """The mean of what words have, with its interval; None where no word has it."""
    kept = [[one for row in rows if (one := value(row)) is not None] for rows in photos]
    sums_N2 = np.array([[sum(own), len(own)] for own in kept if own], np.float64).reshape(-1, 2)
    total, n = sums_N2.sum(0)
    if not n:
        return None
    drawn_S2 = resample(sums_N2, _RESAMPLES, seed=0)
    low, high = percentiles(drawn_S2[:, 0] / drawn_S2[:, 1], 0.95)
    return Estimate(float(total / n), low, high, int(n))


def _auc(photos: Sequence[MeasuredWords], name: str) -> Estimate | None:
    known = [
        [(row[name], row["supported"]) for row in rows if None not in (row[name], row["supported"])]
        for rows in photos
    ]
    known = [own for own in known if own]
    scores = np.array([one for own in known for one, _ in own], np.float64)
    true = np.array([one for own in known for _, one in own], np.bool_)
    if len(set(true.tolist())) < 2:
        return None
    sizes = np.array(list(map(len, known)))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    random, drawn = np.random.default_rng(0), []
    for _ in range(_RESAMPLES // 5):
        photo = random.integers(len(known), size=len(known))
        places = np.concatenate([np.arange(starts[p], starts[p] + sizes[p]) for p in photo])
        drawn.append(area_under_curve(scores[places], true[places]))
    low, high = percentiles(np.array([one for one in drawn if one is not None]), 0.95)
    value = area_under_curve(scores, true)
    assert value is not None
    return Estimate(value, low, high, len(scores))


def area_under_curve(scores: DoubleArray, true: BoolArray) -> float | None:
    """The probability that a true one has a higher score than a false one; equal ones count half.

    None where all are true, or all false.
    """
    area = auc(true.astype(np.float64), scores)
    return None if math.isnan(area) else area


def _calibration(photos: Sequence[MeasuredWords]) -> tuple[tuple[Bin, ...], float | None]:
    known = np.array(
        [
            (row["seen"], row["supported"])
            for rows in photos
            for row in rows
            if row["seen"] is not None and row["supported"] is not None
        ],
        np.float64,
    ).reshape(-1, 2)
    if not len(known):
        return (), None
    said_N, true_N = known.T
    return tuple(calibration_bins(true_N, said_N)), calibration_error(true_N, said_N)
