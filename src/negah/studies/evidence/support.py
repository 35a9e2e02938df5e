"""Whether true words of made clips can be told from false ones, and words that need the picture.

A word is read to the captioner with the clip and with other clips in its place; what its
log-probability falls by is its lift. False words are made in three ways: one attribute of a true
caption is exchanged; the caption is another clip's; or the captioner itself wrote it.

Axes: X clips (the one in question first), T words, V vocabulary, N words of all captions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from negah.arrays import DoubleArray, IntArray
from negah.calibration.logistic import auc, cross_validated, folds_of
from negah.data.synth import SynthClip, judge
from negah.data.synth.grammar import Judgement, ObjectDescription, Statement, with_mentions
from negah.data.synth.scene import ACTIONS, COLOURS, SHAPES, SIZES
from negah.studies.evidence.asked import CaptionReading
from negah.studies.synthetic.measure import is_true

#: What is measured of a word, in the order of the columns.
MEASURES = ("logprob", "lift", "gate")
_PENALTIES = (1.0, 10.0)
_KINDS = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "action": ACTIONS}


class Asked(NamedTuple):
    """A word whose truth is known, and what is measured of it.

    Attributes:
        clip: number of its clip.
        true: whether it is.
        measures: as :data:`MEASURES` names them, and the least lift over the other clips.
    """

    clip: int
    true: bool
    measures: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A true caption, and one in which an attribute is wrong.

    Attributes:
        true: the caption.
        place: of the first word that differs.
        word: what stands there instead.
    """

    true: Statement
    place: int
    word: str


def exchanges(clip: SynthClip, seed: int) -> Iterator[Exchange]:
    """For each thing of a clip its true caption with one attribute exchanged, if one can be.

    A wrong colour keeps the order in which the grammar tells things and is not that of the other
    thing, so that nothing but the clip says that it is wrong.
    """
    rng = np.random.default_rng([seed, clip.scene.number])
    statement = clip.captions[0]
    for part in (0, 1):
        mention = statement.mentions[part]
        kinds = [kind for kind in _KINDS if _others(statement, part, kind)]
        kind = str(rng.choice(kinds))
        value = str(rng.choice(_others(statement, part, kind)))
        wrong: ObjectDescription = replace(mention, **{kind: value})
        first, second = statement.mentions
        told = (wrong, second) if part == 0 else (first, wrong)
        other = with_mentions(statement, told).text.split()
        own = statement.text.split()
        place = next(t for t, (a, b) in enumerate(zip(own, other, strict=False)) if a != b)
        yield Exchange(statement, place, other[place])


def _others(statement: Statement, part: int, kind: str) -> list[str]:
    """The wrong values that an attribute may take."""
    own = getattr(statement.mentions[part], kind)
    if own is None:
        return []
    values = list(_KINDS[kind])
    if kind != "colour":
        return [value for value in values if value != own]
    beside = values.index(statement.mentions[1 - part].colour)
    allowed = values[:beside] if part == 0 else values[beside + 1 :]
    return [value for value in allowed if value != own]


def of_word(answer: CaptionReading, place: int, token: int) -> tuple[float, float, float, float]:
    """The measures of a word at a place of the caption that was read."""
    logprobs_X = answer.logprobs_XTV[:, place, token].astype(np.float64)
    own, others_P = float(logprobs_X[0]), logprobs_X[1:]
    gate = float(answer.gate_T[place])
    return own, own - float(others_P.mean()), gate, own - float(others_P.max())


def judged_words(
    answer: CaptionReading, statement: Statement, tokens: Sequence[int], clip: SynthClip,
    judgement: Judgement | None = None,
) -> Iterator[Asked]:  # fmt: skip
    """The words of a caption that tell what a thing is or does, each with its truth."""
    judgement = judgement or judge(statement, clip.scene)
    for t, word in enumerate(statement.words):
        if word.role in ("object", "action"):
            true = is_true(word, statement, judgement, clip)
            yield Asked(clip.scene.number, true, of_word(answer, t, tokens[t]))


def ranked(words: Sequence[Asked], prefix: str) -> dict[str, float]:
    """How often a true word is above a false one, in percent, by each measure and by all.

    "All" is a logistic regression of the measures and their products, fitted to nine tenths of
    the clips and judged on the others.
    """
    truth_N = np.array([one.true for one in words], np.float64)
    if len(set(truth_N.tolist())) < 2:
        return {}
    columns_ND = np.array([one.measures for one in words], np.float64)
    found = {}
    for number, name in enumerate(MEASURES):
        if not np.isnan(columns_ND[:, number]).any():
            found[f"{prefix}_{name}"] = 100 * auc(truth_N, columns_ND[:, number])
    clips_N = np.array([one.clip for one in words], np.int64)
    chance_N = _all_together(columns_ND, truth_N, clips_N)
    return {**found, f"{prefix}_all": 100 * auc(truth_N, chance_N)}


def _all_together(columns_ND: DoubleArray, truth_N: DoubleArray, clips_N: IntArray) -> DoubleArray:
    known_ND = columns_ND[:, ~np.isnan(columns_ND).any(0)]
    spread_D = np.maximum(known_ND.std(0), 1e-6)
    standard_ND = np.clip((known_ND - known_ND.mean(0)) / spread_D, -4, 4)
    pairs = [
        standard_ND[:, i] * standard_ND[:, j]
        for i in range(standard_ND.shape[1])
        for j in range(i, standard_ND.shape[1])
    ]
    terms_NT = np.concatenate([standard_ND, np.stack(pairs, axis=1)], axis=1)
    return cross_validated(terms_NT, truth_N, folds_of(clips_N), _PENALTIES)[0]


def need(
    visual: Sequence[tuple[float, ...]], function: Sequence[tuple[float, ...]]
) -> dict[str, float]:
    """How gate and lift tell words that need the picture from words that only the grammar asks for.

    Args:
        visual: the measures of words of things and deeds, in true captions.
        function: those of function words.
    """
    columns_ND = np.array([*visual, *function], np.float64)
    truth_N = np.repeat([1.0, 0.0], [len(visual), len(function)])
    lift_N, gate_N = columns_ND[:, 1], columns_ND[:, 2]
    found = {"need_lift": 100 * auc(truth_N, lift_N)}
    if not np.isnan(gate_N).any():
        visual_N = truth_N > 0
        found["need_gate"] = 100 * auc(truth_N, gate_N)
        found["gate_lift"] = _rank_correlation(gate_N, lift_N)
        found["gate_lift_visual"] = _rank_correlation(gate_N[visual_N], lift_N[visual_N])
    return found


def _rank_correlation(one_N: DoubleArray, other_N: DoubleArray) -> float:
    """Spearman's, of numbers that are hardly ever equal."""
    one, other = (np.argsort(np.argsort(own, kind="stable")) for own in (one_N, other_N))
    return float(np.corrcoef(one, other)[0, 1])
