"""Conversion of word maps to brightness, from 0 (dark) to 1.

Axes: T words, F frames, H and W rows and columns of cells.
"""

from __future__ import annotations

import numpy as np

from negah.arrays import FloatArray
from negah.captions import Caption

#: A word whose strongest place has less than this share of the caption's strongest stays dim.
_FAINT = 0.4

#: Shares of a word's strongest place from which on light begins, and is full.
_FIRST, _FULL = 0.2, 0.9


def has_maps(caption: Caption) -> bool:
    """Whether every word has a map."""
    return bool(caption.words) and all(word.map is not None for word in caption.words)


def maps_of(caption: Caption) -> FloatArray:
    """The maps of the words, float32 (T, F, H, W); every word has one."""
    return np.stack([word.map for word in caption.words if word.map is not None])


def light_of_maps(maps_TFHW: FloatArray) -> FloatArray:
    """Support as light, float32 (T, F, H, W).

    Only positive support counts. Brightness is relative to the word's strongest place; a word
    without strong support is dim everywhere, so that noise is not highlighted.
    """
    support = np.maximum(maps_TFHW, 0)
    strongest_T = support.max((1, 2, 3))
    reference_T = np.maximum(strongest_T, _FAINT * strongest_T.max(initial=0.0))
    shares = support / np.maximum(reference_T, 1e-12)[:, None, None, None]
    return np.asarray(np.clip((shares - _FIRST) / (_FULL - _FIRST), 0, 1), np.float32)


def frame_shares(maps_TFHW: FloatArray) -> FloatArray:
    """The share of each frame in a word's support, float32 (T, F); sums to 1 for each word."""
    support_TF = np.maximum(maps_TFHW, 0).sum((2, 3))
    total_T1 = support_TF.sum(1, keepdims=True)
    even = 1 / max(1, support_TF.shape[1])
    shares = np.where(total_T1 > 0, support_TF / np.maximum(total_T1, 1e-12), even)
    return np.asarray(shares, np.float32)
