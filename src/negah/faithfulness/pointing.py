"""Pointing game: whether the strongest place of a word's map is on the object that it names.

The pointing game of J. Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016,
over the cells of a map. Words and boxes meet in the 80 categories of COCO; a box of another name is
that of the words that have its stem.

Axes: H and W rows and columns of cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from negah.arrays import BoolArray, DoubleArray
from negah.data.box_files import Box
from negah.metrics.chair.words import categories_of, mentions
from negah.text.stems import stemmed

#: Of a cell.
_TENTH = 0.1


class Named(NamedTuple):
    """A word of a caption that names a boxed object of the picture.

    Attributes:
        place: of the word in the caption.
        boxes: of the things of that name.
    """

    place: int
    boxes: tuple[Box, ...]


def named_things(words: Sequence[str], boxes: Iterable[Box]) -> list[Named]:
    """The words of a caption that name boxed things; of a name of several words, the last.

    Words that name a thing of which there is no box are left out: they may be invented.
    """
    every = [(box, categories_of(box.name)) for box in boxes]
    found: list[Named] = []
    taken: set[int] = set()
    for mention in mentions(words):
        own = tuple(box for box, categories in every if categories & mention.categories)
        last = min(mention.start + len(mention.words.split()), len(words)) - 1
        taken.update(range(mention.start, last + 1))
        if own:
            found.append(Named(last, own))
    stems = stemmed(word.lower() for word in words)
    others = [(box, stemmed([box.name.lower()])[0]) for box, known in every if not known]
    for place, stem in enumerate(stems):
        own = tuple(box for box, name in others if name == stem)
        if own and place not in taken:
            found.append(Named(place, own))
    return sorted(found)


def cells_on(boxes: Iterable[Box], shape: tuple[int, int]) -> BoolArray:
    """The cells that lie on a thing, bool (H, W).

    A tenth of the cell is in a box, or the middle of the box is in the cell: a cell that has the
    edge of a thing in it may well be what tells it, and nothing is smaller than a cell on a map.
    """
    rows, columns = shape
    found = np.zeros(shape, np.bool_)
    for box in boxes:
        high, wide = _inside(box.top, box.bottom, rows), _inside(box.left, box.right, columns)
        found |= high[:, None] * wide >= _TENTH
        found[_cell(box.top + box.bottom, rows), _cell(box.left + box.right, columns)] = True
    return found


def middles_in(boxes: Iterable[Box], shape: tuple[int, int]) -> BoolArray:
    """The cells whose middle is in a box, or that have the middle of a box in them, bool (H, W)."""
    rows, columns = shape
    y = (np.arange(rows) + 0.5)[:, None] / rows
    x = (np.arange(columns) + 0.5) / columns
    found = np.zeros(shape, np.bool_)
    for box in boxes:
        found |= (box.left <= x) & (x <= box.right) & (box.top <= y) & (y <= box.bottom)
        found[_cell(box.top + box.bottom, rows), _cell(box.left + box.right, columns)] = True
    return found


def _inside(low: float, high: float, count: int) -> DoubleArray:
    """The share of each of ``count`` cells that lies between two edges."""
    starts = np.arange(count) / count
    inside = np.minimum(high, starts + 1 / count) - np.maximum(low, starts)
    return np.asarray(np.clip(inside, 0, None) * count, np.float64)


def _cell(both_edges: float, count: int) -> int:
    return min(count - 1, int(both_edges / 2 * count))
