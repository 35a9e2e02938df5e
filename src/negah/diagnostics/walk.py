"""Running a captioner over known captions word by word, with access to its states.

Training scores all words at once and keeps nothing in between. Here the same numbers come from
``start`` and ``step``, which every captioner has, and each state is passed on through an identity,
so that gradients with respect to it can be asked for. What comes back to a state through that
identity is what the words *after* it say, whatever the captioner is made of.

Axes: B photos or clips, F frames, R regions, C channels, K captions of each, T words, S what a
state holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from negah.diagnostics.attention import AttentionWatch
from negah.diagnostics.gates import GateWatch
from negah.models import CaptionModel, Tensors
from negah.models.caption_model import expand_captions
from negah.text import EOS, PAD


@dataclass(frozen=True, slots=True)
class CaptionSample:
    """Captions of some photos or clips.

    Attributes:
        features_BFRC: region features, float.
        inputs_BKT: ``<SOS> w1 w2 ...``, int64, padded at the right.
        targets_BKT: ``w1 w2 ... <EOS>``, padded at the right.
        real_BF: True where a frame is real; None for all.
    """

    features_BFRC: Tensor
    inputs_BKT: Tensor
    targets_BKT: Tensor
    real_BF: Tensor | None = None

    @property
    def counts(self) -> Tensor:
        """True for words to be scored, bool (B, K, T)."""
        return self.targets_BKT != PAD

    @property
    def lengths(self) -> Tensor:
        """Words of each caption, its end included, int64 (B, K)."""
        return self.counts.sum(2)


@dataclass(frozen=True, slots=True)
class Walk:
    """The result of a walk, with its graph.

    Attributes:
        states: T + 1 of them; number t is the state before word t is read, float tensors
            (B, K, ...) by name.
        losses_BKT: negative log-likelihood of every word in nats, 0 on padding.
        sample: that was walked over.
    """

    states: list[Tensors]
    losses_BKT: Tensor
    sample: CaptionSample

    def flat(self, values: list[Mapping[str, Tensor]]) -> Tensor:
        """Something for every state, as one tensor (T + 1, B, K, S)."""
        return torch.stack(
            [torch.cat([tensor.flatten(2) for tensor in one.values()], dim=-1) for one in values]
        )


def walk(
    captioner: CaptionModel,
    sample: CaptionSample,
    *,
    gates: GateWatch | None = None,
    attention: AttentionWatch | None = None,
) -> Walk:
    """Walk over the captions of a sample.

    Args:
        captioner: in evaluation mode, so that dropout does not fall into the numbers.
        sample: with at least one word.
        gates: takes in the gates of every word.
        attention: takes in where every word looked.
    """
    memory, state = captioner.start(sample.features_BFRC, sample.real_BF)
    state = expand_captions(state, sample.inputs_BKT.shape[1])
    counts_BKT = sample.counts
    # a caption that has ended goes on with any word: padding has no phrase to attend to, and the
    # NaN of that would come back through gradients even where nothing counts
    inputs_BKT = sample.inputs_BKT.masked_fill(~counts_BKT, EOS)
    states, losses = [], []
    for t in range(sample.inputs_BKT.shape[2]):
        state = _tapped(state)
        states.append(_floats(state))
        if gates is None:
            output = captioner.step(memory, state, inputs_BKT[..., t])
        else:
            with gates.watching(counts_BKT[..., t]):
                output = captioner.step(memory, state, inputs_BKT[..., t])
        if attention is not None:
            attention.add(output.evidence, counts_BKT[..., t], sample.real_BF, step=t)
        nll_BK = F.cross_entropy(
            output.logits.movedim(-1, 1), sample.targets_BKT[..., t], reduction="none"
        )
        losses.append(torch.where(counts_BKT[..., t], nll_BK, 0.0))
        state = output.state
    states.append(_floats(_tapped(state)))
    return Walk(states, torch.stack(losses, dim=-1), sample)


def _tapped(state: Tensors) -> Tensors:
    """The same state, as tensors of its own; what is no number (word ids) stays."""
    return {
        name: _tap(tensor) if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def _tap(tensor: Tensor) -> Tensor:
    copy = tensor.clone()
    # a model whose features and weights need no gradient still has one with respect to its state
    return copy if copy.requires_grad else copy.requires_grad_()


def _floats(state: Tensors) -> Tensors:
    return {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
