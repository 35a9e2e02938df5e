"""What the encoder's tail reads in a step: stored features of photos or of clips.

Photos come as they are stored, one picture each; clips with a mask that tells their frames from
padding, as long as the longest of the batch.

Axes: B photos or clips, F frames, then the axes of the trunk's output; X = B x F, R regions,
C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from negah.arrays import IntArray
from negah.data import Example, FeatureStore
from negah.models import Encoder
from negah.training.features import part_of
from negah.training.padding import Frames

#: Features of some examples, by their positions, int64 (B,).
ReadFrames = Callable[[IntArray], Frames]


def regions_of(encoder: Encoder, trunk: Tensor, real_BF: Tensor | None) -> Tensor:
    """The encoder's tail over all frames at once.

    Args:
        encoder: whose tail.
        trunk: float32 (B, ...) without a mask, (B, F, ...) with one.
        real_BF: the mask.

    Returns:
        features_BFRC, float32.
    """
    if real_BF is None:
        return encoder.tail(trunk)[:, None]
    regions_XRC = encoder.tail(trunk.flatten(0, 1))
    return regions_XRC.reshape(*trunk.shape[:2], *regions_XRC.shape[1:])


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What a training is validated on.

    Attributes:
        examples: with their references.
        read: features of some of them, by position: the same at every call.
    """

    examples: Sequence[Example]
    read: ReadFrames


class Stored:
    """Features as one store holds them.

    Args:
        store: of single pictures or of clips.
        examples: those that are asked for, by position.
    """

    def __init__(self, store: FeatureStore, examples: Sequence[Example]) -> None:
        self.store = store
        self.rows = store.rows([part_of(example) for example in examples])

    def __call__(self, positions: IntArray) -> Frames:
        """See :data:`ReadFrames`."""
        rows = self.rows[positions]
        trunk = self.store.read(rows)
        if self.store.key.frames is None:
            return Frames(torch.from_numpy(trunk.astype(np.float32)))
        real_BF = ~np.isnan(self.store.times(rows))
        longest = int(real_BF.sum(1).max(initial=1))
        return Frames(
            torch.from_numpy(trunk[:, :longest].astype(np.float32)),
            torch.from_numpy(np.ascontiguousarray(real_BF[:, :longest])),
        )
