"""The sharpness of attention, and its dependence on photo and word.

For weights p over n things, the normalised entropy is -sum p ln p / ln n: 1 is flat, 0 is all on
one. Sharp attention may still be constant: weights at the same place for every photo and word carry
no information. So the *information* is measured too, H(mean p) - mean H(p), over ln n (a
Jensen-Shannon divergence): 0 if attention is always the same.

Axes: B photos, K captions, F frames, R regions, S phrases, N what counts, X what is attended to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class AttentionSums:
    """Sums over the words of one kind of attention.

    Attributes:
        entropy: of normalised entropies.
        words: how many were added.
        nats: of entropies of those that were over the most things, in nats.
        mean_X: sum of the weights of those.
        full: how many those were.
    """

    entropy: float = 0.0
    words: int = 0
    nats: float = 0.0
    mean_X: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    full: int = 0

    def add(self, weights_NX: Tensor) -> None:
        """Add weights over X > 1 existing items."""
        weights_NX = weights_NX.detach().double().cpu()
        things = weights_NX.shape[1]
        nats_N = torch.special.entr(weights_NX).sum(1)
        self.entropy += float(nats_N.sum()) / math.log(things)
        self.words += len(nats_N)
        if things > len(self.mean_X):
            self.nats, self.full = 0.0, 0
            self.mean_X = torch.zeros(things, dtype=torch.float64)
        if things == len(self.mean_X):
            self.nats += float(nats_N.sum())
            self.full += len(nats_N)
            self.mean_X += weights_NX.sum(0)

    def to_dict(self) -> dict[str, float]:
        """``entropy``, ``information``, both 0 to 1, and ``things``, how many were looked at."""
        things = len(self.mean_X)
        of_mean = float(torch.special.entr(self.mean_X / self.full).sum())
        return {
            "entropy": self.entropy / self.words,
            "information": max(0.0, of_mean - self.nats / self.full) / math.log(things),
            "things": things,
        }


@dataclass
class AttentionWatch:
    """Collects the attention of every word of a walk.

    Attributes:
        kinds: "regions", "frames" and "phrases", those that the model has and of which there is
            more than one.
        gates: the balancing gate of every word, if any.
    """

    kinds: dict[str, AttentionSums] = field(default_factory=dict)
    gates: list[Tensor] = field(default_factory=list)

    def add(
        self,
        evidence: Mapping[str, Tensor],
        counts_BK: Tensor,
        real_BF: Tensor | None,
        *,
        step: int,
    ) -> None:
        """Take in one step.

        Args:
            evidence: of :class:`~negah.models.StepOutput`.
            counts_BK: captions that still run.
            real_BF: True where a frame is real; None for all.
            step: from 0; only so many words and one more can have been attended to.
        """
        if "gate" in evidence:
            self.gates.append(evidence["gate"][counts_BK].detach().double().cpu())
        if "regions" in evidence:
            weights_NFR = evidence["regions"][counts_BK]
            real_NF = self._real(counts_BK, real_BF, weights_NFR.shape[1])
            self._add("regions", weights_NFR[real_NF])
        if "frames" in evidence:
            weights_NF = evidence["frames"][counts_BK]
            real_N = self._real(counts_BK, real_BF, weights_NF.shape[1]).sum(1)
            for frames in sorted(set(real_N.tolist())):
                self._add("frames", weights_NF[real_N == frames][:, :frames])
        if "phrases" in evidence:
            weights_NS = evidence["phrases"][counts_BK]
            self._add("phrases", weights_NS[:, : step + 1])

    def gate(self) -> dict[str, float] | None:
        """Mean, standard deviation and saturated share of the balancing gate."""
        if not self.gates:
            return None
        gates_N = torch.cat(self.gates)
        saturated = (gates_N < 0.05) | (gates_N > 0.95)
        return {
            "mean": float(gates_N.mean()),
            "deviation": float(gates_N.std(correction=0)),
            "saturated": float(saturated.double().mean()),
        }

    def _add(self, kind: str, weights_NX: Tensor) -> None:
        if weights_NX.shape[1] > 1 and len(weights_NX):
            self.kinds.setdefault(kind, AttentionSums()).add(weights_NX)

    @staticmethod
    def _real(counts_BK: Tensor, real_BF: Tensor | None, frames: int) -> Tensor:
        """For every caption that runs, its real frames: (N, F)."""
        if real_BF is None:
            return torch.ones(int(counts_BK.sum()), frames, dtype=torch.bool)
        return real_BF[:, None].expand(-1, counts_BK.shape[1], -1)[counts_BK]
