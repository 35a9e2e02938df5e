"""Fingerprints of each image's references, to check that two scores used the same ones.

The result depends neither on the order of an image's references nor on the word ids. Each word is
hashed once; the rest is arithmetic modulo 2^64 on whole arrays. The fingerprints detect accidental
differences; they are not secure against forgery.

Axes: T tokens, R references of all images, N images, V words of the vocabulary.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from negah.arrays import IntArray
from negah.metrics.references import TokenisedReferences

Digests = npt.NDArray[np.uint64]


def digests_of(references: TokenisedReferences) -> Digests:
    """A fingerprint of the references of each image, uint64 (N,)."""
    captions = references.captions
    hashes_V = np.array([_hash(word) for word in references.vocabulary], dtype=np.uint64)
    places_T = np.arange(len(captions.ids_T)) - np.repeat(captions.starts, captions.lengths_M)
    # the hash of a word depends on its position in the caption
    tokens_T = _mixed(hashes_V[captions.ids_T] + _mixed(places_T.astype(np.uint64)))
    captions_R = _sums(tokens_T, captions.lengths_M) + captions.lengths_M.astype(np.uint64)
    return _sums(_mixed(captions_R), references.sizes_N)


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest())


def _sums(values: Digests, lengths: IntArray) -> Digests:
    """The sum of each of several runs that lie one after the other; a run may be empty."""
    before = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(values, dtype=np.uint64)])
    ends = np.cumsum(lengths)
    sums: Digests = before[ends] - before[ends - lengths]
    return sums


def _mixed(values: Digests) -> Digests:
    """Each number mixed over all 64 bits: the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    scattered: Digests = mixed ^ mixed >> np.uint64(31)
    return scattered
