"""Shot boundary detection: cuts, dissolves and fades.

Cuts are jumps of a colour histogram taken over regions of the frame, judged against the differences
around them (J. Boreczky, L. Rowe, "Comparison of video shot boundary detection techniques", SPIE
1996; the adaptive threshold: B.-L. Yeo, B. Liu, IEEE TCSVT 5(6), 1995). Gradual changes are found
as in the twin comparison (H. Zhang, A. Kankanhalli, S. Smoliar, Multimedia Systems 1, 1993): frames
some time apart differ, those between them little by little. A moving camera has the same effect, so
the frames between must also be mixtures of the two ends, as in dissolves and fades. Changes after
which the old picture returns at once (a flash), or that keep the picture's structure (a lamp, the
exposure), are not boundaries.

Axes: P pixels of a small picture times colours; T moments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray

#: (height, width) in pixels of the pictures that signatures are made of.
SMALL = (24, 32)

_BINS = 16
_HALVES = 2  # regions of the histogram along each side

# How long a flash may last, and how far around a jump its neighbours are, in seconds.
_NEIGHBOURHOOD = 0.5
# A jump stands out if it is this many times the mean of its neighbours.
_STANDS_OUT = 3.0
# Above this correlation two pictures show the same thing in another light.
_SAME_STRUCTURE = 0.7

# A change over seconds must be this many times the threshold, because objects move too.
_GRADUAL = 1.4
# Moments that are looked at for gradual changes, in seconds apart, and lengths, in moments.
_MOMENT = 0.1
_LENGTHS = (3, 5, 8, 12, 18, 25)
# How far the frames between may be from mixtures, as a part of the change itself.
_MOST_RESIDUE = 0.25

# How far the picture may be from its neighbours just before and after, as a part of the change: a
# flash is no end of one.
_MOST_UNREST = 0.35

# Dark or bright frames without a picture, on a scale of 0 to 255: what fades lead through.
_DARK, _BRIGHT, _FLAT = 24.0, 232.0, 6.0


class Signature(NamedTuple):
    """The features of a frame for comparison.

    Attributes:
        time: in seconds.
        histogram: float32 (regions x colours x bins); sums to 1.
        small_P: float32, the picture at a few pixels, on a scale of 0 to 255.
        blank: nearly black or nearly white all over.
    """

    time: float
    histogram: FloatArray
    small_P: FloatArray
    blank: bool


class Boundary(NamedTuple):
    """A shot boundary.

    Attributes:
        time: in seconds; of a gradual change its middle.
        strength: of the change, 0 to 1.
        reach: its duration before and after ``time``, in seconds; 0 for a cut.
    """

    time: float
    strength: float
    reach: float = 0.0


def signature(time: float, small_HW3: npt.NDArray[np.uint8]) -> Signature:
    """Reduce a picture of :data:`SMALL` pixels, uint8 (height, width, 3).

    A pixel counts for the two bins that its value lies between, so that noise at the edge of a
    bin does not look like a change.
    """
    height, width = SMALL
    scaled_HW3 = small_HW3.astype(np.float32) * ((_BINS - 1) / 255)
    bins_HW3 = np.minimum(scaled_HW3.astype(np.intp), _BINS - 2)
    upper_HW3 = scaled_HW3 - bins_HW3
    slots = (_OFFSETS + bins_HW3).ravel()
    count = _HALVES * _HALVES * 3 * _BINS
    histogram = np.bincount(slots, (1 - upper_HW3).ravel(), count)
    histogram += np.bincount(slots + 1, upper_HW3.ravel(), count)
    halved_HW3 = small_HW3.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3), np.float32)
    mean, spread = float(small_HW3.mean()), float(small_HW3.std())
    return Signature(
        time,
        (histogram / small_HW3.size).astype(np.float32),
        halved_HW3.ravel(),
        spread < _FLAT and not _DARK <= mean <= _BRIGHT,
    )


def _region_offsets() -> npt.NDArray[np.intp]:
    height, width = SMALL
    rows_H11 = (np.arange(height) * _HALVES // height)[:, None, None]
    columns_W1 = (np.arange(width) * _HALVES // width)[:, None]
    regions_HW1 = rows_H11 * _HALVES + columns_W1
    return (regions_HW1 * 3 + np.arange(3)) * _BINS


_OFFSETS = _region_offsets()


def find_boundaries(
    signatures: Iterable[Signature], threshold: float
) -> Iterator[tuple[float, list[Boundary]]]:
    """Boundaries as soon as they are certain.

    Args:
        signatures: of every frame, in the order of showing.
        threshold: least difference of histograms, 0 to 1, that can be a boundary.

    Yields:
        For every signature: the time before which nothing more will be found, and what was found
        now, in no order.
    """
    cuts = _CutFinder(threshold)
    gradual = _GradualFinder(threshold)
    for one in signatures:
        found = cuts.add(one)
        gradual.known_cuts.extend(boundary.time for boundary in found)
        found += gradual.add(one)
        yield gradual.settled, found
    found = cuts.finish()
    gradual.known_cuts.extend(boundary.time for boundary in found)
    yield float("inf"), found + gradual.finish()


class _CutFinder:
    """Jumps from one frame to the next."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._frames: deque[Signature] = deque()
        self._steps: deque[float] = deque()  # difference of each frame from the one before
        self._judged = -1.0

    def add(self, one: Signature) -> list[Boundary]:
        self._steps.append(_difference(self._frames[-1], one) if self._frames else 0.0)
        self._frames.append(one)
        found = self._judge(one.time - _NEIGHBOURHOOD)
        # One more than the neighbourhood: the frame before the first that is compared.
        while len(self._frames) > 2 and self._frames[1].time < self._judged - _NEIGHBOURHOOD:
            self._frames.popleft()
            self._steps.popleft()
        return found

    def finish(self) -> list[Boundary]:
        return self._judge(float("inf"))

    def _judge(self, until: float) -> list[Boundary]:
        found = []
        for index, frame in enumerate(self._frames):
            if frame.time >= until:
                break
            if frame.time > self._judged:
                self._judged = frame.time
                if self._steps[index] >= self._threshold and self._is_cut(index):
                    found.append(Boundary(frame.time, self._steps[index]))
        return found

    def _is_cut(self, index: int) -> bool:
        frames, step = self._frames, self._steps[index]
        new, old = frames[index], frames[index - 1]
        before = [at for at in range(index) if old.time - frames[at].time <= _NEIGHBOURHOOD]
        after = [
            at for at in range(index, len(frames)) if frames[at].time - new.time <= _NEIGHBOURHOOD
        ]
        around = [self._steps[at] for at in before[1:] + after[1:]]
        if around and step < _STANDS_OUT * sum(around) / len(around):
            return False
        comes_back = (
            any(_difference(frames[at], new) < step / 2 for at in before)
            or any(_difference(old, frames[at]) < step / 2 for at in after)
            or _difference(frames[before[0]], frames[after[-1]]) < step / 2
        )
        return not comes_back and not _same_structure(old.small_P, new.small_P)


