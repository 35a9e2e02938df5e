"""Training one captioner of the study: the loss of any training here, in a short loop.

The mean cross-entropy of a word in nats, Adam, linear warm-up and a cosine to zero. Features are
frozen and the same for all; seed, clips, captions and their order do not depend on the variant.

Axes: B clips, K captions of each, T words, F frames, R regions, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from negah.models import CamRnn, CamRnnOptions, flatten_words
from negah.models.seeding import seeded
from negah.studies.synthetic.options import VARIANTS, WITHOUT_PREVIOUS, CaptionerTraining
from negah.studies.synthetic.world import World
from negah.text import PAD
from negah.training.schedule import Schedule


def build(
    variants: Mapping[str, Mapping[str, Any]],
    variant: str,
    world: World,
    training: CaptionerTraining,
) -> CamRnn:
    """A captioner with fresh weights, drawn by PyTorch's own generator.

    Args:
        variants: changes to the options of CAM-RNN, by name.
        variant: one of the names.
        world: whose features and words it has.
        training: whose sizes it has.
    """
    sizes = training.model_dump(include=set(CamRnnOptions.model_fields))
    options = CamRnnOptions.parse({**sizes, **variants[variant]}, where=f"variant {variant}")
    return CamRnn(options, world.features_NFRC.shape[-1], len(world.tokenizer))


def build_variant(variant: str, world: World, training: CaptionerTraining) -> CamRnn:
    """A captioner of this study with fresh weights."""
    captioner = build(VARIANTS, variant, world, training)
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
    return train(lambda: build_variant(variant, world, training), seed, world, training, progress)


def train(
    make: Callable[[], CamRnn],
    seed: int,
    world: World,
    training: CaptionerTraining,
    progress: Callable[[int, int, float], None],
) -> tuple[CamRnn, list[float]]:
    """Train the captioner that ``make`` gives; for the rest see :func:`train_variant`."""
    with seeded(seed):
        captioner = make()
        order = torch.Generator().manual_seed(seed)
        features = torch.from_numpy(world.features_NFRC[: len(world.inputs_NKT)])
        inputs, targets = map(torch.from_numpy, (world.inputs_NKT, world.targets_NKT))
        learnable = [weight for weight in captioner.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(learnable, lr=training.learning_rate, betas=(0.9, 0.98))
        each = -(-len(inputs) // training.batch)
        schedule = Schedule(training.warmup_steps)
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
                    group["lr"] = training.learning_rate * schedule.rate(done, total)
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
