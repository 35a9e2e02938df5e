"""Deletion and insertion curves of words.

Places are removed in the order of the map, strongest first, or added to an empty picture, and the
word's log-probability is measured (V. Petsiuk et al., "RISE", BMVC 2018, there of classes). With a
faithful map it falls early and rises early. Values are means over the curve, in nats against the
word with the whole picture: deletion is better the lower, insertion the higher.

Axes: X variants of a picture, T words, F frames, R cells, S steps of a curve, O orders of cells,
C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from negah.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from negah.evidence.occlusion import blurred, replaced
from negah.evidence.subject import Subject

#: Points of a curve between the whole picture and the empty one.
STEPS = 7


def order_of(map_FHW: FloatArray) -> IntArray:
    """The cells of a map from the strongest to the weakest, (F x H x W,)."""
    return np.argsort(-map_FHW.reshape(-1), kind="stable")


def curves(
    subject: Subject, words: Sequence[int], orders_WOR: IntArray, grid: tuple[int, int]
) -> DoubleArray:
    """Deletion and insertion of words: float64 (words, O, 2), in nats.

    Args:
        subject: whose words.
        words: the places in the caption of those that are judged.
        orders_WOR: for each of them, orders of the cells of all frames, the strongest first.
        grid: rows and columns of the cells of a frame.
    """
    orders, cells = orders_WOR.shape[1:]
    counts_S = np.rint(np.arange(1, STEPS + 1) / (STEPS + 1) * cells).astype(int)
    rank_WOR = np.argsort(orders_WOR, axis=-1)
    kept_WOSR = rank_WOR[:, :, None, :] >= counts_S[:, None]
    # the same steps taken away, and put back into an empty picture
    both_WODSR = np.stack([kept_WOSR, ~kept_WOSR], axis=2)
    found = np.empty((len(words), orders, 2))
    for n, t in enumerate(words):
        # the words behind have no say in this one
        own = replace(subject, tokens=subject.tokens[: t + 1], progress=None)
        flat_XR = both_WODSR[n].reshape(-1, cells)
        logprobs_X = own.logprobs(_variants(own, flat_XR, grid), len(flat_XR) + 1)[:, t]
        found[n] = (logprobs_X[1:] - logprobs_X[0]).reshape(orders, 2, STEPS).mean(-1)
    return found


def _variants(subject: Subject, kept_XR: BoolArray, grid: tuple[int, int]) -> Iterator[FloatArray]:
    """The features of the whole picture, and of each variant of it."""
    features_FRC = subject.features_FRC
    if subject.backend.sight.grid == grid and features_FRC.shape[1] == grid[0] * grid[1]:
        mean_C = features_FRC.mean((0, 1))
        yield features_FRC
        for kept_R in kept_XR:
            yield np.where(kept_R.reshape(subject.frames, -1, 1), features_FRC, mean_C)
        return
    shape = (subject.frames, *grid)
    clear = [np.asarray(image) for image in subject.images]
    away = [blurred(image) for image in clear]
    yield subject.encode(subject.images)
    for kept_R in kept_XR:
        inside_FHW = ~kept_R.reshape(shape)
        yield subject.encode(
            [
                Image.fromarray(replaced(inside_FHW[f], clear[f], away[f]))
                for f in range(subject.frames)
            ]
        )
