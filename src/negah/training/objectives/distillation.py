"""Word-level knowledge distillation: cross-entropy against the probabilities of teachers.

Y. Kim and A. Rush, "Sequence-Level Knowledge Distillation", EMNLP 2016, section 3.1: at every
position of a reference, the second target beside the true word is the distribution of the teacher
given the same previous words; with several teachers, the mean of their distributions. Temperature:
G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", 2015.

Axes: N words that count, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator
from torch import Tensor

from negah.models import CaptionModel, flatten_words
from negah.text import PAD
from negah.training.objectives.base import (
    OBJECTIVES,
    Lesson,
    Loss,
    ObjectiveOptions,
    Setting,
)
from negah.training.objectives.cross_entropy import forced_inputs, smoothed


class DistillationOptions(ObjectiveOptions):
    """The teachers, their weight in the loss, and the temperature."""

    kind: Literal["distillation"] = "distillation"
    teachers: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1,
        max_length=32,
        description="folders of training runs or bundles, or names of bundled models; their "
        "probabilities are averaged",
    )
    weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="weight of the teachers in the loss; 0: cross-entropy only, 1: no true words",
    )
    temperature: float = Field(
        1.0,
        ge=0.1,
        le=100,
        description="divides the logits of teachers and student; above 1, improbable words have "
        "more influence (Hinton et al. 2015)",
    )

    @field_validator("teachers")
    @classmethod
    def _differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{repeated[0]} is named more than once: name each teacher once")
        return names

    @property
    def signature(self) -> str:
        """See :attr:`ObjectiveOptions.signature`."""
        return f"distillation|words|weight:{self.weight:g}|temperature:{self.temperature:g}"

    @property
    def teacher_models(self) -> Sequence[str]:
        """See :attr:`ObjectiveOptions.teacher_models`."""
        return self.teachers


@OBJECTIVES.register("distillation", DistillationOptions)
class Distillation:
    """``(1 - w) cross-entropy of the true words  +  w T^2 cross-entropy against the teachers``.

    The second term uses the softmax of both at temperature T; the factor T^2 keeps the scale of its
    gradient (Hinton et al., section 2). With scheduled sampling, teachers get the same input words
    as the student.

    Args:
        options: w, T.
        setting: the teachers; label smoothing of the true words, scheduled sampling.
    """

    def __init__(self, options: DistillationOptions, setting: Setting) -> None:
        self.weight = options.weight
        self.temperature = options.temperature
        self.label_smoothing = setting.label_smoothing
        self.scheduled_sampling = setting.scheduled_sampling
        self.teachers = tuple(setting.teachers)

    def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
        """See :class:`~negah.training.objectives.Objective`."""
        counts_BKT = lesson.targets_BKT != PAD
        inputs_BKT = forced_inputs(captioner, lesson, self.scheduled_sampling)
        asked = (lesson.features_BFRC, inputs_BKT, counts_BKT, lesson.real_BF)
        logits_NV = captioner(*asked)
        targets_N = flatten_words(lesson.targets_BKT, counts_BKT)
        loss = smoothed(logits_NV.log_softmax(-1), targets_N, self.label_smoothing)
        with torch.no_grad():
            told = [teacher(*asked) for teacher in self.teachers]
            taught_NV = mean_probabilities(told, self.temperature)
        soft = soft_cross_entropy(logits_NV, taught_NV, self.temperature)
        loss.value = (1 - self.weight) * loss.value + self.weight * self.temperature**2 * soft
        taught_N = taught_NV.gather(1, targets_N[:, None])
        loss.log = {
            "distillation": soft.detach(),
            # at temperature 1: nats a word of the ensemble of the teachers
            "teachers_nll": -taught_N.clamp(min=torch.finfo(taught_N.dtype).tiny).log().mean(),
        }
        return loss


def mean_probabilities(logits: Sequence[Tensor], temperature: float) -> Tensor:
    """The mean of the probabilities softmax(logits / T) of one model or more, (N, V).

    Args:
        logits: (N, V) of each model.
        temperature: T.
    """
    total_NV = torch.zeros_like(logits[0])
    for logits_NV in logits:
        total_NV += (logits_NV / temperature).softmax(-1)
    return total_NV / len(logits)


def soft_cross_entropy(logits_NV: Tensor, taught_NV: Tensor, temperature: float) -> Tensor:
    """The mean over N of - sum over v of q(v) log p(v), p = softmax(logits / T), in nats.

    Args:
        logits_NV: of the student.
        taught_NV: q, of the teachers.
        temperature: T.
    """
    logprobs_NV = (logits_NV / temperature).log_softmax(-1)
    return -(taught_NV * logprobs_NV).sum(-1).mean()
