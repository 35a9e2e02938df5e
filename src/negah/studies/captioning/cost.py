"""What a captioner computes for a photo, counted and not timed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from negah.models import CaptionModel
from negah.studies.captioning.data import CaptionData
from negah.studies.captioning.options import CaptionOptions
from negah.text import PAD
from negah.training.padding import pad_captions

#: Photos that are counted on.
_MOST = 16


@torch.no_grad()
def multiply_adds(model: CaptionModel, data: CaptionData, o: CaptionOptions) -> float:
    """Of one photo with its captions of an epoch, forward, in the mean over some training photos.

    Products of matrices, convolutions among them, are counted by PyTorch; the recurrent layers
    that run in one call, which it does not count, by their weights at every step, padding
    included. What is cached is not computed, and what is added or multiplied element by element
    is left out.
    """
    rows = list(range(min(_MOST, len(data.train.names))))
    captions = [data.ids(data.train.captions[row][: o.captions], o.max_tokens) for row in rows]
    inputs, targets = map(torch.from_numpy, pad_captions(captions))
    recurrent = {
        f"{type(model).__name__}.{name}": layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.RNNBase)
    }
    by_weights = 0.0

    def count(layer: nn.Module, read: tuple[Tensor, ...], output: object) -> None:
        nonlocal by_weights
        weights = sum(p.numel() for p in layer.parameters() if p.ndim == 2)
        by_weights += weights * read[0].shape[0] * read[0].shape[1]

    hooks = [layer.register_forward_hook(count) for layer in recurrent.values()]
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(data.train.features(rows), inputs, targets != PAD)
    for hook in hooks:
        hook.remove()
    counted = counter.get_flop_counts()
    within = sum(sum(counted[name].values()) for name in recurrent if name in counted)
    return float((counter.get_total_flops() - within) / 2 + by_weights) / len(rows)
