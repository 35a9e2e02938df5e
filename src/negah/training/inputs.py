"""What the encoder's tail reads in a step: stored features of photos or of clips.

Photos come as they are stored, one picture each; clips with a mask that tells their frames from
padding, as long as the longest of the batch.

Axes: B photos or clips, F frames, then the axes of the trunk's output; X = B x F, R regions,
C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from negah.arrays import IntArray
from negah.data import Example, FeatureStore
from negah.errors import DataError
from negah.media.kinds import is_clip
from negah.models import Encoder
from negah.training.batches import Batch
from negah.training.clips import ClipOptions
from negah.training.features import Views, part_of
from negah.training.reports import Reporter


@dataclass(frozen=True, slots=True)
class Frames:
    """Stored output of the encoder's trunk.

    Attributes:
        trunk: float32 (B, ...) of photos, (B, F, ...) of clips.
        real_BF: True where a clip has a frame, bool; None for photos.
    """

    trunk: Tensor
    real_BF: Tensor | None = None

    def to(self, device: torch.device) -> Frames:
        """The same on a device."""
        real_BF = None if self.real_BF is None else self.real_BF.to(device)
        return Frames(self.trunk.to(device), real_BF)


#: Features of some examples, by their positions, int64 (B,).
ReadFrames = Callable[[IntArray], Frames]
#: Features of a training batch; the second argument is the epoch.
ReadBatch = Callable[[Batch, int], Frames]


def padded(clips: Sequence[Tensor]) -> Frames:
    """Clips of different length, float32 (F, ...) each, as one batch, with zeros behind them."""
    lengths_B1 = torch.tensor([[len(clip)] for clip in clips])
    real_BF = torch.arange(int(lengths_B1.max())) < lengths_B1
    return Frames(pad_sequence(list(clips), batch_first=True), real_BF)


def unpadded(frames: Frames) -> list[Tensor]:
    """The clips of a batch, each as long as it is."""
    assert frames.real_BF is not None
    return [clip[real_F] for clip, real_F in zip(frames.trunk, frames.real_BF, strict=True)]


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


class Mirrored:
    """Training batches from two stores: as the photos and clips are, or mirrored.

    Args:
        views: ``plain`` and, if any is to be mirrored, ``flip``.
        examples: of the training part.
    """

    def __init__(self, views: Views, examples: Sequence[Example]) -> None:
        self.plain = Stored(views["plain"], examples)
        self.flip = Stored(views["flip"], examples) if "flip" in views else None

    def __call__(self, batch: Batch, epoch: int) -> Frames:
        """See :data:`ReadBatch`."""
        frames = self.plain(batch.photos)
        if self.flip is not None and batch.flipped.any():
            mirrored = self.flip(batch.photos[batch.flipped]).trunk
            # of the same clips, so never longer
            chosen = torch.from_numpy(batch.flipped)
            if frames.real_BF is None:
                frames.trunk[chosen] = mirrored
            else:
                frames.trunk[chosen, : mirrored.shape[1]] = mirrored
        return frames


def read_ahead(
    reader: ThreadPoolExecutor, read: ReadBatch, batches: Sequence[Batch], index: int, epoch: int
) -> Future[Frames]:
    """Read the features of one batch in the background; past the end, none."""

    def task() -> Frames:
        if index >= len(batches):
            return Frames(torch.empty(0))
        return read(batches[index], epoch)

    return reader.submit(task)


def check_kinds(examples: Sequence[Example], clips: ClipOptions) -> None:
    """Refuse photos where clips are wanted, and clips where photos are made into clips.

    Raises:
        DataError: with what to change.
    """
    if clips.frames == 1:
        return
    for example in examples:
        if clips.montage is None and not is_clip(example.path):
            raise DataError(
                f"{example.path} is a photo, but clips.frames={clips.frames} is for clips. Learn "
                "from photos with clips.frames=1, or make clips of them with clips.montage={}."
            )
        if clips.montage is not None and is_clip(example.path):
            raise DataError(
                f"{example.path} is a clip, but clips.montage makes clips of photos. Learn from "
                "clips with clips.montage=null, in a data set of their own."
            )


def usable(
    examples: Sequence[Example], views: Views, report: Reporter
) -> tuple[list[Example], list[Example]]:
    """Training and dev examples whose photographs or clips could be read.

    Raises:
        DataError: one of the two would be empty.
    """
    # the stores are shared: they remember the failures of other data sets too
    ours = {str(part_of(example)) for example in examples}
    failures = {f.path: f for store in views.values() for f in store.failures if f.path in ours}
    if failures:
        failed = list(failures.values())
        named = ", ".join(f"{failure.path} ({failure.reason})" for failure in failed[:3])
        report.message(
            f"{len(failed)} photographs or clips could not be read and are left out: {named}"
        )
    known = [e for e in examples if views["plain"].row(part_of(e)) is not None]
    training = [e for e in known if e.split == "train" and e.captions]
    held_out = [e for e in known if e.split == "dev" and e.captions]
    if not training:
        raise DataError("no photograph of the part 'train' has a caption; nothing to learn from")
    if not held_out:
        raise DataError(
            "no photograph is in the part 'dev', so the best epoch cannot be chosen. "
            "Hold some out with --dev-fraction 0.1, or add a split column."
        )
    return training, held_out
