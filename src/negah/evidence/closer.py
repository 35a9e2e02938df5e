"""Closer looks: an encoder's concepts on enlarged parts of a photo.

A cell of a small grid has more than a small thing in it. The photo is cut into parts that overlap,
each is enlarged to the size of the whole and encoded again, and a cell gets the mean log-odds of
the concept over all that see it. It shows where the encoder detects the concept, not what the
sentence needs, so only the cells where it is clearest count, and the order of all others is left to
occlusion; see ``docs/explain.md`` for measurements.

Axes: T words, H and W rows and columns of cells, N parts, R = H x W cells of one, P points.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from negah.arrays import FloatArray
from negah.backends import Backend, ConceptLayer

#: The sides of parts, as shares of the photo's; each size is laid 3 x 3 times, evenly.
SIDES = (5 / 7, 4 / 7)
_PLACES = (0.0, 0.5, 1.0)
#: Points of a cell's side at which it is looked up where it lies in a part.
_FINE = 2
_TOGETHER = 4
#: Cells count that come this near to the clearest one, as a share of its distance from the mean.
CLEAR = 0.7


def closer_odds(
    backend: Backend, image: Image.Image, concepts: Sequence[int], grid: tuple[int, int]
) -> FloatArray | None:
    """How far the log-odds of concepts stand out in the cells where they are clearest.

    Log-odds less their mean over the photo's cells, less :data:`CLEAR` times the largest such
    number; 0 in all cells that do not come so near to it.

    Args:
        backend: the model.
        image: as its ``resize`` makes it.
        concepts: places of the T concepts among those of the model.
        grid: rows and columns of the model's features.

    Returns:
        float32 (T, H, W), in nats; None for a model that cannot tell concepts cell by cell.
    """
    if not isinstance(backend, ConceptLayer):
        return None
    width, height = image.size
    parts = list(itertools.product(SIDES, _PLACES, _PLACES))
    pictures = []
    for side, down, right in parts:
        left, top = right * (1 - side) * width, down * (1 - side) * height
        box = (left, top, left + side * width, top + side * height)
        pictures.append(image.resize(image.size, Image.Resampling.BICUBIC, box=box))
    points = [(np.arange(_FINE * count) + 0.5) / (_FINE * count) for count in grid]
    total_TPP = np.zeros((len(concepts), *(len(own) for own in points)))
    seen_PP = np.zeros(total_TPP.shape[1:])
    for first in range(0, len(parts), _TOGETHER):
        some = pictures[first : first + _TOGETHER]
        absent_NRW = backend.absent(backend.encode(backend.pixels(some)).features)
        if absent_NRW is None:
            return None
        for (side, *starts), absent_RW in zip(
            parts[first : first + _TOGETHER], absent_NRW, strict=True
        ):
            odds_RT = _odds(absent_RW[:, list(concepts)])
            places = [
                np.floor((own - start * (1 - side)) / side * count).astype(int)
                for own, start, count in zip(points, starts, grid, strict=True)
            ]
            inside = [(own >= 0) & (own < count) for own, count in zip(places, grid, strict=True)]
            rows, columns = np.ix_(*(own[yes] for own, yes in zip(places, inside, strict=True)))
            chosen = np.ix_(*inside)
            total_TPP[:, chosen[0], chosen[1]] += odds_RT.T.reshape(-1, *grid)[:, rows, columns]
            seen_PP[chosen] += 1
    mean_TPP = total_TPP / seen_PP
    cells_THW = mean_TPP.reshape(len(concepts), grid[0], _FINE, grid[1], _FINE).mean((2, 4))
    above_THW = cells_THW - cells_THW.mean((1, 2), keepdims=True)
    clear_THW = above_THW - CLEAR * above_THW.max((1, 2), keepdims=True)
    return np.asarray(np.maximum(clear_THW, 0), np.float32)


def _odds(absent_RT: FloatArray) -> FloatArray:
    """log P / (1 - P) of log(1 - P)."""
    sure_RT = np.minimum(absent_RT, -1e-6)
    return np.asarray(np.log(-np.expm1(sure_RT)) - sure_RT)
