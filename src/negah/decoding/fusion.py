"""Late fusion: several models encode the same clip and choose every word together.

The probability of a word is the mean of the models' probabilities, as CAM-RNN fuses appearance and
motion (B. Zhao, X. Li, X. Lu, IEEE Transactions on Image Processing 28(11), 2019). A search treats
the fused models as one model.

Axes: B photos or clips, K hypotheses of each, F frames, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from negah.arrays import BoolArray, IntArray
from negah.decoding.protocol import State, Step, StepModel
from negah.errors import UsageError


@dataclass(frozen=True, slots=True)
class Streams:
    """The features of the same photos or clips for each of the fused models.

    Attributes:
        features: what each model is started with; the length of each is B.
        real_frames: for each model which frames are real, bool (B, F), or None for all; F may
            differ.
    """

    features: tuple[Any, ...]
    real_frames: tuple[BoolArray | None, ...]

    def __post_init__(self) -> None:
        sizes = {len(features) for features in self.features}
        if len(sizes) != 1 or len(self.real_frames) != len(self.features):
            raise UsageError(
                f"fused streams must be of the same clips: given {len(self.features)} features of "
                f"{sorted(sizes)} clips and {len(self.real_frames)} masks"
            )

    def __len__(self) -> int:
        """B."""
        return len(self.features[0])


class FusedStepModel:
    """A :class:`~negah.decoding.StepModel` that averages the probabilities of several models.

    It is started with :class:`Streams`, one for each model in order. The evidence is that of the
    first model.

    Args:
        models: two or more, with the same vocabulary in the same order. They must return the
            log-probabilities of all words, not of candidates only.

    Raises:
        UsageError: fewer than two models.
    """

    def __init__(self, models: Sequence[StepModel]) -> None:
        if len(models) < 2:
            raise UsageError(f"fusion takes two models or more, not {len(models)}")
        self.models = tuple(models)

    def start(self, features: Streams, real_frames: BoolArray | None = None) -> State:
        """Start every model on its own stream; ``real_frames`` is None, the streams have their own.

        Raises:
            UsageError: there is not one stream for each model, or ``real_frames`` is given.
        """
        if not isinstance(features, Streams) or len(features.features) != len(self.models):
            raise UsageError(
                f"{len(self.models)} fused models must be started with Streams of "
                f"the same number of features"
            )
        if real_frames is not None:
            raise UsageError(
                "fused models need a mask for each stream: pass the masks in Streams, "
                "not as real_frames"
            )
        streams = zip(self.models, features.features, features.real_frames, strict=True)
        return tuple(model.start(own, real_BF) for model, own, real_BF in streams)

    def step(self, state: State, tokens: IntArray) -> Step:
        """Read one token per hypothesis and predict the next, by the mean of all models.

        Raises:
            UsageError: a model gives candidates only, or the vocabularies differ in size.
        """
        steps = [model.step(own, tokens) for model, own in zip(self.models, state, strict=True)]
        if any(step.candidates is not None for step in steps):
            raise UsageError("fused models must score all words; set candidates to None")
        sizes = {step.logprobs.shape[2] for step in steps}
        if len(sizes) != 1:
            raise UsageError(
                f"fused models need the same vocabulary, not vocabularies of {sorted(sizes)} words"
            )
        fused_BKV = np.logaddexp.reduce([step.logprobs for step in steps], axis=0)
        fused_BKV -= np.float32(np.log(len(steps)))
        return Step(fused_BKV, tuple(step.state for step in steps), steps[0].evidence)

    def reorder(self, state: State, parents: IntArray) -> State:
        """Hypothesis k of photo b continues ``parents[b, k]``, in every model."""
        return tuple(
            model.reorder(own, parents) for model, own in zip(self.models, state, strict=True)
        )
