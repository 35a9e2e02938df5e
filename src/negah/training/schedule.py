"""Learning rates over a training: linear warm-up, then decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Schedule:
    """The share of the peak learning rate at each step.

    Attributes:
        warmup: steps of linear warm-up.
        decay: the decay after the warm-up.
        final: share of the peak rate at the end of a decay.
        full: the step, counted from 1, at which the warm-up reaches the peak rate: by default its
            last step; ``warmup + 1`` is used in the studies on captions, whose published numbers
            were measured so.
    """

    warmup: int
    decay: Literal["constant", "cosine", "linear"] = "cosine"
    final: float = 0.0
    full: int = 0

    def rate(self, step: int, total: int) -> float:
        """The share, above 0 and at most 1, at ``step`` of ``total``, counted from 0."""
        if step < self.warmup:
            return (step + 1) / (self.full or self.warmup)
        if self.decay == "constant":
            return 1.0
        passed = min(1.0, (step - self.warmup) / max(1, total - self.warmup))
        falling = 1 - passed if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * passed))
        return self.final + (1 - self.final) * falling

    def warning(self, total: int) -> str:
        """A warning of a warm-up that takes more than half of all steps; "" of a shorter one."""
        if 2 * self.warmup <= total:
            return ""
        return (
            f"warning: the learning rate rises during the first {self.warmup:,} steps, and the "
            f"training has {total:,}, too few to learn at its full rate: set "
            f"training.warmup_steps={total // 10}, or train more epochs"
        )
