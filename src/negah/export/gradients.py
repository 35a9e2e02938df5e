"""Gradient times input as evidence, where PyTorch is: a second opinion on occlusion.

The features of a cell times the gradient of a word's log-odds by them, summed over the channels:
to first order, what the word would lose if the cell were 0 (A. Shrikumar et al., "Not just a black
box", arXiv 1605.01713). The features are taken against the mean of the picture's own, as occlusion
replaces cells, so that a cell like all others has no say.

Axes: T words, F frames, R regions, C channels, H and W rows and columns of the grid.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.bundle import read_bundle
from negah.errors import UsageError
from negah.evidence.subject import Subject
from negah.export.restore import load_captioner
from negah.models import CaptionModel
from negah.models.adapter import TorchBackend
from negah.runtime.onnx import OnnxBackend


class Gradient:
    """Of a training run as it is; of a bundle, through the PyTorch model that it was made from."""

    @property
    def signature(self) -> str:
        """See :class:`~negah.evidence.methods.Evidence`."""
        return "gradient|times input against the picture's mean|log-odds"

    def check(self, backend: Backend) -> None:
        """Refuse models that PyTorch does not run, and those without a grid."""
        if not isinstance(backend, OnnxBackend | TorchBackend) or backend.sight.grid is None:
            raise UsageError(
                f"{backend.identity.name} is no bundle or training run with a grid of regions, so "
                "that there is no gradient to take: use another method, such as patches"
            )

    def maps(self, subject: Subject) -> FloatArray:
        """What each cell adds to the log-odds, to first order, in nats."""
        backend, grid = subject.backend, subject.backend.sight.grid
        assert grid is not None
        captioner = _captioner(backend)
        given_FRC = torch.from_numpy(subject.features_FRC)
        # inference tensors of a backend take no part in gradients
        features_FRC = given_FRC.clone().requires_grad_()
        against_FRC = given_FRC - given_FRC.mean((0, 1))
        maps = np.empty((len(subject.tokens), len(given_FRC), *grid), np.float32)
        with torch.enable_grad():
            memory, state = captioner.start(features_FRC[None])
            last = backend.tokenizer.specials.start
            odds = []
            for token in subject.tokens:
                output = captioner.step(memory, state, torch.tensor([[last]]))
                logprobs_V = output.logits[0, 0].log_softmax(-1)
                others = torch.cat((logprobs_V[:token], logprobs_V[token + 1 :]))
                odds.append(logprobs_V[token] - others.logsumexp(0))
                state, last = output.state, token
            for t, one in enumerate(odds):
                (slope_FRC,) = torch.autograd.grad(one, features_FRC, retain_graph=True)
                maps[t] = (slope_FRC * against_FRC).sum(-1).reshape(-1, *grid).numpy()
                if subject.progress is not None:
                    subject.progress((t + 1) / len(odds))
        return maps


def _captioner(backend: Backend) -> CaptionModel:
    if isinstance(backend, TorchBackend):
        return backend.captioner
    assert isinstance(backend, OnnxBackend)
    return _restored(str(backend.bundle.path), backend.identity.sha256)


@lru_cache(maxsize=1)
def _restored(path: str, weights_sha256: str) -> CaptionModel:
    """The captioner of a bundle, kept for the next photo."""
    del weights_sha256  # with others it is another model
    return load_captioner(read_bundle(path))[1]


GRADIENT = Gradient()
