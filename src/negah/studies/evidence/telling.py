"""The study's tables and sentences, generated from its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from negah.studies.results import Results, SeedEstimate
from negah.studies.study import FactTable, MeasureGrid
from negah.studies.tables import interval

#: Numbers of a word, as tables call them.
_TITLES = {
    "gate": "gate",
    "logprob": "log-probability",
    "lift": "lift: log-probability less that with other pictures",
    "concept": "concept of the encoder",
    "together": "all measures together, cross-validated",
    "seen": "`seen`, as the model tells it",
}
#: What tells where a word of a photograph comes from, as tables call it.
_PLACES = {
    "occlusion": "occlusion",
    "closer": "occlusion and closer looks",
    "attention": "attention",
    "chance": "chance",
}
#: How false words of made clips come about.
KINDS = {
    "wrong": "an attribute exchanged",
    "other": "another clip's caption",
    "own": "the captioner's own captions",
}
_OF_CLIPS = {
    "gate": "gate",
    "logprob": "log-probability",
    "lift": "lift",
    "all": "together, cross-validated",
}
_TARGET = 95.0

#: What tells where a word of a made clip comes from, by name.
METHODS: Mapping[str, str] = {
    "attention": "attention",
    "occlusion": "occlusion, windows of `negah explain`",
    "cells": "occlusion, single cells of single frames",
}


_KINDS_OF_PLACE = ("point", "time", "turn", "thing")
_SIZES = {"all": "things", "small": "small things"}
_GROUPS = ("things", "content words")

#: Of made clips: where words come from, and how well true words are told from false ones.
RESULT_TABLES = (
    MeasureGrid(
        "where",
        ("", "told by", "pointing", "time", "time, in turn", "right thing of two"),
        tuple(
            (title, tuple(f"{kind}_{method}" for kind in _KINDS_OF_PLACE))
            for method, title in METHODS.items()
        ),
        last=("chance", ("point_chance", "time_chance", "turn_chance", 50)),
    ),
    MeasureGrid(
        "support",
        ("", "false words from", *_OF_CLIPS.values()),
        tuple(
            (title, tuple(f"{kind}_{name}" for name in _OF_CLIPS)) for kind, title in KINDS.items()
        ),
    ),
)

#: Of finished models: on photographs, on clips of two of them, and on real clips.
FACT_TABLES = (
    FactTable(
        "pointing",
        (
            "",
            *(
                f"{title}, {{photos[pointing][{size}][chance][3]:,}} words"
                for size, title in _SIZES.items()
            ),
        ),
        tuple(
            (title, *(f"{{photos[pointing][{size}][{name}]!i}}" for size in _SIZES))
            for name, title in _PLACES.items()
        ),
        sparse=True,
    ),
    FactTable(
        "ranking",
        (
            "",
            *(
                f"{group}: {{photos[auc][{group}][words]:,}} words, "
                f"{{photos[auc][{group}][supported]!p:.0f}}% supported"
                for group in _GROUPS
            ),
        ),
        tuple(
            (title, *(f"{{photos[auc][{group}][auc][{name}]!i}}" for group in _GROUPS))
            for name, title in _TITLES.items()
        ),
        sparse=True,
    ),
    FactTable(
        "boards",
        (
            "{boards[time][chance][3]:,} words of {boards[clips]:,} clips",
            "the right photograph",
            "and on the thing",
        ),
        tuple(
            (name, f"{{boards[time][{name}]!i}}", f"{{boards[point][{name}]!i}}")
            for name in ("occlusion", "attention", "chance")
        ),
        sparse=True,
    ),
    FactTable(
        "clips",
        (
            "{clips[words]:,} words of {clips[clips]:,} clips",
            "deletion, nats",
            "insertion, nats",
        ),
        tuple(
            (name, f"{{clips[deletion][{name}]!i}}", f"{{clips[insertion][{name}]!i}}")
            for name in ("occlusion", "attention", "random order")
        ),
        sparse=True,
    ),
)


def sentences(results: Results) -> list[str]:
    """What the numbers say of attention, of the gate, and of the targets."""
    said = []
    for variant in results.variants:
        said += _of_variant(results, variant)
    photos = results.facts.get("photos", {})
    if photos:
        said += _of_photos(photos)
    boards = results.facts.get("boards", {})
    if "time" in boards:
        occlusion, attention, chance = (
            interval(boards["time"].get(name)) for name in ("occlusion", "attention", "chance")
        )
        said.append(
            f"{boards['model']}, clips of two photographs: the right one is found by occlusion in "
            f"{occlusion}, by attention in {attention}; chance {chance}."
        )
    clips = results.facts.get("clips", {})
    if clips.get("auc"):
        areas = {name: interval(own) for name, own in clips["auc"].items()}
        more = f", by `seen` in {areas['seen']}" if "seen" in areas else ""
        said.append(
            f"{clips['model']}, {clips['clips']:,} real clips: a word that people say, too, is "
            f"above one that they do not by log-probability in {areas['logprob']}{more}."
        )
    return said


def _of_variant(results: Results, variant: str) -> list[str]:
    said = []
    for name, what in (("point", "pointing"), ("time", "time")):
        found = {how: results.estimate(variant, f"{name}_{how}") for how in METHODS}
        one, two, three = found["attention"], found["occlusion"], found["cells"]
        if one is None or two is None or three is None:
            continue
        best = max((one, two, three), key=lambda own: own.mean)
        gaps = {
            how: _claim(results.gap(variant, f"{name}_{how}", f"{name}_attention"))
            for how in ("occlusion", "cells")
        }
        said.append(
            f"{variant}, made clips, {what}: attention {one}%, occlusion {two}% "
            f"({gaps['occlusion']}), occlusion of single cells {three}% ({gaps['cells']}); "
            f"the target of {_TARGET:.0f} is {_reached(best)}."
        )
    for kind, title in KINDS.items():
        found = {name: results.estimate(variant, f"{kind}_{name}") for name in _OF_CLIPS}
        if found["all"] is None or found["gate"] is None:
            continue
        said.append(
            f"{variant}, {title}: a true word is above a false one in {found['all']}% of the pairs "
            f"by all measures together, in {found['gate']}% by the gate (chance 50); the target of "
            f"{_TARGET:.0f} is {_reached(found['all'])}."
        )
    return said


def _claim(gap: SeedEstimate | None) -> str:
    if gap is None or gap.half is None:
        return "a single seed, so no interval"
    if not gap.beyond_zero:
        return f"no significant difference ({gap.n} seeds)"
    return f"{'better' if gap.mean > 0 else 'worse'} by {abs(gap.mean):.1f} ± {gap.half:.1f}"


def _reached(found: SeedEstimate) -> str:
    return "reached" if found.mean >= _TARGET else "missed"


def _of_photos(photos: Mapping[str, Any]) -> list[str]:
    said = []
    if "all" in photos["pointing"]:
        own = photos["pointing"]["all"]
        closer = f", with closer looks in {interval(own['closer'])}" if "closer" in own else ""
        said.append(
            f"{photos['model']}, {photos['photos']:,} photographs: the strongest cell is on the "
            f"thing by occlusion in {interval(own['occlusion'])}{closer}, by attention in "
            f"{interval(own.get('attention'))}; chance {own['chance'][0]:.2f}."
        )
    areas = photos["auc"]["things"]["auc"]
    if "gate" in areas:
        low, high = areas["gate"][1:3]
        where = "above chance" if low > 0.5 else "below chance" if high < 0.5 else "at chance"
        best = areas.get("together")
        more = f", all measures together {interval(best)}" if best else ""
        said.append(
            f"{photos['model']}: a thing that is there is above an invented one by the gate in "
            f"{interval(areas['gate'])}, {where}; by log-probability "
            f"{interval(areas['logprob'])}{more}."
        )
    return said
