"""Training one captioner of the study: the loss of any training here, in a short loop.

The mean cross-entropy of a word in nats, Adam, linear warm-up and a cosine to zero. Features are
frozen and the same for all; seed, clips, captions and their order do not depend on the variant.

Axes: B clips, K captions of each, T words, F frames, R regions, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch.nn import functional as F

from negah.models import CamRnn, CamRnnOptions, build_captioner, flatten_words
from negah.studies.synthetic.options import VARIANTS, WITHOUT_PREVIOUS, CaptionerTraining
from negah.studies.synthetic.world import World
from negah.text import PAD


def build_variant(variant: str, world: World, training: CaptionerTraining) -> CamRnn:
    """A captioner with fresh weights; call ``torch.manual_seed`` before."""
    sizes = training.model_dump(include=set(CamRnnOptions.model_fields))
    options = CamRnnOptions.parse({**sizes, **VARIANTS[variant]}, where=f"variant {variant}")
    channels = world.features_NFRC.shape[-1]
    model = build_captioner(options, channels=channels, vocabulary_size=len(world.tokenizer))
    captioner = cast(CamRnn, model)
    if variant == WITHOUT_PREVIOUS and captioner.regions is not None:
        captioner.regions.previous.requires_grad_(False).zero_()
    return captioner


def train_variant(
    variant: str,
    seed: int,
    world: World,
    training: CaptionerTraining,
    progress: Callable[[int, int, float], None],
) -> tuple[CamRnn, list[float]]:
    """Train one captioner.

    Args:
        variant: a name of :data:`VARIANTS`.
        seed: of weights, dropout and order.
        world: clips and features.
        training: the same for all.
        progress: called after each step with the steps done, their number, and the loss.

    Returns:
        the captioner in evaluation mode, and the mean loss of each epoch in nats a word.
    """
    torch.manual_seed(seed)
    captioner = build_variant(variant, world, training)
    order = torch.Generator().manual_seed(seed)
    features = torch.from_numpy(world.features_NFRC[: len(world.inputs_NKT)])
    inputs, targets = map(torch.from_numpy, (world.inputs_NKT, world.targets_NKT))
    learnable = [weight for weight in captioner.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learnable, lr=training.learning_rate, betas=(0.9, 0.98))
    each = -(-len(inputs) // training.batch)
    total, done, losses = each * training.epochs, 0, []
    for _ in range(training.epochs):
        captioner.train()
        summed = 0.0
        shuffled = torch.randperm(len(inputs), generator=order)
        for rows in torch.split(shuffled, training.batch):
            captions = torch.rand(len(rows), inputs.shape[1], generator=order).argsort(1)
            captions = captions[:, : training.captions]
            inputs_BKT = inputs[rows[:, None], captions]
            targets_BKT = targets[rows[:, None], captions]
            counts_BKT = targets_BKT != PAD
            logits_NV = captioner(features[rows].float(), inputs_BKT, counts_BKT)
            loss = F.cross_entropy(logits_NV, flatten_words(targets_BKT, counts_BKT))
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate * _rate(done, total, training.warmup_steps)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(learnable, training.clip_norm)
            optimizer.step()
            done += 1
            value = float(loss.detach())
            summed += value
            progress(done, total, value)
        losses.append(summed / each)
    return captioner.eval(), losses


def _rate(step: int, total: int, warmup: int) -> float:
    """Share of the highest rate: linear warm-up, then a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
