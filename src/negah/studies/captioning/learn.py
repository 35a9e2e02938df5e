"""A short training: Adam, warm-up and a cosine, and the dev part after each epoch.

Axes: B photos of a step, K captions of each, T words, R regions, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from negah.models import CaptionModel, flatten_words
from negah.models.seeding import seeded
from negah.studies.captioning.data import CaptionData
from negah.studies.captioning.options import CaptionOptions
from negah.studies.captioning.scores import teacher_forced
from negah.studies.study import Progress
from negah.text import PAD
from negah.training.batches import Batches
from negah.training.schedule import Schedule

#: Points [epoch, value] by name.
LearningCurves = dict[str, list[list[float]]]
#: (model, features_BFRC, inputs_BKT, counts_BKT, targets_N) to the mean loss of a word.
LossFunction = Callable[[Any, Tensor, Tensor, Tensor, Tensor], Tensor]
#: Called after backward and before the optimizer's step: (step, steps, model).
Hook = Callable[[int, int, CaptionModel], None]


def cross_entropy(
    model: Any, features_BFRC: Tensor, inputs_BKT: Tensor, counts_BKT: Tensor, targets_N: Tensor
) -> Tensor:
    """The mean negative log-likelihood of a word, in nats."""
    return F.cross_entropy(model(features_BFRC, inputs_BKT, counts_BKT), targets_N)


@dataclass(frozen=True, slots=True)
class Variation:
    """What one training does otherwise than others.

    Attributes:
        loss: by default the cross-entropy of the words that count, in nats.
        parameters: groups for Adam, whose ``lr`` is scaled by the schedule and 0 before the
            epoch ``first_epoch`` (from 0), where a group has one (its gradients count in the
            norm that is clipped all the same); by default all that require a gradient at the
            options' rate.
        features: of training photos, float32 (B, F, R, C); by default the stored ones.
        hook: see :data:`Hook`.
        validate: measure the dev part after each epoch.
    """

    loss: LossFunction = cross_entropy
    parameters: Iterable[Any] | None = None
    features: Callable[[npt.NDArray[np.int64]], Tensor] | None = None
    hook: Hook | None = None
    validate: bool = True


def train_captioner(
    model: CaptionModel,
    data: CaptionData,
    o: CaptionOptions,
    seed: int,
    *,
    progress: Progress,
    label: str,
    variation: Variation | None = None,
) -> LearningCurves:
    """Train a captioner in place and leave it in evaluation mode.

    Args:
        model: with fresh weights.
        data: of :func:`open_captions`.
        o: the budget.
        seed: of the order of photos and of dropout.
        progress: told of steps.
        label: what the work is called there.
        variation: what this training does otherwise than others.

    Returns:
        "training loss" and, if validated, "dev nats per token", by epoch.
    """
    with seeded(seed):
        return _train(model, data, o, seed, partial(progress, label), variation or Variation())


def _train(
    model: CaptionModel,
    data: CaptionData,
    o: CaptionOptions,
    seed: int,
    told: Callable[[int, int], None],
    variation: Variation,
) -> LearningCurves:
    read = variation.features or data.train.features
    ids = [data.ids(captions, o.max_tokens) for captions in data.train.captions]
    batches = Batches(ids, photos=o.batch, per_photo=o.captions, flips=False, seed=seed)
    groups = list(
        variation.parameters or [{"params": [p for p in model.parameters() if p.requires_grad]}]
    )
    optimizer = torch.optim.Adam(groups, lr=o.learning_rate, betas=(0.9, 0.98))
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    learnable = [p for group in optimizer.param_groups for p in group["params"]]
    schedule = Schedule(o.warmup_steps, full=o.warmup_steps + 1)
    steps, step = o.epochs * len(batches), 0
    curves: LearningCurves = {"training loss": []}
    for epoch in range(o.epochs):
        model.train()
        summed = 0.0
        for batch in batches.epoch(epoch):
            inputs, targets = map(torch.from_numpy, (batch.inputs_BKT, batch.targets_BKT))
            counts = targets != PAD
            value = variation.loss(
                model, read(batch.photos), inputs, counts, flatten_words(targets, counts)
            )
            rate = schedule.rate(step, steps)
            for group in optimizer.param_groups:
                learns = epoch >= group.get("first_epoch", 0)
                group["lr"] = group["peak"] * rate * learns
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            if variation.hook is not None:
                variation.hook(step, steps, model)
            if o.clip_norm:
                torch.nn.utils.clip_grad_norm_(learnable, o.clip_norm)
            optimizer.step()
            step += 1
            summed += float(value.detach())
            told(step, steps)
        curves["training loss"].append([epoch + 1, summed / len(batches)])
        if variation.validate:
            nats, tokens, _ = teacher_forced(model, data, data.dev, o)
            curves.setdefault("dev nats per token", []).append([epoch + 1, nats / tokens])
    model.eval()
    return curves
