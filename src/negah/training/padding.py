"""Padding of captions and clips of different lengths to batches.

Axes: B photos or clips, K captions of each, T words, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from negah.arrays import IntArray
from negah.text import EOS, PAD, SOS


@dataclass(frozen=True, slots=True)
class TrunkOutput:
    """Stored output of the encoder's trunk.

    Attributes:
        trunk: float32 (B, ...) of photos, (B, F, ...) of clips.
        real_BF: True where a clip has a frame, bool; None for photos.
    """

    trunk: Tensor
    real_BF: Tensor | None = None

    def to(self, device: torch.device) -> TrunkOutput:
        """The same on a device."""
        real_BF = None if self.real_BF is None else self.real_BF.to(device)
        return TrunkOutput(self.trunk.to(device), real_BF)


def pad_captions(
    captions: Sequence[Sequence[Sequence[int]]], lengths: int = 1
) -> tuple[IntArray, IntArray]:
    """Inputs and targets (B, K, T), padded to the longest caption and the most captions.

    T is a multiple of ``lengths``.
    """
    most = max(len(photo) for photo in captions)
    steps = max(len(caption) for photo in captions for caption in photo) + 1
    steps = -(-steps // lengths) * lengths
    inputs = np.full((len(captions), most, steps), PAD, dtype=np.int64)
    targets = inputs.copy()
    for b, photo in enumerate(captions):
        for k, caption in enumerate(photo):
            inputs[b, k, : len(caption) + 1] = [SOS, *caption]
            targets[b, k, : len(caption) + 1] = [*caption, EOS]
    return inputs, targets


def pad_clips(clips: Sequence[Tensor]) -> TrunkOutput:
    """Pad clips of different lengths, float32 (F, ...) each, with zeros to one batch."""
    lengths_B1 = torch.tensor([[len(clip)] for clip in clips])
    real_BF = torch.arange(int(lengths_B1.max())) < lengths_B1
    return TrunkOutput(pad_sequence(list(clips), batch_first=True), real_BF)


def unpad_clips(stored: TrunkOutput) -> list[Tensor]:
    """The clips of a batch without padding; photos as clips of one frame."""
    if stored.real_BF is None:
        return list(stored.trunk.unsqueeze(1))
    return [clip[real_F] for clip, real_F in zip(stored.trunk, stored.real_BF, strict=True)]
