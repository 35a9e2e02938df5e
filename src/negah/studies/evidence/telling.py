"""The study's tables and sentences, generated from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from negah.studies.results import Estimate, Results
from negah.studies.study import markdown

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


def where_table(results: Results) -> str:
    """Places and times of the true words of made clips, by method, with chance."""
    header = ["", "told by", "pointing", "time", "time, in turn", "right thing of two"]
    kinds = ("point", "time", "turn", "thing")
    rows = _grid(results, METHODS, lambda method: [f"{kind}_{method}" for kind in kinds])
    chances = (results.estimate(results.variants[0], f"{kind}_chance") for kind in kinds[:3])
    rows.append(
        ["chance", "", *("–" if one is None else f"{one.mean:.1f}" for one in chances), "50"]
    )
    return markdown(header, rows)


def support_table(results: Results) -> str:
    """How well true words of made clips are told from false ones, by where false ones come from."""
    header = ["", "false words from", *_OF_CLIPS.values()]
    return markdown(
        header, _grid(results, KINDS, lambda kind: [f"{kind}_{name}" for name in _OF_CLIPS])
    )


def _grid(
    results: Results, titles: Mapping[str, str], measures: Callable[[str], list[str]]
) -> list[list[str]]:
    """For each variant a row of each title, with the measures of its key."""
    return [
        [variant, title, *(_shown(results.estimate(variant, name)) for name in measures(key))]
        for variant in results.variants
        for key, title in titles.items()
    ]


def photo_tables(photos: Mapping[str, Any]) -> dict[str, str]:
    """Pointing, and the areas under the curve, on photographs; empty without any."""
    if not photos:
        return {"pointing": "", "ranking": ""}
    pointing = photos["pointing"]
    rows = [
        [title, *(interval(own.get(name)) for own in pointing.values())]
        for name, title in _PLACES.items()
        if any(name in own for own in pointing.values())
    ]
    counts = {"all": "things", "small": "small things"}
    header = [
        "",
        *(f"{counts[size]}, {own['chance'][3]:,} words" for size, own in pointing.items()),
    ]
    groups = photos["auc"]
    head = [
        "",
        *(
            f"{group}: {own['words']:,} words, {100 * own['supported']:.0f}% supported"
            for group, own in groups.items()
            if own["words"]
        ),
    ]
    ranked = [
        [title, *(interval(own["auc"].get(name)) for own in groups.values() if own["words"])]
        for name, title in _TITLES.items()
        if any(name in own["auc"] for own in groups.values())
    ]
    return {
        "pointing": markdown(header, rows) if pointing else "",
        "ranking": markdown(head, ranked),
    }


def board_table(boards: Mapping[str, Any]) -> str:
    """Times and places of words in clips of two photographs; empty without any."""
    if "time" not in boards:
        return ""
    rows = [
        [name, interval(boards["time"].get(name)), interval(boards["point"].get(name))]
        for name in ("occlusion", "attention", "chance")
    ]
    words = f"{boards['time']['chance'][3]:,} words of {boards['clips']:,} clips"
    return markdown([words, "the right photograph", "and on the thing"], rows)


def clip_table(clips: Mapping[str, Any]) -> str:
    """Deletion and insertion on real clips, by method; empty without any."""
    if not clips.get("deletion"):
        return ""
    rows = [
        [name, interval(clips["deletion"][name]), interval(clips["insertion"].get(name))]
        for name in clips["deletion"]
    ]
    words = f"{clips['words']:,} words of {clips['clips']:,} clips"
    return markdown([words, "deletion, nats", "insertion, nats"], rows)


def interval(told: Sequence[float] | None) -> str:
    """``0.86 (0.82 to 0.89)``; chance and the like, which do not vary, alone."""
    if told is None:
        return "–"
    value, low, high = told[:3]
    return f"{value:.2f}" if low == high else f"{value:.2f} ({low:.2f} to {high:.2f})"


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


def _claim(gap: Estimate | None) -> str:
    if gap is None or gap.half is None:
        return "a single seed, so no interval"
    if not gap.beyond_zero:
        return f"no significant difference ({gap.n} seeds)"
    return f"{'better' if gap.mean > 0 else 'worse'} by {abs(gap.mean):.1f} ± {gap.half:.1f}"


def _reached(found: Estimate) -> str:
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


def _shown(found: Estimate | None) -> str:
    return "–" if found is None else str(found)
