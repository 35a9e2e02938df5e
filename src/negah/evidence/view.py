"""The part of a picture that a model sees, and conversion of maps from it to the whole picture.

A model may see the middle of a picture only, or all of it between bars. This is determined with the
model's ``resize`` on a picture whose colours encode positions.

Axes: T words, F frames, H and W rows and columns of cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from negah.arrays import DoubleArray, FloatArray, IntArray
from negah.backends import Backend

#: Pixels that a cell is drawn with where cells of another grid are cut out of it.
_FINE = 24

#: Blue of the picture that is tried; bars that are put around it are of another.
_MARK = 255
_MARKED = 250

#: A share of the picture that is not worth another grid.
_SAME = 0.03


class View(NamedTuple):
    """The visible part, as shares of the picture's width and height.

    Below 0 and above 1 if the picture has bars around it.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def is_whole(self) -> bool:
        """Whether it is the picture, and nothing else."""
        return all(abs(own - whole) < _SAME for own, whole in zip(self, (0, 0, 1, 1), strict=True))


def view_of(backend: Backend, size: tuple[int, int]) -> View:
    """The visible part of pictures of a given size.

    Args:
        backend: the model.
        size: (width, height) of the picture, in pixels; only their ratio counts.
    """
    width, height = (max(1, round(512 * side / max(size))) for side in size)
    tried = np.empty((height, width, 3), np.uint8)
    tried[..., 0] = (np.arange(width) + 0.5) / width * 255
    tried[..., 1] = ((np.arange(height) + 0.5) / height * 255)[:, None]
    tried[..., 2] = _MARK
    seen = np.asarray(backend.resize(Image.fromarray(tried)), dtype=np.float64)
    left, right = _span(seen[:, :, 0].T, seen[:, :, 2].T)
    top, bottom = _span(seen[:, :, 1], seen[:, :, 2])
    return View(left, top, right, bottom)


def _span(values_NM: DoubleArray, marks_NM: DoubleArray) -> tuple[float, float]:
    """Where the first axis begins and ends, from the line through what its places say."""
    inside_NM = marks_NM >= _MARKED
    there = np.flatnonzero(inside_NM.any(1))
    if len(there) < 3:
        return 0.0, 1.0
    there = there[1:-1]  # at its edges a bar shines through
    said = np.array([np.median(values_NM[n][inside_NM[n]]) for n in there]) / 255
    places = (there + 0.5) / len(values_NM)
    if len(places) < 2 or np.ptp(said) == 0:
        return 0.0, 1.0
    slope, start = np.polyfit(places, said, 1)
    return float(start), float(start + slope)


def in_picture(maps_TFHW: FloatArray, view: View) -> FloatArray:
    """Maps over a view as maps over all of the picture; what is not seen is 0.

    Args:
        maps_TFHW: whose cells divide the view evenly.
        view: of the picture.

    Returns:
        float32 (T, F, H', W'), whose cells divide the picture evenly and are about as large.
    """
    if view.is_whole:
        return maps_TFHW
    rows, columns = maps_TFHW.shape[2:]
    wide, high = view.right - view.left, view.bottom - view.top
    shape = (max(1, round(rows / high)), max(1, round(columns / wide)))
    fine = maps_TFHW.repeat(_FINE, axis=2).repeat(_FINE, axis=3)
    # where the fine pixels of the picture lie among those of the view
    y = _places(shape[0], view.top, high, fine.shape[2])
    x = _places(shape[1], view.left, wide, fine.shape[3])
    seen = (y >= 0)[:, None] & (x >= 0)
    moved = np.where(seen, fine[:, :, y.clip(0)][..., x.clip(0)], 0)
    cut = moved.reshape(*maps_TFHW.shape[:2], shape[0], _FINE, shape[1], _FINE)
    return np.asarray(cut.mean((3, 5)), np.float32)


def _places(cells: int, start: float, length: float, count: int) -> IntArray:
    """For each fine pixel of the picture its place in the view; -1 where it is outside."""
    at = (np.arange(cells * _FINE) + 0.5) / (cells * _FINE)
    place = np.floor((at - start) / length * count).astype(np.int64)
    return np.where((place >= 0) & (place < count), place, -1)
