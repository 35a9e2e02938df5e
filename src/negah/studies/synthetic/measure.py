"""Captions of held-out clips by the study's captioners, and their attention at each word.

Captions are free-running and greedy. A caption is read back and each of its mentions matched
with the thing of the clip that it describes best. Attention is judged on the words that are
true of their thing, against what justifies them, beside the chance of a look at random.

Axes: N clips, F frames, R regions, C channels, T words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from negah.calibration.logistic import auc
from negah.data.synth import StatementWord, SynthClip, judge, read_caption, word_truth
from negah.data.synth.grammar import Judgement, Statement
from negah.data.synth.truth import WordTruth
from negah.decoding import DecodingOptions, Hypothesis
from negah.metrics import score
from negah.models import CamRnn
from negah.models.adapter import best_captions
from negah.studies.synthetic.world import World

#: Metrics of negah.metrics by the names under which results keep them.
_METRICS = {"BLEU-4": "bleu_4", "CIDEr-D": "cider_d"}
_TOGETHER = 50  # clips decoded at a time
_LONGEST = 24  # words
_EXAMPLES = 6  # clips whose captions results keep

Looks = dict[str, list[tuple[float, float]]]


def say(captioner: CamRnn, world: World) -> list[Hypothesis]:
    """The greedy caption of each test clip, with its evidence."""
    features_NFRC = world.test_features_NFRC
    batches = (
        (torch.from_numpy(features_NFRC[start : start + _TOGETHER].astype(np.float32)), None)
        for start in range(0, len(features_NFRC), _TOGETHER)
    )
    options = DecodingOptions(method="greedy", max_length=_LONGEST)
    return best_captions(captioner, batches, world.tokenizer, options)


def measure(
    captioner: CamRnn, world: World, grid: int
) -> tuple[list[Hypothesis], dict[str, float]]:
    """The captions of one trained captioner, and every number of the study.

    Returns:
        with the captions, numbers by the names of measures: percent; metrics on the 0-100 scale;
        ``..._words`` counts. What a captioner cannot be measured on is not there.
    """
    said = say(captioner, world)
    texts = [world.tokenizer.decode(one.tokens) for one in said]
    references = [[one.text for one in clip.captions] for clip in world.test]
    scores = score(texts, references, metrics=list(_METRICS), tokenised=True)
    read = [read_caption(text) for text in texts]
    judged = [
        None if statement is None else judge(statement, clip.scene)
        for statement, clip in zip(read, world.test, strict=True)
    ]
    return said, {
        **{name: 100 * share for name, share in accuracy(judged, world.test).items()},
        **{key: scores[name] for name, key in _METRICS.items()},
        **looks_of(said, read, judged, world.test, grid),
        **_gates(said, read),
    }


def examples(said: Sequence[Hypothesis], world: World) -> list[str]:
    """The captions that results keep."""
    return [world.tokenizer.decode(one.tokens) for one in said[:_EXAMPLES]]


def shown_clip(clips: Sequence[SynthClip]) -> int:
    """Which held-out clip the figure shows: the first with both things together and no decoys."""
    fitting = (
        number
        for number, clip in enumerate(clips)
        if clip.scene.layout == "together" and not clip.scene.decoys
    )
    return next(fitting, 0)


def shown_look(said: Sequence[Hypothesis], world: World) -> dict[str, Any]:
    """Where it looked at each word of the clip that the figure shows."""
    number = shown_clip(world.test)
    evidence = said[number].evidence
    return {
        "clip": number,
        "caption": world.tokenizer.decode(said[number].tokens),
        "frames": evidence["frames"].tolist(),
        "regions": evidence["regions"].tolist(),
    }


def accuracy(judged: Sequence[Judgement | None], clips: Sequence[SynthClip]) -> dict[str, float]:
    """Shares of captions that are true throughout, and of attributes that are true."""
    exact = [one is not None and one.exact for one in judged]
    right = [0.0 if one is None else one.right / one.stated for one in judged]
    found = {
        "exact": float(np.mean(exact)),
        "attributes": float(np.mean(right)),
        "grammatical": float(np.mean([one is not None for one in judged])),
    }
    for layout, name in (("together", "exact_together"), ("in turn", "exact_in_turn")):
        chosen = [one for one, c in zip(exact, clips, strict=True) if c.scene.layout == layout]
        found[name] = float(np.mean(chosen)) if chosen else 0.0
    return found


def looks_of(
    said: Sequence[Hypothesis],
    read: Sequence[Statement | None],
    judged: Sequence[Judgement | None],
    clips: Sequence[SynthClip],
    grid: int,
) -> dict[str, float]:
    """Pointing and temporal accuracy, over all clips and by layout; the right thing of two."""
    found: dict[str, Looks] = {name: {} for name in ("pointing", "temporal", "thing")}
    for one, statement, judgement, clip in zip(said, read, judged, clips, strict=True):
        if statement is None or judgement is None or "frames" not in one.evidence:
            continue
        for t, word in enumerate(statement.words):
            if not is_true(word, statement, judgement, clip):
                continue
            truth = word_truth(word, judgement.things, clip.scene, clip.rendered, grid)
            if not truth.frames:
                continue
            seen = _look(one, t, truth, clip, word, judgement, grid)
            for name, look in seen.items():
                for layout in ("all", clip.scene.layout):
                    found[name].setdefault(layout, []).append(look)
    values: dict[str, float] = {}
    for name, by_layout in found.items():
        for layout, looks in by_layout.items():
            key = name if layout == "all" else f"{name}_{layout.replace(' ', '_')}"
            hits, chances = np.array(looks).T
            values |= {
                key: 100 * float(hits.mean()),
                f"{key}_chance": 100 * float(chances.mean()),
                f"{key}_words": float(len(looks)),
            }
    return values


def is_true(
    word: StatementWord, statement: Statement, judgement: Judgement, clip: SynthClip
) -> bool:
    """Whether a word tells something true of the thing that its mention is about."""
    if word.part is None or word.role not in ("object", "action"):
        return False
    thing = clip.scene.things[judgement.things[word.part]]
    if word.role == "action":
        return statement.mentions[word.part].action == thing.action
    return word.text in (thing.size, thing.colour, thing.shape)


def _look(
    one: Hypothesis,
    t: int,
    truth: WordTruth,
    clip: SynthClip,
    word: StatementWord,
    judgement: Judgement,
    grid: int,
) -> dict[str, tuple[float, float]]:
    """Whether word t looked where it should, each with the chance of a random look."""
    weights_F = one.evidence["frames"][t]
    frame = int(weights_F.argmax())
    frames = len(weights_F)
    looks = {"temporal": (float(frame in truth.frames), len(truth.frames) / frames)}
    if "regions" not in one.evidence:
        return looks
    cell = int(one.evidence["regions"][t, frame].argmax())
    cells = dict(zip(truth.frames, truth.cells, strict=True))
    area = sum(map(len, truth.cells)) / (frames * grid * grid)
    looks["pointing"] = (float(cell in cells.get(frame, ())), area)
    # of looks that meet a thing of the clip, and one alone: is it the thing that is spoken of?
    assert word.part is not None
    own, other = judgement.things[word.part], 1 - judgement.things[word.part]
    met = [cell in cells_at(clip, thing, frame, grid) for thing in (own, other)]
    if met[0] != met[1]:
        looks["thing"] = (float(met[0]), 0.5)
    return looks


def cells_at(clip: SynthClip, thing: int, frame: int, grid: int) -> Sequence[int]:
    """The cells of a frame in which a thing is seen."""
    whole = StatementWord("", "object", 0)
    truth = word_truth(whole, (thing, thing), clip.scene, clip.rendered, grid)
    return dict(zip(truth.frames, truth.cells, strict=True)).get(frame, ())


def _gates(said: Sequence[Hypothesis], read: Sequence[Statement | None]) -> dict[str, float]:
    """How the gate tells visual words from function words, on captions that could be read."""
    gates: dict[bool, list[float]] = {True: [], False: []}
    for one, statement in zip(said, read, strict=True):
        if statement is None or "gate" not in one.evidence:
            continue
        for word, gate in zip(statement.words, one.evidence["gate"], strict=False):
            if word.role != "relation":
                gates[word.role != "function"].append(float(gate))
    if not gates[True] or not gates[False]:
        return {}
    return {
        "gate_auc": 100 * area_under_curve(gates[True], gates[False]),
        "gate_visual": 100 * float(np.mean(gates[True])),
        "gate_function": 100 * float(np.mean(gates[False])),
        "gate_words": float(len(gates[True]) + len(gates[False])),
    }


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Of the ROC: how often a positive is above a negative; ties count half.

    The statistic of Mann and Whitney (1947), from ranks.
    """
    truth = np.repeat([1.0, 0.0], [len(positive), len(negative)])
    return auc(truth, np.concatenate([positive, negative]))
