"""Sampling of captions during training, with the gradient of their log-probabilities.

Axes: B photos or clips, F frames, R regions, C channels, K samples of each, T tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from negah.models import CaptionModel
from negah.models.caption_model import expand_captions
from negah.text import PAD
from negah.text.vocabulary import Specials


@dataclass(frozen=True, slots=True)
class Samples:
    """Several captions of each photo.

    Attributes:
        tokens_BKT: sampled tokens, including the end token, padded at the right, int64.
        logprobs_BKT: of each token given those before it, with their graph, float32; 0 on padding.
        counts_BKT: True up to and including the end token.
    """

    tokens_BKT: Tensor
    logprobs_BKT: Tensor
    counts_BKT: Tensor


def draw_samples(
    captioner: CaptionModel,
    features_BFRC: Tensor,
    real_BF: Tensor | None,
    specials: Specials,
    *,
    samples: int,
    longest: int,
    generator: torch.Generator,
) -> Samples:
    """Sample captions word by word from the captioner's own distribution.

    Sampling and gradient use the same distribution, including dropout in training mode. As in
    decoding, tokens that are never produced are excluded, and a caption has at least one word.

    Args:
        captioner: the model.
        features_BFRC: region features, float32.
        real_BF: True where a frame is real; None for photos.
        specials: of the vocabulary.
        samples: K.
        longest: maximum T; a caption that has not ended by then has no end token.
        generator: random generator on the device of the features.
    """
    memory, state = captioner.start(features_BFRC, real_BF)
    state = expand_captions(state, samples)
    shape_BK = (len(features_BFRC), samples)
    read_BK = torch.full(shape_BK, specials.start, device=features_BFRC.device)
    runs_BK = torch.ones_like(read_BK, dtype=torch.bool)
    tokens, logprobs, counts = [], [], []
    for length in range(longest):
        output = captioner.step(memory, state, read_BK)
        state = output.state
        never = [*specials.never, *([] if length else [specials.end])]
        bias_V = torch.zeros_like(output.logits[0, 0], dtype=torch.float32)
        bias_V[never] = -torch.inf
        logprobs_BKV = (output.logits.float() + bias_V).log_softmax(-1)
        chances_XV = logprobs_BKV.detach().exp().flatten(0, 1)
        drawn_BK = torch.multinomial(chances_XV, 1, generator=generator).view(shape_BK)
        # finished captions read their end token again: a model may be undefined on padding
        read_BK = drawn_BK.where(runs_BK, torch.full_like(drawn_BK, specials.end))
        logprobs_BK = logprobs_BKV.gather(-1, read_BK.unsqueeze(-1)).squeeze(-1)
        tokens.append(read_BK.masked_fill(~runs_BK, PAD))
        logprobs.append(logprobs_BK.masked_fill(~runs_BK, 0.0))
        counts.append(runs_BK)
        runs_BK = runs_BK & (read_BK != specials.end)
        if not runs_BK.any():
            break
    return Samples(torch.stack(tokens, 2), torch.stack(logprobs, 2), torch.stack(counts, 2))
