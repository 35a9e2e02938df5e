"""A PyTorch captioner as decoding sees it.

Validation during training, studies and the proof of an export all decode with the search of
:mod:`negah.decoding`, which knows NumPy alone; this adapter is the only bridge. On a GPU the
log-probabilities of the whole vocabulary need not travel: with ``candidates`` only the best
of each hypothesis do.

Axes: B photos or clips, K hypotheses of each, F frames, R regions, C channels, V vocabulary,
M candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.decoding.protocol import State, Step
from negah.errors import UsageError
from negah.models.captioner import Captioner, reorder_state


class TorchStepModel:
    """The :class:`~negah.decoding.StepModel` of a captioner.

    Its state is the pair (memory, state) of :class:`~negah.models.captioner.Captioner`, which
    stays on the captioner's device. Nothing is recorded for gradients. The captioner must be in
    evaluation mode whenever this is used, or dropout would fall into the captions.

    Args:
        captioner: what predicts the words.
        candidates: M, how many of the likeliest tokens a step reports, at most V; None for all
            of them. Required words need all.

    Raises:
        UsageError: ``candidates`` is below 1.
    """

    def __init__(self, captioner: Captioner, *, candidates: int | None = None) -> None:
        if candidates is not None and candidates < 1:
            raise UsageError(f"candidates is 1 or more, or None for all; given: {candidates}")
        self.captioner = captioner
        self.candidates = candidates

    @torch.inference_mode()
    def start(self, features: Tensor | FloatArray, frames: BoolArray | None = None) -> State:
        """Everything that does not depend on the words, from features (B, F, R, C).

        ``frames`` is bool (B, F), False on padding; None for all real.
        """
        self._check_mode()
        features_BFRC = torch.as_tensor(features, dtype=torch.float32, device=self._device())
        if frames is None:
            return self.captioner.start(features_BFRC)
        return self.captioner.start(features_BFRC, torch.as_tensor(frames, device=self._device()))

    @torch.inference_mode()
    def step(self, state: State, tokens: IntArray) -> Step:
        """Read one token per hypothesis, int64 (B, K), and predict the next."""
        memory, before = state
        tokens_BK = torch.from_numpy(np.ascontiguousarray(tokens)).to(self._device())
        output = self.captioner.step(memory, before, tokens_BK)
        logprobs_BKV = output.logits.float().log_softmax(-1)
        evidence = {name: _to_numpy(weights.float()) for name, weights in output.evidence.items()}
        after = (memory, output.state)
        if self.candidates is None or self.candidates >= logprobs_BKV.shape[-1]:
            return Step(_to_numpy(logprobs_BKV), after, evidence)
        logprobs_BKM, candidates_BKM = logprobs_BKV.topk(self.candidates, dim=-1)
        return Step(_to_numpy(logprobs_BKM), after, evidence, _to_numpy(candidates_BKM))

    @torch.inference_mode()
    def reorder(self, state: State, parents: IntArray) -> State:
        """Hypothesis k of photo b continues ``parents[b, k]``; the memory stays where it is."""
        memory, before = state
        parents_BK = torch.from_numpy(np.ascontiguousarray(parents)).to(self._device())
        return memory, reorder_state(before, parents_BK)

    def _check_mode(self) -> None:
        if self.captioner.training:
            raise UsageError("the captioner is in training mode; call captioner.eval() first")

    def _device(self) -> torch.device:
        return next(self.captioner.parameters()).device


def _to_numpy(tensor: Tensor) -> Any:
    return tensor.cpu().numpy()
