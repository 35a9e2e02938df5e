"""Inputs of the encoder's tail: stored features of photos or clips.

Photos have one picture each; clips are padded to the longest of the batch, with a mask of their
real frames.

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
from negah.training.features import item_of
from negah.training.padding import TrunkOutput

#: Features of some examples, by their positions, int64 (B,).
ReadStored = Callable[[IntArray], TrunkOutput]


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
    """Held-out data for validation.

    Attributes:
        examples: with their references.
        read: returns features of some of them, by index: the same at every call.
    """

    examples: Sequence[Example]
    read: ReadStored


class Stored:
    """Features of a single store.

    Args:
        store: of single pictures or of clips.
        examples: by index.
    """

    def __init__(self, store: FeatureStore, examples: Sequence[Example]) -> None:
        self.store = store
        self.rows = store.rows([item_of(example) for example in examples])

    def __call__(self, positions: IntArray) -> TrunkOutput:
        """See :data:`ReadStored`."""
        rows = self.rows[positions]
        trunk = self.store.read(rows)
        if self.store.key.frames is None:
            return TrunkOutput(torch.from_numpy(trunk.astype(np.float32)))
        real_BF = ~np.isnan(self.store.times(rows))
        longest = int(real_BF.sum(1).max(initial=1))
        return TrunkOutput(
            torch.from_numpy(trunk[:, :longest].astype(np.float32)),
            torch.from_numpy(np.ascontiguousarray(real_BF[:, :longest])),
        )
