"""Batches of captioned photos, in an order that depends only on the seed and the epoch.

A batch has several photos with all captions of each, sorted from long to short, so that the
features of a photo are computed once for its captions and short captions end early. Photos with
longest captions of similar length are batched together, to reduce padding. Because the order is a
function of (seed, epoch), a resumed run finds its place without replaying.

Axes: B photos, K captions of each, T words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from negah.arrays import BoolArray, IntArray
from negah.training.padding import pad_captions

#: Standard deviation, in words, of the noise on the lengths by which photos are grouped.
_LENGTH_NOISE = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """The training batch of one step.

    Attributes:
        photos: positions in the list of examples, int64 (B,).
        flipped: whether each photo is mirrored, bool (B,).
        inputs_BKT: ``<SOS> w1 w2 ...``, padded at the right, int64.
        targets_BKT: ``w1 w2 ... <EOS>``, padded at the right, int64.
    """

    photos: IntArray
    flipped: BoolArray
    inputs_BKT: IntArray
    targets_BKT: IntArray

    def share(self, rank: int, processes: int) -> Batch:
        """A strided share of the photos of the batch; the token length stays that of the whole
        batch."""
        if processes == 1:
            return self
        own = slice(rank, None, processes)
        return Batch(
            self.photos[own], self.flipped[own], self.inputs_BKT[own], self.targets_BKT[own]
        )


class Batches:
    """The batches of every epoch.

    Args:
        captions: token ids of the captions of each photo, specials not included.
        photos: B; the last, incomplete batch of an epoch is left out (its photos differ
            from epoch to epoch), unless there are fewer photos than that in all.
        per_photo: K; photos with more captions use a different choice in each epoch.
        flips: mirror half of the photos.
        seed: of order, flips and choice.
        lengths: captions of a batch are padded to a multiple of this number of words.
    """

    def __init__(
        self,
        captions: Sequence[Sequence[Sequence[int]]],
        *,
        photos: int,
        per_photo: int,
        flips: bool,
        seed: int,
        lengths: int = 1,
    ) -> None:
        self.captions = captions
        self.photos = min(photos, len(captions))
        self.per_photo = per_photo
        self.flips = flips
        self.seed = seed
        self.lengths = lengths

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.captions) // self.photos

    def epoch(self, epoch: int) -> list[Batch]:
        """The batches of one epoch, in order. Token arrays are small; features come later."""
        random = np.random.default_rng([self.seed, epoch])
        chosen = [self._choose(captions, random) for captions in self.captions]
        used = random.permutation(len(chosen))[: len(self) * self.photos]
        longest = np.array([len(chosen[photo][0]) for photo in used], dtype=np.float64)
        used = used[np.argsort(longest + random.normal(0, _LENGTH_NOISE, len(used)), kind="stable")]
        groups = used.reshape(len(self), self.photos)[random.permutation(len(self))]
        flipped = random.random(groups.shape) < (0.5 if self.flips else 0.0)
        return [
            Batch(photos, flips, *pad_captions([chosen[photo] for photo in photos], self.lengths))
            for photos, flips in zip(groups, flipped, strict=True)
        ]

    def _choose(
        self, captions: Sequence[Sequence[int]], random: np.random.Generator
    ) -> list[Sequence[int]]:
        if len(captions) > self.per_photo:
            picked = random.choice(len(captions), self.per_photo, replace=False)
            captions = [captions[index] for index in sorted(picked)]
        return sorted(captions, key=len, reverse=True)
