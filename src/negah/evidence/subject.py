"""A captioned photo or clip as the input of an evidence method.

Axes: X variants of the photo or clip, F frames, R regions, C channels, T words, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.errors import UsageError

#: Numbers of the features of one batch; more is no faster, and takes memory.
_TOGETHER = 2**23

#: Pictures that pass an encoder at once.
_ENCODED_TOGETHER = 4


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The input of evidence methods.

    Attributes:
        backend: the model that captioned.
        images: the F pictures that it saw, RGB, as its ``resize`` makes them.
        features_FRC: what its encoder made of them, float32.
        tokens: the T token ids of the caption.
        weights: evidence of the step by name, float32 (T, ...), see
            :data:`~negah.decoding.protocol.StepWeights`.
        progress: called with the share that is done, 0 to 1; what it raises ends the work.
    """

    backend: Backend
    images: tuple[Image.Image, ...]
    features_FRC: FloatArray
    tokens: tuple[int, ...]
    weights: Mapping[str, FloatArray] = field(default_factory=dict)
    progress: Callable[[float], None] | None = None

    @property
    def frames(self) -> int:
        """F."""
        return len(self.features_FRC)

    def logprobs(self, variants: Iterable[FloatArray], count: int) -> FloatArray:
        """The log-probability of each word for variants of the features: float32 (X, T), in nats.

        Args:
            variants: X features, float32 (F, R, C); made one by one, so that they need not all be
                in memory.
            count: X, for the progress.
        """
        found: list[FloatArray] = []
        done = 0
        for features_XFRC in self._batches(variants):
            found.append(teacher_forced(self.backend, features_XFRC, self.tokens))
            done += len(features_XFRC)
            if self.progress is not None:
                self.progress(min(1.0, done / count))
        return np.concatenate(found)

    def _batches(self, variants: Iterable[FloatArray]) -> Iterator[FloatArray]:
        most = max(1, _TOGETHER // self.features_FRC.size)
        batch: list[FloatArray] = []
        for features_FRC in variants:
            batch.append(features_FRC)
            if len(batch) == most:
                yield np.stack(batch)
                batch = []
        if batch:
            yield np.stack(batch)

    def encode(self, images: Sequence[Image.Image]) -> FloatArray:
        """The features of pictures, float32 (N, R, C), a few at a time."""
        parts = (
            images[first : first + _ENCODED_TOGETHER]
            for first in range(0, len(images), _ENCODED_TOGETHER)
        )
        return np.concatenate(
            [self.backend.encode(self.backend.pixels(part)).features for part in parts]
        )


def teacher_forced(
    backend: Backend, features_XFRC: FloatArray, tokens: Sequence[int]
) -> FloatArray:
    """The log-probability of each token given those before it: float32 (X, T), in nats.

    Args:
        backend: whose step model is walked, once for all X photos.
        features_XFRC: of the photos or clips.
        tokens: of one caption, the same for all of them.

    Raises:
        UsageError: the model returns only its most likely candidates.
    """
    photos = len(features_XFRC)
    logprobs_XT = np.empty((photos, len(tokens)), np.float32)
    state = backend.model.start(features_XFRC)
    last = backend.tokenizer.specials.start
    for t, token in enumerate(tokens):
        step = backend.model.step(state, np.full((photos, 1), last, np.int64))
        if step.candidates is not None:
            raise UsageError(
                f"{backend.identity.name} gives its likeliest words only, and evidence needs the "
                "log-probability of every word: open it on a CPU"
            )
        logprobs_XT[:, t] = step.logprobs[:, 0, token]
        state, last = step.state, token
    return logprobs_XT
