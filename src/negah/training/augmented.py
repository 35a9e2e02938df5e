"""Photographs that are decoded and changed anew in every epoch, while the steps run.

A stored feature is of one picture as it is. Where many blocks of the encoder learn, they need
more pictures than there are: random crops, mirrored, in other light and colour. The trunk, the
blocks before the cut, is frozen as ever, but its output is computed for each batch and kept
nowhere. Held-out photos have stored features.

What is drawn depends on the seed, the epoch and the photo's place alone: a resumed run sees the
same pictures.

Axes: B photos, 3 colours, H rows, W columns of pixels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import torch

from negah.arrays import FloatArray
from negah.data import Example
from negah.data.feature_files import Failure
from negah.errors import DataError, MediaError
from negah.media.images import read_image
from negah.media.kinds import is_clip
from negah.models import Encoder
from negah.pipeline import map_ahead
from negah.training.augment import augment
from negah.training.batches import Batch
from negah.training.environment import Environment
from negah.training.features import trunk_function
from negah.training.inputs import HeldOut
from negah.training.padding import Frames
from negah.training.recipe import TrainingOptions

_log = logging.getLogger(__name__)

#: A stream of random numbers, apart from those of the batches and of montages.
_AUGMENT = 5
#: What the progress of :func:`find_unreadable` is called.
DECODED = "decoded"
_WORKERS = 2


class AugmentedSource:
    """Photos changed anew in every epoch (see :class:`~negah.training.sources.Source`).

    Args:
        training: photos of the part train that can be read.
        held_out: of the part dev, with stored features.
        encoder: whose trunk is computed.
        options: with ``augment``.
        environment: on whose device.
    """

    def __init__(
        self,
        training: Sequence[Example],
        held_out: HeldOut,
        encoder: Encoder,
        options: TrainingOptions,
        environment: Environment,
    ) -> None:
        assert options.augment is not None
        self.training = training
        self.captions: Sequence[Sequence[str]] = [example.captions for example in training]
        self.held_out = {"": held_out}
        self.options = options.augment
        self.preprocessing = encoder.preprocessing
        self.seed = options.seed
        self.max_pixels = environment.max_pixels
        self._encode = trunk_function(encoder, environment.fabric.device)

    def facts(self) -> dict[str, int]:
        """How many photos are learned from."""
        return {"training_photos": len(self.training)}

    def vocabulary_captions(self) -> list[str]:
        """Those of the part train."""
        return [caption for captions in self.captions for caption in captions]

    def read(self, batch: Batch, epoch: int) -> Frames:
        """The trunk's output of a batch, float32 (B, ...); what is mirrored is drawn here.

        Raises:
            DataError: a photo cannot be read any more.
        """
        photos = batch.photos.tolist()
        views = map_ahead(
            lambda photo: self.pixels(photo, epoch), photos, threads=_WORKERS, ahead=2 * _WORKERS
        )
        with closing(views):
            trunk = torch.from_numpy(self._encode(np.stack(list(views))))
        if trunk.ndim == 4:
            # On a CPU the tail's convolutions are nearly twice as fast in this order of numbers,
            # which they keep from one to the next.
            trunk = trunk.contiguous(memory_format=torch.channels_last)
        return Frames(trunk)

    def pixels(self, photo: int, epoch: int) -> FloatArray:
        """What the encoder sees of a photo in an epoch, float32 (3, H, W)."""
        path = self.training[photo].path
        size = self.preprocessing.size
        try:
            opened = read_image(
                path, max_pixels=self.max_pixels, target_size=self.options.decoded_size(size)
            )
        except MediaError as error:
            raise DataError(
                f"{path} could be read when this training started, and cannot be any more: it "
                f"{error.reason}. Put it back, and go on with the command that started the "
                "training."
            ) from error
        random = np.random.default_rng([self.seed, epoch, photo, _AUGMENT])
        return self.preprocessing.apply(augment(opened.image, self.options, size, random))


def refuse_clips(examples: Sequence[Example]) -> None:
    """Refuse clips, whose frames are not changed.

    Raises:
        DataError: with what to change.
    """
    for example in examples:
        if is_clip(example.path):
            raise DataError(
                f"{example.path} is a clip, but training.augment changes photos. Learn from stored "
                "features with training.augment=null, or leave the clips out."
            )


def find_unreadable(
    examples: Sequence[Example],
    size: tuple[int, int],
    environment: Environment,
) -> list[Failure]:
    """Decode every photo once: those that cannot be read have to be known before the first step.

    Several processes share them, and each knows what all have found.

    Args:
        examples: photos.
        size: (height, width) that is enough: a much larger JPEG is decoded in part.
        environment: which pictures are too large, and who hears of it.
    """

    def decode(example: Example) -> Failure | None:
        try:
            opened = read_image(example.path, max_pixels=environment.max_pixels, target_size=size)
        except MediaError as error:
            _log.warning("left out: %s", error)
            return Failure(str(example.path), None, error.reason)
        for warning in opened.warnings:
            _log.warning("%s: %s", example.path, warning)
        return None

    failures: list[Failure] = []
    own = environment.processes.share(examples)
    with closing(map_ahead(decode, own, threads=_WORKERS, ahead=8 * _WORKERS)) as decoded:
        for done, failure in enumerate(decoded, start=1):
            if failure is not None:
                failures.append(failure)
            environment.reporter.features(DECODED, done, len(own))
    found = {f.path: f for part in environment.processes.gather(failures) for f in part}
    return [found[str(e.path)] for e in examples if str(e.path) in found]