class _GradualFinder:
    """Changes that take up to a few seconds."""

    def __init__(self, threshold: float) -> None:
        self.known_cuts: deque[float] = deque(maxlen=64)
        self.settled = float("-inf")
        self._threshold = threshold
        self._margin = round(_NEIGHBOURHOOD / _MOMENT) + 1
        self._moments: deque[Signature] = deque(maxlen=_LENGTHS[-1] + 2 * self._margin)
        self._best: Boundary | None = None

    def add(self, one: Signature) -> list[Boundary]:
        # Half a frame of a fast clip early is near enough; a whole moment late is not.
        if self._moments and one.time - self._moments[-1].time < _MOMENT * 0.9:
            return []
        self._moments.append(one)
        return self._look(len(self._moments) - 1 - self._margin)

    def finish(self) -> list[Boundary]:
        found = []
        for end in range(max(len(self._moments) - self._margin, 0), len(self._moments)):
            found += self._look(end)
        return found + ([self._best] if self._best is not None else [])

    def _look(self, end: int) -> list[Boundary]:
        """Whether a change has ended at this moment; gives the strongest when it is past."""
        if end < 0:
            return []
        for length in _LENGTHS:
            candidate = self._change(end - length, end) if end >= length else None
            if candidate and (self._best is None or candidate.strength > self._best.strength):
                self._best = candidate
        now = self._moments[end].time
        self.settled = now - (_LENGTHS[-1] + 2) * _MOMENT
        if self._best is None or now - self._best.time <= _LENGTHS[-1] * _MOMENT:
            return []
        found, self._best = [self._best], None
        return found

    def _change(self, start: int, end: int) -> Boundary | None:
        moments = self._moments
        first, last = moments[start], moments[end]
        change = _difference(first, last)
        if (
            change < _GRADUAL * self._threshold
            or last.time - first.time > 2 * _LENGTHS[-1] * _MOMENT
        ):
            return None
        if any(first.time <= cut <= last.time for cut in self.known_cuts):
            return None
        before = [moments[at] for at in range(max(start - self._margin, 0), start)]
        after = [moments[at] for at in range(end + 1, min(end + self._margin, len(moments)))]
        if any(_difference(one, last) < change / 2 for one in before) or any(
            _difference(first, one) < change / 2 for one in after
        ):
            return None
        whole = _distance(first, last)
        ends = [(one, first) for one in before[-1:]] + [(last, one) for one in after[:1]]
        if any(_distance(*pair) > _MOST_UNREST * whole for pair in ends):
            return None
        if _same_structure(first.small_P, last.small_P):
            return None
        between_TP = np.stack([moments[at].small_P for at in range(start, end + 1)])
        mixture = _mixture(between_TP)
        if mixture is None:
            return None
        times = [moments[at].time for at in range(start, end + 1)]
        middle = next(
            (earlier + later) / 2
            for (earlier, _), (later, part) in pairwise(zip(times, mixture, strict=True))
            if part >= 0.5
        )
        return Boundary(middle, change, (last.time - first.time) / 2)


def _mixture(between_TP: FloatArray) -> FloatArray | None:
    """How much of the last moment each one holds, 0 to 1, if all are mixtures of the ends."""
    whole_P = between_TP[-1] - between_TP[0]
    energy = float(whole_P @ whole_P)
    if energy == 0:
        return None
    offset_TP = between_TP - between_TP[0]
    part_T = offset_TP @ whole_P / energy
    residue_TP = offset_TP - part_T[:, None] * whole_P
    if float((residue_TP**2).sum(1).max()) > _MOST_RESIDUE**2 * energy:
        return None
    steadily = bool((np.diff(part_T) > -0.1).all())
    return part_T.astype(np.float32) if steadily else None


def _difference(one: Signature, other: Signature) -> float:
    """Half the sum of absolute differences: 0 for equal histograms, 1 for disjoint ones."""
    return float(np.abs(one.histogram - other.histogram).sum()) / 2


def _distance(one: Signature, other: Signature) -> float:
    return float(np.linalg.norm(one.small_P - other.small_P))


def _same_structure(one_P: FloatArray, other_P: FloatArray) -> bool:
    one_P, other_P = one_P - one_P.mean(), other_P - other_P.mean()
    norms = float(np.linalg.norm(one_P) * np.linalg.norm(other_P))
    flat = min(one_P.std(), other_P.std()) < _FLAT
    return not flat and float(one_P @ other_P) > _SAME_STRUCTURE * norms
