"""The maps of a caption's words as light on its pictures, from 0, dark, to 1.

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

    Only what speaks for a word counts. A word is lit against its own strongest place, and one
    that no place supports much is dim everywhere, so that light is not made of nothing.
    """
    support = np.maximum(maps_TFHW, 0)
    strongest_T = support.max((1, 2, 3))
    reference_T = np.maximum(strongest_T, _FAINT * strongest_T.max(initial=0.0))
    shares = support / np.maximum(reference_T, 1e-12)[:, None, None, None]
    return np.asarray(np.clip((shares - _FIRST) / (_FULL - _FIRST), 0, 1), np.float32)


def frame_shares(maps_TFHW: FloatArray) -> FloatArray:
    """How much of a word's support each frame has, float32 (T, F); each word's sum to 1."""
    support_TF = np.maximum(maps_TFHW, 0).sum((2, 3))
    total_T1 = support_TF.sum(1, keepdims=True)
    even = 1 / max(1, support_TF.shape[1])
    shares = np.where(total_T1 > 0, support_TF / np.maximum(total_T1, 1e-12), even)
    return np.asarray(shares, np.float32)
