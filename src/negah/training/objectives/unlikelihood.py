"""Unlikelihood of words that are already in the caption, added to cross-entropy.

S. Welleck, I. Kulikov, S. Roller, E. Dinan, K. Cho, J. Weston, "Neural Text Generation with
Unlikelihood Training", ICLR 2020, the objective at the level of tokens (equations 3 to 5): the loss
of the word x_t is -log p(x_t) - alpha sum over c in C_t of log(1 - p(c)), where C_t are the words
before it without itself. It reduces repeated words in captions.

Axes: B photos or clips, K captions of each, T words, J words before one, N words that count,
V vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
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
from negah.training.objectives.cross_entropy import forced_logprobs, smoothed

#: Minimum of 1 - p, as in the authors' code.
_LEAST = 1e-5


class UnlikelihoodOptions(ObjectiveOptions):
    """The weight of repeated words."""

    kind: Literal["unlikelihood"] = "unlikelihood"
    weight: float = Field(
        1.0, ge=0, le=100, description="alpha, the weight of repeated words; 0 is cross-entropy"
    )


@OBJECTIVES.register("unlikelihood", UnlikelihoodOptions)
class Unlikelihood:
    """Cross-entropy, and the unlikelihood of the words of the caption so far.

    Args:
        options: the weight.
        setting: label smoothing, scheduled sampling, both as in cross-entropy.
    """

    def __init__(self, options: UnlikelihoodOptions, setting: Setting) -> None:
        self.weight = options.weight
        self.label_smoothing = setting.label_smoothing
        self.scheduled_sampling = setting.scheduled_sampling

    def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
        """See :class:`~negah.training.objectives.Objective`."""
        logprobs_NV, targets_N = forced_logprobs(captioner, lesson, self.scheduled_sampling)
        loss = smoothed(logprobs_NV, targets_N, self.label_smoothing)
        repeated = repetition(logprobs_NV, lesson.targets_BKT)
        loss.value = loss.value + self.weight * repeated
        loss.log = {"unlikelihood": repeated.detach()}
        return loss


def repetition(logprobs_NV: Tensor, targets_BKT: Tensor) -> Tensor:
    """The mean over the words that count of - sum over c in C_t of log(1 - p(c)), in nats.

    Args:
        logprobs_NV: of the words that count, in the order of
            :func:`~negah.models.caption_model.flatten_words`.
        targets_BKT: the true words, int64.
    """
    words = targets_BKT.shape[2]
    before_TJ = torch.ones(words, words, dtype=torch.bool, device=targets_BKT.device).tril(-1)
    same_BKTJ = targets_BKT.unsqueeze(-1) == targets_BKT.unsqueeze(-2)
    # C_t is a set: of several earlier occurrences of a word only the first counts
    first_BKJ = ~(same_BKTJ & before_TJ).any(-1)
    candidates_BKTJ = before_TJ & first_BKJ.unsqueeze(-2) & ~same_BKTJ
    counts_BKT = targets_BKT != PAD
    candidates_NJ = flatten_words(candidates_BKTJ, counts_BKT)
    words_NJ = flatten_words(targets_BKT.unsqueeze(-2).expand_as(candidates_BKTJ), counts_BKT)
    others_NJ = (1 - logprobs_NV.gather(1, words_NJ).exp()).clamp(min=_LEAST).log()
    return -(others_NJ * candidates_NJ).sum() / len(logprobs_NV)
