"""Cross-entropy of the true words, with label smoothing and scheduled sampling.

Axes: B photos or clips, F frames, R regions, C channels, K captions of each, T words, N words
that count, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from negah.models import CaptionModel, flatten_words
from negah.text import PAD, SOS
from negah.training.objectives.base import (
    OBJECTIVES,
    Lesson,
    Loss,
    ObjectiveOptions,
    Setting,
)


class CrossEntropyOptions(ObjectiveOptions):
    """No options of its own: ``training.label_smoothing`` and ``training.scheduled_sampling``
    apply."""

    kind: Literal["cross-entropy"] = "cross-entropy"


@OBJECTIVES.register("cross-entropy", CrossEntropyOptions)
class CrossEntropy:
    """The mean smoothed cross-entropy of a word, given the true words before it.

    Args:
        options: none.
        setting: label smoothing (Szegedy et al. 2016), scheduled sampling.
    """

    def __init__(self, options: CrossEntropyOptions, setting: Setting) -> None:
        self.label_smoothing = setting.label_smoothing
        self.scheduled_sampling = setting.scheduled_sampling

    def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
        """See :class:`~negah.training.objectives.Objective`."""
        logprobs_NV, targets_N = forced_logprobs(captioner, lesson, self.scheduled_sampling)
        return smoothed(logprobs_NV, targets_N, self.label_smoothing)


def forced_logprobs(
    captioner: CaptionModel, lesson: Lesson, scheduled_sampling: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (N, V) of the words that count, and the true words (N,).

    Args:
        captioner: predicts the words.
        lesson: the batch.
        scheduled_sampling: the share of input words that are the model's own at the end of the
            training; it grows linearly from 0.
    """
    counts_BKT = lesson.targets_BKT != PAD
    inputs_BKT = forced_inputs(captioner, lesson, scheduled_sampling)
    logits_NV = captioner(lesson.features_BFRC, inputs_BKT, counts_BKT, lesson.real_BF)
    if logits_NV.dtype in (torch.bfloat16, torch.float16):  # products are rounded, losses are not
        logits_NV = logits_NV.float()
    return logits_NV.log_softmax(-1), flatten_words(lesson.targets_BKT, counts_BKT)


def forced_inputs(captioner: CaptionModel, lesson: Lesson, scheduled_sampling: float) -> Tensor:
    """The input words (B, K, T): the true ones, some replaced by scheduled sampling.

    Args:
        captioner: predicts the words that replace true ones.
        lesson: the batch.
        scheduled_sampling: as for :func:`forced_logprobs`.
    """
    share = scheduled_sampling * lesson.step / lesson.steps
    return mix_in_guesses(captioner, lesson, share) if share > 0 else lesson.inputs_BKT


def smoothed(logprobs_NV: Tensor, targets_N: Tensor, label_smoothing: float) -> Loss:
    """Cross-entropy against (1 - s) one-hot + s uniform, and the plain nats of the words."""
    nll = -logprobs_NV.gather(1, targets_N[:, None]).mean()
    value = (1 - label_smoothing) * nll - label_smoothing * logprobs_NV.mean()
    return Loss(value, nll.detach() * len(targets_N), len(targets_N))


@torch.no_grad()
def mix_in_guesses(captioner: CaptionModel, lesson: Lesson, share: float) -> Tensor:
    """Parallel scheduled sampling (Duckworth et al. 2019): predictions of a first pass as input.

    Returns:
        inputs (B, K, T), with the share ``share`` of words replaced.
    """
    inputs_BKT, counts_BKT = lesson.inputs_BKT, lesson.targets_BKT != PAD
    logits_NV = captioner(lesson.features_BFRC, inputs_BKT, counts_BKT, lesson.real_BF)
    # never produced in decoding; <PAD> is not a word to attend to
    logits_NV[:, [PAD, SOS]] = -torch.inf
    order = counts_BKT.permute(2, 0, 1)
    guesses_TBK = torch.zeros_like(inputs_BKT.permute(2, 0, 1))
    guesses_TBK[order] = torch.multinomial(logits_NV.softmax(-1), 1)[:, 0]
    guesses_BKT = guesses_TBK.permute(1, 2, 0)
    mixed_BKT = inputs_BKT.clone()
    replace = (torch.rand(inputs_BKT.shape, device=inputs_BKT.device) < share) & counts_BKT
    # the prediction of word t is the input of step t + 1
    shifted = replace[..., :-1] & counts_BKT[..., 1:]
    mixed_BKT[..., 1:][shifted] = guesses_BKT[..., :-1][shifted]
    return mixed_BKT
