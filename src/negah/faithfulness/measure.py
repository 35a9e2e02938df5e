"""The measurements of one captioned photo: a row for every content word.

Axes: T words, F frames, H and W rows and columns of cells, R = H x W.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from negah.arrays import FloatArray
from negah.captions import Caption
from negah.data.box_files import Box
from negah.evidence.methods import Evidence
from negah.evidence.view import in_picture
from negah.faithfulness.curves import curves, order_of
from negah.faithfulness.pointing import cells_on, middles_in, named_things
from negah.runtime.explaining import CaptionedSubject
from negah.text.pieces import WholeWord, spelled
from negah.text.stopwords import is_visible

#: The baseline of the curves of a map.
RANDOM = "random order"

#: Random orders of the cells; their curves are averaged.
_ORDERS = 2

#: Criteria for the strongest cell of a map being on an object, normal and strict.
POINTING = {"pointing": cells_on, "pointing, middle": middles_in}

#: An object that fills less than this share of the cells is small.
SMALL = 0.25


def measure(
    reading: CaptionedSubject,
    methods: Mapping[str, Evidence],
    *,
    boxes: Sequence[Box] | None = None,
    supported: Sequence[bool | None] | None = None,
) -> list[dict[str, Any]]:
    """Measure the methods on each content word of a caption.

    Args:
        reading: a captioned photo or clip.
        methods: by name, the one that is judged first.
        boxes: of the things in the photo, where they are known.
        supported: for each of :func:`words_of` whether the photo supports it; None where nobody
            knows.

    Returns:
        For each content word, JSON-ready: ``word``, its ``place``, ``logprob``, ``seen`` and
        ``supported`` where they are known; ``deletion`` and ``insertion`` by method and for
        random order, in nats; ``agreement``, the rank correlation of the first method's map with
        that of each other; and for words that name a boxed thing, by measure of
        :data:`POINTING`, the ``hits`` of each method, the ``chance``, which is the share of cells
        that it fills, and whether it is ``small``.
    """
    words = words_of(reading.caption)
    places = [n for n, word in enumerate(words) if is_visible(word.text)]
    # a word of several pieces comes from where its first comes from
    judged = [words[n].first for n in places]
    if not judged:
        return []
    maps = {name: method.maps(reading.subject) for name, method in methods.items()}
    rows: list[dict[str, Any]] = []
    for n in places:
        pieces = reading.caption.words[words[n].first : words[n].end]
        row: dict[str, Any] = {"word": words[n].text, "place": words[n].first}
        row["logprob"] = sum(piece.logprob for piece in pieces)
        row["seen"] = pieces[0].seen
        row["supported"] = None if supported is None else supported[n]
        rows.append(row)
    _add_curves(rows, reading, judged, maps)
    first, *others = maps
    for row, t in zip(rows, judged, strict=True):
        row["agreement"] = {
            name: rank_correlation(maps[first][t], maps[name][t])
            for name in others
            if maps[name].shape == maps[first].shape
        }
    if boxes and reading.subject.frames == 1:
        by_place = {row["place"]: row for row in rows}
        for place, own in pointing(reading, maps, boxes).items():
            if place in by_place:
                by_place[place] |= own
    return rows


def words_of(caption: Caption) -> list[WholeWord]:
    """The words of a caption, each with the places of its tokens."""
    return spelled([word.text for word in caption.words], caption.text)


def pointing(
    reading: CaptionedSubject, maps: Mapping[str, FloatArray], boxes: Sequence[Box]
) -> dict[int, dict[str, Any]]:
    """Whether maps point at the objects named by the words of a photo's caption.

    Args:
        reading: a captioned photo.
        maps: of its words by method, float32 (T, 1, H, W), as :class:`Evidence` gives them.
        boxes: of the things in the photo.

    Returns:
        by place of the word, for those that name a boxed thing, what :func:`measure` tells of it
        by measure of :data:`POINTING`.
    """
    words = words_of(reading.caption)
    whole = {name: in_picture(own, reading.view)[:, 0] for name, own in maps.items()}
    return {
        words[thing.place].first: _pointing(thing.boxes, words[thing.place].first, whole)
        for thing in named_things([word.text for word in words], boxes)
    }


def _add_curves(
    rows: Sequence[dict[str, Any]],
    reading: CaptionedSubject,
    judged: Sequence[int],
    maps: Mapping[str, FloatArray],
) -> None:
    """Deletion and insertion of the methods whose cells are those of the first."""
    shape = next(iter(maps.values())).shape[1:]
    names = [name for name, own in maps.items() if own.shape[1:] == shape]
    cells = int(np.prod(shape))
    # the same orders for a caption whenever it is measured
    seed = zlib.crc32(reading.caption.text.encode())
    random = np.random.default_rng(seed)
    orders = np.stack(
        [
            [order_of(maps[name][t]) for name in names]
            + [random.permutation(cells) for _ in range(_ORDERS)]
            for t in judged
        ]
    )
    found_WO2 = curves(reading.subject, judged, orders, shape[1:])
    for row, values_O2 in zip(rows, found_WO2, strict=True):
        for kind, column in (("deletion", 0), ("insertion", 1)):
            values = values_O2[:, column]
            row[kind] = {name: float(values[n]) for n, name in enumerate(names)}
            row[kind][RANDOM] = float(values[len(names) :].mean())


def _pointing(boxes: Sequence[Box], place: int, maps: Mapping[str, FloatArray]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for measure, cells in POINTING.items():
        hits: dict[str, bool] = {}
        shares: list[float] = []
        for name, maps_THW in maps.items():
            cells_HW = cells(boxes, maps_THW.shape[1:])
            strongest = np.unravel_index(int(maps_THW[place].argmax()), cells_HW.shape)
            hits[name] = bool(cells_HW[strongest])
            shares.append(float(cells_HW.mean()))
        row[measure] = {"hits": hits, "chance": shares[0], "small": shares[0] < SMALL}
    return row


def rank_correlation(one: FloatArray, other: FloatArray) -> float | None:
    """Spearman's rank correlation of two maps; None where one is the same everywhere."""
    if min(np.ptp(one), np.ptp(other)) == 0:
        return None
    ranks = [np.argsort(np.argsort(each.reshape(-1), kind="stable")) for each in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
