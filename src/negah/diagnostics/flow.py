"""Propagation of gradients, by distance and by time step.

With s_t the recurrent state before word t (h_t; of an LSTM h_t and c_t; of all layers), two
questions are asked of a walk:

- **Jacobian.** How much of a change of s_t is left in the last state s_n? The root mean square
  of the singular values of J = ds_n / ds_t, which is its Frobenius norm over sqrt(S): exactly
  s^(n - t) for h' = s Q h with Q orthogonal. No Jacobian is built: for u of independent normal
  numbers, E |J^T u|^2 = |J|_F^2 (Hutchinson 1989), and one backward pass from u . s_n gives J^T u
  for every t at once. :func:`exact_jacobians` builds them, for small networks and for checks.
- **Gradient.** dL/ds_t of the last word's loss by distance, and of all later words by step.

Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

Axes: B photos, K captions, T words, S numbers of a state, N captions in all (B x K).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from negah.diagnostics.walk import Walk
from negah.models import Tensors

#: A distance that fewer than this share of the captions reach says little of the model.
_FEWEST = 0.1


@dataclass
class Profile:
    """A mean over captions for each distance or step, gathered over samples.

    Attributes:
        sums: of the values, by position.
        counts: of the captions that have a value there.
    """

    sums: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def add(self, position: int, values: Tensor) -> None:
        """Take in the values of some captions at one position."""
        while len(self.sums) <= position:
            self.sums.append(0.0)
            self.counts.append(0)
        self.sums[position] += float(values.double().sum())
        self.counts[position] += values.numel()

    def means(self) -> list[float]:
        """The means, as far as a tenth of the captions reach; infinite or NaN where they are."""
        most = max(self.counts, default=0)
        return [
            total / count
            for total, count in zip(self.sums, self.counts, strict=True)
            if count and count >= _FEWEST * most
        ]


@dataclass
class Flow:
    """Profiles of a network, gathered over samples.

    Attributes:
        jacobian: root mean square singular value of ds_n / ds_t by distance n - t, from 0.
        jacobian_hidden: the same of dh_n / dh_t, the cell's own memory held fixed.
        last_word: norm of d(loss of the last word) / ds_t by distance, 0 at the state it reads.
        later_words: norm of d(loss of all words after it) / ds_t, by t.
    """

    jacobian: Profile = field(default_factory=Profile)
    jacobian_hidden: Profile = field(default_factory=Profile)
    last_word: Profile = field(default_factory=Profile)
    later_words: Profile = field(default_factory=Profile)

    def add(self, walk: Walk, generator: torch.Generator, *, probes: int = 4) -> None:
        """Measure a walk.

        Args:
            walk: with its graph, which is kept.
            generator: of the probes.
            probes: vectors u for each caption.
        """
        lengths_BK = walk.sample.lengths
        for names, profile in (
            (list(walk.states[0]), self.jacobian),
            (["h"], self.jacobian_hidden),
        ):
            norms_TBK = _probed(walk, names, generator, probes)
            _by_distance(profile, norms_TBK, lengths_BK, last=0)
        # a photo with fewer captions than others is padded with empty ones, whose losses are 0
        ends_BK = (lengths_BK - 1).clamp_min(0)
        last_BKT = torch.nn.functional.one_hot(ends_BK, walk.losses_BKT.shape[2])
        alone = (walk.losses_BKT * last_BKT).sum()
        norms_TBK = _norms(walk, _gradients(alone, walk.states))
        _by_distance(self.last_word, norms_TBK, lengths_BK, last=1)
        norms_TBK = _norms(walk, _gradients(walk.losses_BKT.sum(), walk.states))
        for t in range(walk.losses_BKT.shape[2]):
            self.later_words.add(t, norms_TBK[t][lengths_BK > t])


def exact_jacobians(walk: Walk, names: Sequence[str] | None = None) -> Tensor:
    """ds_n / ds_t of every caption and every t, built row by row.

    Args:
        walk: with its graph; all captions of one length.
        names: the parts of the state that are looked at; None for all.

    Returns:
        (T + 1, B, K, S, S): rows are numbers of the last state, columns of s_t.
    """
    names = list(walk.states[0]) if names is None else list(names)
    final_BKS = walk.flat([_part(walk.states[-1], names)])[0]
    rows = []
    for number in range(final_BKS.shape[-1]):
        gradients = _gradients(final_BKS[..., number].sum(), walk.states, names)
        rows.append(walk.flat(list(gradients)))
    return torch.stack(rows, dim=-2)


def _probed(walk: Walk, names: list[str], generator: torch.Generator, probes: int) -> Tensor:
    """Root mean square over probes of |J^T u|, u of unit variance over sqrt(S): (T + 1, B, K)."""
    states_TBKS = walk.flat([_part(state, names) for state in walk.states])
    size = states_TBKS.shape[-1]
    lengths_BK = walk.sample.lengths
    index = lengths_BK[None, :, :, None].expand(1, -1, -1, size)
    final_BKS = states_TBKS.gather(0, index)[0]
    squares = torch.zeros(states_TBKS.shape[:3], dtype=torch.float64)
    for _ in range(probes):
        u_BKS = torch.randn(final_BKS.shape, generator=generator, dtype=torch.float64)
        # of unit length: less noise, and none for an orthogonal network
        u_BKS = u_BKS / u_BKS.norm(dim=-1, keepdim=True)
        reached = (final_BKS * u_BKS.to(final_BKS)).sum()
        squares += _norms(walk, _gradients(reached, walk.states, names)) ** 2
    return (squares / probes).sqrt()


def _gradients(
    scalar: Tensor, states: list[Tensors], names: list[str] | None = None
) -> list[Tensors]:
    """With respect to every state; zeros where nothing leads there."""
    parts = [state if names is None else _part(state, names) for state in states]
    flat = [tensor for part in parts for tensor in part.values()]
    found = iter(
        torch.autograd.grad(
            scalar, flat, retain_graph=True, allow_unused=True, materialize_grads=True
        )
    )
    return [{name: next(found) for name in part} for part in parts]


def _norms(walk: Walk, gradients: list[Tensors]) -> Tensor:
    norms_TBK: Tensor = walk.flat(list(gradients)).double().norm(dim=-1).cpu()
    return norms_TBK


def _part(state: Tensors, names: list[str]) -> Tensors:
    return {name: state[name] for name in names}


def _by_distance(profile: Profile, norms_TBK: Tensor, lengths_BK: Tensor, *, last: int) -> None:
    """Add norms by distance from the state number ``length - last`` of each caption."""
    ends_BK = (lengths_BK - last).cpu()
    for distance in range(int(ends_BK.max()) + 1):
        reaches_BK = (ends_BK >= distance) & (lengths_BK.cpu() > 0)
        t_BK = (ends_BK - distance).clamp_min(0)
        values_BK = norms_TBK.gather(0, t_BK[None])[0]
        profile.add(distance, values_BK[reaches_BK])
