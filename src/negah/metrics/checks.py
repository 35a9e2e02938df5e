"""Warnings about references and captions that make scores less meaningful."""

from __future__ import annotations

from collections import Counter

import numpy as np

from negah.metrics.diversity import Diversity
from negah.metrics.references import Matched, TokenisedReferences

#: A caption shared by this fraction of the images gives a warning, if at least three have it.
_TOO_COMMON = 0.1


def warnings_about_references(references: TokenisedReferences) -> list[str]:
    """Warnings about the references."""
    images = len(references)
    found = []
    if images == 1:
        found.append("a single image: confidence intervals are meaningless")
    twins = _twins(references)
    if images > 1 and twins == [images]:
        found.append("all images share the same references")
    elif twins:
        found.append(
            f"{sum(twins)} of {images} images have the same references as another image: are they "
            f"listed twice?"
        )
    single = int(np.sum(references.sizes_N == 1))
    if single:
        found.append(
            f"{single} of {images} images have one reference where five are usual: scores are "
            f"lower than with five and not comparable with published ones"
        )
    copied = _copied(references)
    if copied:
        found.append(
            f"{copied} of {images} images have the same sentence for every reference, which is "
            f"equivalent to one reference"
        )
    empty = int(np.sum(references.captions.lengths_M == 0))
    if empty:
        found.append(f"{empty} of {len(references.captions)} references have no words")
    return found


def warnings_about_captions(matched: Matched, diversity: Diversity) -> list[str]:
    """Warnings about the captions that were scored.

    Args:
        matched: the captions.
        diversity: of the captions.
    """
    images = len(matched.captions)
    found = []
    empty = int(np.sum(matched.captions.lengths_M == 0))
    if empty:
        found.append(f"{empty} of {images} captions have no words and score 0")
    times = round(diversity.identical * images)
    if images > 1 and times == images:
        found.append(f"the same caption for every image: {diversity.most_common!r}")
    elif times > 2 and diversity.identical >= _TOO_COMMON:
        found.append(
            f"the same caption for {diversity.identical:.0%} of the images:"
            f" {diversity.most_common!r}"
        )
    return found


def _twins(references: TokenisedReferences) -> list[int]:
    """The sizes of the groups of images with the same references, in any order."""
    captions = references.captions
    images_T = np.repeat(np.arange(len(references)), references.sizes_N)[captions.owners]
    # compare cheap properties of the references first; only few then need a full comparison
    tokens_N = np.bincount(images_T, minlength=len(references))
    sums_N = np.bincount(images_T, captions.ids_T, minlength=len(references)).astype(np.int64)
    alike = np.stack([references.sizes_N, tokens_N, sums_N], axis=1)
    _, group_N, times = np.unique(alike, axis=0, return_inverse=True, return_counts=True)
    groups = Counter(
        tuple(sorted(_row(references, image)))
        for image in np.flatnonzero(times[group_N] > 1).tolist()
    )
    return [times for times in groups.values() if times > 1]


def _copied(references: TokenisedReferences) -> int:
    """The number of images with two or more references that are all equal."""
    lengths = references.captions.lengths_M
    longest_N = np.maximum.reduceat(lengths, references.firsts_N)
    shortest_N = np.minimum.reduceat(lengths, references.firsts_N)
    possible = np.flatnonzero((references.sizes_N > 1) & (longest_N == shortest_N))
    return sum(len(set(_row(references, image))) == 1 for image in possible.tolist())


def _row(references: TokenisedReferences, image: int) -> list[bytes]:
    """The references of an image, each as bytes."""
    first = int(references.firsts_N[image])
    return [
        references.captions.ids(caption).tobytes()
        for caption in range(first, first + int(references.sizes_N[image]))
    ]
