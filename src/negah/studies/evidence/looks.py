"""Where attention points on made clips, and where occlusion does, against what justifies a word.

Axes: T words, F frames, H rows and W columns of the grid, R = H x W regions, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.data.synth import SynthClip, word_truth
from negah.data.synth.grammar import Judgement, Statement
from negah.decoding import Hypothesis
from negah.evidence.occlusion import FEATURES, log_odds
from negah.evidence.subject import Subject
from negah.studies.synthetic.measure import cells_at, is_true

#: Hits, or chances, of each measure.
_Counts = dict[str, list[float]]


def looks(
    backend: Backend,
    said: Sequence[tuple[Hypothesis, Statement, Judgement, SynthClip]],
    features_NFRC: FloatArray,
    grid: int,
    progress: Callable[[], None],
) -> dict[str, float]:
    """Pointing and times in percent, by method, with chance; over words that are true.

    Methods are attention, the occlusion that ``negah explain`` does, and that of single cells.

    Args:
        backend: the captioner.
        said: its captions, as they are understood, with their clips.
        features_NFRC: of these clips, float32.
        grid: rows and columns.
        progress: called after each clip.
    """
    counts: _Counts = {}
    for (one, statement, judgement, clip), features_FRC in zip(said, features_NFRC, strict=True):
        subject = Subject(backend, (), features_FRC, one.tokens, one.evidence)
        falls = {"occlusion": FEATURES.maps(subject), "cells": without_each_cell(subject)}
        for t, word in enumerate(statement.words):
            if not is_true(word, statement, judgement, clip):
                continue
            truth = word_truth(word, judgement.things, clip.scene, clip.rendered, grid)
            cells = dict(zip(truth.frames, truth.cells, strict=True))
            if not cells:
                continue
            assert word.part is not None
            own = judgement.things[word.part]
            places = {name: _strongest(own_TFHW[t], grid) for name, own_TFHW in falls.items()}
            places["attention"] = _of_attention(one, t)
            for name, place in places.items():
                _count(counts, name, place, cells, own, clip, grid)
            frames = len(features_FRC)
            area = sum(map(len, cells.values())) / (frames * grid * grid)
            _add(counts, "point_chance", area)
            _add(counts, "time_chance", len(cells) / frames)
            if clip.scene.layout == "in turn":
                _add(counts, "turn_chance", len(cells) / frames)
        progress()
    return {name: 100 * float(np.mean(hits)) for name, hits in sorted(counts.items())}


def without_each_cell(subject: Subject) -> FloatArray:
    """What a word's log-odds fall by without a cell of a frame, in nats: float32 (T, F, H, W).

    The features of the study's clips tell of a frame, and of little more than their cell. Those of
    a deep network tell of its surroundings, and take the larger windows of ``negah explain``.
    """
    grid = subject.backend.sight.grid
    assert grid is not None
    features_FRC = subject.features_FRC
    frames, regions = features_FRC.shape[:2]
    mean_C = features_FRC.mean((0, 1))

    def variants() -> Iterator[FloatArray]:
        yield features_FRC
        for frame in range(frames):
            for cell in range(regions):
                changed_FRC = features_FRC.copy()
                changed_FRC[frame, cell] = mean_C
                yield changed_FRC

    odds_XT = log_odds(subject.logprobs(variants(), 1 + frames * regions))
    falls_TX = (odds_XT[:1] - odds_XT[1:]).T
    return falls_TX.reshape(len(falls_TX), frames, *grid)


def _count(
    counts: _Counts,
    name: str,
    place: tuple[int, int],
    cells: dict[int, tuple[int, ...]],
    own: int,
    clip: SynthClip,
    grid: int,
) -> None:
    """Whether a look of a method is at the right place, time and thing."""
    frame, cell = place
    _add(counts, f"point_{name}", float(cell in cells.get(frame, ())))
    _add(counts, f"time_{name}", float(frame in cells))
    if clip.scene.layout == "in turn":
        _add(counts, f"turn_{name}", float(frame in cells))
        return
    # of looks that meet a thing of the clip, and one alone: is it the thing that is spoken of?
    met = [cell in cells_at(clip, thing, frame, grid) for thing in (own, 1 - own)]
    if met[0] != met[1]:
        _add(counts, f"thing_{name}", float(met[0]))


def _add(counts: _Counts, name: str, value: float) -> None:
    counts.setdefault(name, []).append(value)


def _of_attention(one: Hypothesis, t: int) -> tuple[int, int]:
    """The heaviest frame of a word, and the heaviest cell of it."""
    frame = int(one.evidence["frames"][t].argmax())
    return frame, int(one.evidence["regions"][t, frame].argmax())


def _strongest(fall_FHW: FloatArray, grid: int) -> tuple[int, int]:
    frame, row, column = np.unravel_index(int(fall_FHW.argmax()), fall_FHW.shape)
    return int(frame), int(row) * grid + int(column)
