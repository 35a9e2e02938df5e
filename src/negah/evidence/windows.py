"""Windows over the cells of a picture, or over the cells of the frames of a clip.

A window has as many cells as it takes in a grid of 7 rows to be of a given side. One with an odd
number of them on a side has a cell in its middle; one with an even number has the corner of four,
which then share it, so that no cell is better off than another. Windows are cut off at borders.

Axes: X windows, T words, F frames, H rows, W columns of cells.
"""

from __future__ import annotations

import itertools

import numpy as np

from negah.arrays import BoolArray, FloatArray

#: Rows of the grid on which the side of a window is measured in cells.
_GRID = 7


def windows(shape: tuple[int, int, int], side: int) -> BoolArray:
    """All windows, bool (X, F, H, W), True inside.

    Frames of a clip show nearly the same, and a model that is robbed of a place in one frame finds
    it in the next: a window lasts about a third of the frames, and one of a few frames.

    Args:
        shape: frames, rows and columns.
        side: of the windows, in cells of a grid of 7 rows.
    """
    inside = []
    for count, own in zip(shape, sizes(shape, side), strict=True):
        starts = np.arange(count + (own % 2 == 0))[:, None] - own // 2
        inside.append((starts <= np.arange(count)) & (np.arange(count) < starts + own))
    frames, rows, columns = inside
    found: BoolArray = (
        frames[:, None, None, :, None, None]
        & rows[None, :, None, None, :, None]
        & columns[None, None, :, None, None, :]
    )
    return found.reshape(-1, *shape)


def to_cells(values_XT: FloatArray, shape: tuple[int, int, int], side: int) -> FloatArray:
    """Convert values of windows to a map, float32 (T, F, H, W): each cell gets those centred on it.

    Args:
        values_XT: of the windows, in their order.
        shape: as in :func:`windows`.
        side: likewise.
    """
    even = [own % 2 == 0 for own in sizes(shape, side)]
    counts = [count + more for count, more in zip(shape, even, strict=True)]
    values: FloatArray = values_XT.T.reshape(-1, *counts)
    for axis in itertools.compress((1, 2, 3), even):
        first, last = np.split(values, [1], axis)[1], np.split(values, [-1], axis)[0]
        values = np.asarray((first + last) / 2, np.float32)
    return values


def sizes(shape: tuple[int, int, int], side: int) -> tuple[int, int, int]:
    """Frames, rows and columns of a window."""
    frames, rows, columns = shape
    high, wide = (max(1, round(side * count / _GRID)) for count in (rows, columns))
    return 2 * (frames // 6) + 1, high, wide
