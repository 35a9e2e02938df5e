"""Lengths of longest common subsequences, of many pairs of captions at once.

H. Hyyrö, "Bit-parallel LCS-length computation revisited", 2004: one row of the dynamic-programming
table is the bits of one integer, updated for each token by one addition. Captions of up to 64
tokens fit a machine word, so NumPy moves thousands of pairs together; longer ones take Python's
integers, of any length.

Axes: D pairs, M captions, J tokens of the second caption.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from negah.arrays import IntArray
from negah.metrics.captions import Captions

_BITS = 64
#: Tokens of second captions in one block: few enough for their arrays to stay in the cache.
_BLOCK = 1 << 15


def common_subsequences(
    first: Captions, firsts_D: IntArray, second: Captions, seconds_D: IntArray
) -> IntArray:
    """The length of the longest common subsequence of each pair, int64 (D,).

    Args:
        first: captions, in the same numbering as those of ``second``.
        firsts_D: the pairs' captions in ``first``.
        second: captions.
        seconds_D: the pairs' captions in ``second``.
    """
    lengths = np.zeros(len(firsts_D), dtype=np.int64)
    fits = first.lengths_M[firsts_D] <= _BITS
    for pair in np.flatnonzero(~fits):
        lengths[pair] = longest_common_subsequence(
            first.ids(firsts_D[pair]).tolist(), second.ids(seconds_D[pair]).tolist()
        )
    pairs = np.flatnonzero(fits)
    # sort captions by length, the longest first, so that blocks have little padding
    order = np.lexsort((-first.lengths_M[firsts_D[pairs]], -second.lengths_M[seconds_D[pairs]]))
    pairs = pairs[order]
    begin = 0
    while begin < len(pairs):
        longest = max(1, int(second.lengths_M[seconds_D[pairs[begin]]]))
        block = pairs[begin : begin + max(1, _BLOCK // longest)]
        lengths[block] = _block(first, firsts_D[block], second, seconds_D[block])
        begin += len(block)
    return lengths


def longest_common_subsequence(first: Sequence[object], second: Sequence[object]) -> int:
    """Its length, for one pair of any length."""
    places: dict[object, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    ones = (1 << len(first)) - 1
    row = ones
    for token in second:
        hits = row & places.get(token, 0)
        row = (row + hits | row - hits) & ones
    return len(first) - row.bit_count()


def _block(first: Captions, firsts_D: IntArray, second: Captions, seconds_D: IntArray) -> IntArray:
    # ids are 0 or more, so the two paddings match nothing, not even each other
    tokens = _padded(first, firsts_D, padding=-1)
    others_JD = _padded(second, seconds_D, padding=-2)
    places_JD = np.zeros(others_JD.shape, dtype=np.uint64)
    for place, token_D in enumerate(tokens):
        places_JD |= (others_JD == token_D).astype(np.uint64) << np.uint64(place)
    row_D = np.full(len(firsts_D), np.iinfo(np.uint64).max)
    for places_D in places_JD:
        hits_D = row_D & places_D
        row_D = (row_D + hits_D) | (row_D - hits_D)
    common_D: IntArray = _BITS - np.bitwise_count(row_D).astype(np.int64)
    return common_D


def _padded(captions: Captions, chosen_D: IntArray, padding: int) -> IntArray:
    """The tokens of the chosen captions, int64 (longest, D)."""
    lengths_D = captions.lengths_M[chosen_D]
    place = np.arange(lengths_D.max(initial=0))[:, None]
    inside = place < lengths_D
    index = np.where(inside, captions.starts[chosen_D] + place, 0)
    return np.where(inside, captions.ids_T[index], padding)
