"""Bars of the study: where words come from, and which are true, by what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from negah.studies.evidence.telling import KINDS, METHODS
from negah.studies.figures import COLOURS, save, subplots
from negah.studies.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHERE = {
    "point": "pointing",
    "time": "time",
    "turn": "time,\nin turn",
    "thing": "right thing\nof two",
}
_OF_PLACES = {"attention": "attention", "occlusion": "occlusion", "closer": "with closer looks"}
_METHODS = {"attention": "attention", "occlusion": "occlusion", "cells": "single cells"}
_MEASURES = {"gate": "gate", "logprob": "log-probability", "lift": "lift", "all": "together"}
_OF_PHOTOS = {
    "gate": "gate", "logprob": "log-\nprobability", "lift": "lift", "concept": "concept",
    "together": "together", "seen": "seen",
}  # fmt: skip


def draw_made(results: Results, path: Path) -> Path:
    """Made clips: places and times of the first row's words, and how true ones rank, in percent."""
    variant = results.variants[0]
    figure, (where, support) = subplots(1, 2, (9.2, 3.3))
    for number, method in enumerate(METHODS):
        names = [f"{name}_{method}" for name in _WHERE]
        _bars(where, _estimates(results, variant, names), (number, 3), _METHODS[method])
    for place, name in enumerate(_WHERE):
        chance = 50.0 if name == "thing" else _mean(results, variant, f"{name}_chance")
        _chance(where, place, chance)
    where.set_xticks(range(len(_WHERE)), list(_WHERE.values()))
    where.set_title(f"{variant}: where a word comes from, % right", fontsize=9)
    for number, (name, title) in enumerate(_MEASURES.items()):
        names = [f"{kind}_{name}" for kind in KINDS]
        _bars(support, _estimates(results, variant, names), (number, 4), title)
    for place in range(len(KINDS)):
        _chance(support, place, 50.0)
    support.set_xticks(range(len(KINDS)), [_in_lines(title) for title in KINDS.values()])
    support.set_title(f"{variant}: true words above false ones, AUC, %", fontsize=9)
    for axis in (where, support):
        axis.set_ylim(0, 122)
        axis.set_yticks(range(0, 101, 20))
        _legend(axis, 2)
    return save(figure, path)


def _legend(axis: Axes, columns: int) -> None:
    """The names of the bars, above them; none where there are no bars."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8, loc="upper right", ncols=columns)


def _chance(axis: Axes, group: int, value: float | None) -> None:
    if value is not None:
        axis.plot((group - 0.45, group + 0.45), (value, value), color="black", ls=":", lw=1.2)


def _in_lines(title: str) -> str:
    """The last word on a line of its own."""
    first, _, last = title.rpartition(" ")
    return f"{first}\n{last}"


def _mean(results: Results, variant: str, name: str) -> float | None:
    found = results.estimate(variant, name)
    return None if found is None else found.mean


def draw_photos(results: Results, path: Path) -> Path | None:
    """Photographs, and clips of two of them: pointing, times, and how supported words rank.

    None where the study had no photographs.
    """
    photos, boards = results.facts.get("photos"), results.facts.get("boards", {})
    if not photos:
        return None
    figure, (where, support) = subplots(1, 2, (9.2, 3.3))
    groups = {
        "things": photos["pointing"].get("all"),
        "small things": photos["pointing"].get("small"),
    }
    groups |= {"clips:\nphotograph": boards.get("time"), "clips:\nand thing": boards.get("point")}
    shown = {title: own for title, own in groups.items() if own}
    methods = [name for name in _OF_PLACES if any(name in own for own in shown.values())]
    for number, method in enumerate(methods):
        told = [own.get(method) for own in shown.values()]
        _bars(where, told, (number, len(methods)), _OF_PLACES[method])
    for place, own in enumerate(shown.values()):
        _chance(where, place, own["chance"][0])
    where.set_xticks(range(len(shown)), list(shown))
    models = " and ".join(own["model"] for own in (photos, boards) if own)
    where.set_title(f"{models}: where a word comes from, share right", fontsize=9)
    areas = photos["auc"]
    names = [name for name in _OF_PHOTOS if any(name in own["auc"] for own in areas.values())]
    for number, (group, own) in enumerate(areas.items()):
        _bars(support, [own["auc"].get(name) for name in names], (number, 2), group)
    support.axhline(0.5, color="black", ls=":", lw=1.2)
    support.set_xticks(range(len(names)), [_OF_PHOTOS[name] for name in names])
    support.set_title(f"{photos['model']}: supported words above others, AUC", fontsize=9)
    for axis in (where, support):
        axis.set_ylim(0, 1.22)
        axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        _legend(axis, 1)
    return save(figure, path)


def _estimates(
    results: Results, variant: str, names: Sequence[str]
) -> list[tuple[float, float, float] | None]:
    """Mean, low and high of measures; the mean alone of a single seed."""
    found = [results.estimate(variant, name) for name in names]
    return [
        None if one is None else (one.mean, one.mean - (one.half or 0), one.mean + (one.half or 0))
        for one in found
    ]


def _bars(
    axis: Axes, shown: Sequence[Sequence[float] | None], place: tuple[int, int], label: str
) -> None:
    """Bars [value, low, high, ...] of one series; None leaves a gap.

    ``place`` is its number, and how many series there are.
    """
    number, count = place
    width = 0.8 / count
    for group, own in enumerate(shown):
        if own is None:
            continue
        value, low, high = own[:3]
        at = group + (number - (count - 1) / 2) * width
        axis.bar(at, value, width, color=COLOURS[number], label=label if group == 0 else None)
        if low < high:
            spread = [[value - low], [high - value]]
            axis.errorbar(at, value, yerr=spread, color="black", capsize=2, lw=1)
