"""Photographs that are decoded and augmented anew in every epoch, while the steps run.

Stored features are of unchanged pictures. If many blocks of the encoder are trained, data
augmentation is needed. The trunk, the blocks before the cut, is still frozen, but its output is
computed for each batch and not stored. Held-out photos have stored features. The augmentation
depends only on the seed, the epoch and the photo's index: a resumed run sees the same pictures.

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
from negah.training.padding import TrunkOutput
from negah.training.recipe import TrainingOptions

_log = logging.getLogger(__name__)

#: A random stream, separate from those of the batches and of montages.
_AUGMENT = 5
#: What the progress of :func:`find_unreadable` is called.
DECODED = "decoded"
_WORKERS = 2


class AugmentedSource:
    """Photos augmented anew in every epoch (see :class:`~negah.training.sources.TrainingSource`).

    Args:
        training: photos of the part train that can be read.
        held_out: of the part dev, with stored features.
        encoder: provides the trunk.
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
        """The number of training photos."""
        return {"training_photos": len(self.training)}

    def vocabulary_captions(self) -> list[str]:
        """Those of the part train."""
        return [caption for captions in self.captions for caption in captions]

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        """The trunk's output for a batch, float32 (B, ...); mirroring is sampled here.

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
            # On a CPU the tail's convolutions are nearly twice as fast with this memory layout,
            # which they preserve.
            trunk = trunk.contiguous(memory_format=torch.channels_last)
        return TrunkOutput(trunk)

    def pixels(self, photo: int, epoch: int) -> FloatArray:
        """The pixels of a photo in an epoch, float32 (3, H, W)."""
        path = self.training[photo].path
        size = self.preprocessing.size
        try:
            opened = read_image(
                path, max_pixels=self.max_pixels, target_size=self.options.decoded_size(size)
            )
        except MediaError as error:
            raise DataError(
                f"{path} was readable when this training started, but is not any more: it "
                f"{error.reason}. Restore it, and resume with the command that started the "
                f"training."
            ) from error
        random = np.random.default_rng([self.seed, epoch, photo, _AUGMENT])
        return self.preprocessing.apply(augment(opened.image, self.options, size, random))


def refuse_clips(examples: Sequence[Example]) -> None:
    """Refuse clips, which cannot be augmented.

    Raises:
        DataError: with what to change.
    """
    for example in examples:
        if is_clip(example.path):
            raise DataError(
                f"{example.path} is a clip, but training.augment is for photos. Train on stored "
                f"features with training.augment=null, or leave the clips out."
            )


def find_unreadable(
    examples: Sequence[Example],
    size: tuple[int, int],
    environment: Environment,
) -> list[Failure]:
    """Decode every photo once, to find unreadable ones before the first step.

    Several processes share the work, and each gets the complete result.

    Args:
        examples: photos.
        size: sufficient (height, width): much larger JPEGs are decoded at a reduced size.
        environment: with the pixel limit and the reporter.
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
