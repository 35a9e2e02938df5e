"""A GRU over a whole sequence with its derivative written out: some four times as fast.

Steps of small networks cost what calling their operations costs, and autograd calls many. Here
everything that does not depend on the step before is computed for all steps at once, and a step
is seven calls forward and seven back. Equality with :class:`~negah.models.cells.GruCell` and
:class:`~negah.models.cells.GruNoResetCell`, values and gradients, is tested.

Axes: N sequences, T steps, D hidden size, G gates (reset if there is one, update, candidate).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from negah.models.cells import GruCell, GruNoResetCell


def run_gru(cell: GruCell | GruNoResetCell, inputs_NTI: Tensor) -> Tensor:
    """The states h_1 .. h_T from a first state of zeros: (N, T, D).

    Args:
        cell: whose weights are used.
        inputs_NTI: the sequences; they get no gradient.
    """
    projected_TNG = cell.project(inputs_NTI.transpose(0, 1))
    states_TND: Tensor = _Scan.apply(projected_TNG, cell.recurrent.weight)
    return states_TND.transpose(0, 1)


class _Scan(torch.autograd.Function):
    """(projected_TNG, weight_GD) to states_TND."""

    @staticmethod
    def forward(ctx: Any, projected_TNG: Tensor, weight_GD: Tensor) -> Tensor:
        size = weight_GD.shape[1]
        steps, batch, width = projected_TNG.shape
        with_reset = width == 3 * size
        states = projected_TNG.new_zeros(steps + 1, batch, size)  # the first is h_0
        own = torch.empty_like(projected_TNG)  # U h, then gates; the candidate's U h stays
        new = torch.empty_like(states[1:])
        weight_DG = weight_GD.t()
        reads = _columns(projected_TNG, size)
        gates = own[..., : width - size].unbind(0)
        given = projected_TNG[..., : width - size].unbind(0)
        recalled = own[..., width - size :].unbind(0)
        update = own[..., width - 2 * size : width - size].unbind(0)
        reset = own[..., :size].unbind(0)
        befores, news, owns = states.unbind(0), new.unbind(0), own.unbind(0)
        for t in range(steps):
            torch.mm(befores[t], weight_DG, out=owns[t])
            gates[t].add_(given[t]).sigmoid_()
            if with_reset:
                torch.addcmul(reads[t], reset[t], recalled[t], out=news[t])
            else:
                torch.add(reads[t], recalled[t], out=news[t])
            news[t].tanh_()
            torch.lerp(news[t], befores[t], update[t], out=befores[t + 1])
        ctx.save_for_backward(states, own, new, weight_GD)
        return states[1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_TND: Tensor) -> tuple[Tensor, Tensor]:
        states, own, new, weight_GD = ctx.saved_tensors
        size = weight_GD.shape[1]
        steps, _, width = own.shape
        with_reset = width == 3 * size
        update = own[..., width - 2 * size : width - size]
        # what a change of h_t does to the sums inside the gates and the candidate, for all t
        to_update = (states[:-1] - new) * update * (1 - update)
        to_new = (1 - update) * (1 - new * new)
        back = torch.empty_like(own)  # with respect to U h
        back_new = torch.empty_like(new)  # with respect to the sum inside the candidate
        pieces = [part.unbind(0) for part in (to_update, to_new, update, grad_TND, back, back_new)]
        to_updates, to_news, updates, grads, backs, back_news = pieces
        back_updates = back[..., width - 2 * size : width - size].unbind(0)
        back_recalled = back[..., width - size :].unbind(0)
        if with_reset:
            reset = own[..., :size]
            to_resets = (own[..., 2 * size :] * reset * (1 - reset)).unbind(0)
            resets, back_resets = reset.unbind(0), back[..., :size].unbind(0)
        carried = torch.zeros_like(states[0])
        for t in range(steps - 1, -1, -1):
            carried += grads[t]
            torch.mul(carried, to_updates[t], out=back_updates[t])
            torch.mul(carried, to_news[t], out=back_news[t])
            if with_reset:
                torch.mul(back_news[t], to_resets[t], out=back_resets[t])
                torch.mul(back_news[t], resets[t], out=back_recalled[t])
            else:
                back_recalled[t].copy_(back_news[t])
            carried *= updates[t]
            carried.addmm_(backs[t], weight_GD)
        weight_grad = back.reshape(-1, width).t() @ states[:-1].reshape(-1, size)
        back[..., width - size :] = back_new
        return back, weight_grad


def _columns(projected_TNG: Tensor, size: int) -> tuple[Tensor, ...]:
    """What the candidate reads at each step."""
    return projected_TNG[..., -size:].unbind(0)
