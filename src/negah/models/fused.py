"""Steps of a captioner's loop with gradients that are put together once, for training on a CPU.

Autograd walks back word by word: for every word it writes a gradient of each weight, of the
regions and of their keys, and adds it to those of the words behind. Here a word's backward pass
keeps what these gradients are made of, and one product makes them when the last word has been
walked. A ``token``, a tensor of one zero that every word reads, is what makes autograd wait for it.

Equal to the plain formulas up to rounding; second derivatives are refused.

Axes: B photos, K captions of each, R regions, A attention size, M visual size, N inputs of a step,
I and O the input and output of a linear layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

#: Numbers that are worked on at a time: 800 KB, which stay near the core.
_CHUNK = 200_000


def can_fuse(tensor: Tensor) -> bool:
    """Whether gradients are recorded, on a CPU, in the numbers that the weights have."""
    return (
        torch.is_grad_enabled()
        and tensor.device.type == "cpu"
        and tensor.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class RegionLooks:
    """Additive attention to the regions of photos, once for every word, without (B, K, R, A).

    weights = softmax_r(score . tanh(key_r + query)), seen = sum_r weights_r value_r. The tanh is
    computed as 2 sigma(2x) - 1, whose -1 a softmax does not see (on a CPU with AVX2 it takes a
    third of the time), for so many photos at a time as a cache holds, and again in the backward
    pass.

    Args:
        keys_BRA: of the regions.
        values_BRM: of the regions.
        score_A: the vector that the tanh is multiplied with.
    """

    def __init__(self, keys_BRA: Tensor, values_BRM: Tensor, score_A: Tensor) -> None:
        self.keys_BRA = 2 * keys_BRA.detach()
        self.values_BRM = values_BRM.detach()
        self.score_A = score_A.detach()
        self.photos = max(1, _CHUNK // self.keys_BRA[0].numel())
        self.walked: list[tuple[Tensor, Tensor]] = []  # weights and the gradient of what is seen
        self.keys_gradient_BRA: Tensor | None = None
        self.score_gradient_A = torch.zeros_like(self.score_A)
        self._token: Tensor = _LookedAt.apply(keys_BRA, values_BRM, score_A, self)

    def __call__(self, query_BKA: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen (B, K, M) and the weights (B, K, R)."""
        seen_BKM, weights_BKR = _Look.apply(self._token, query_BKA, self)
        return seen_BKM, weights_BKR

    def sigmoids(self, query_BKA: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """sigma(2 (key + query)), (P, K, R, A), of P photos at a time; each overwrites the last."""
        queries_BK1A = (2 * query_BKA).unsqueeze(2)
        keys_B1RA = self.keys_BRA.unsqueeze(1)
        shape = (self.photos, query_BKA.shape[1], *self.keys_BRA.shape[1:])
        buffer = query_BKA.new_empty(shape)
        for first in range(0, len(query_BKA), self.photos):
            part = slice(first, first + self.photos)
            queries_PK1A = queries_BK1A[part]
            inner_PKRA = buffer[: len(queries_PK1A)]
            torch.add(keys_B1RA[part], queries_PK1A, out=inner_PKRA)
            yield part, inner_PKRA.sigmoid_()

    def weigh(self, query_BKA: Tensor) -> Tensor:
        """The weights (B, K, R)."""
        scores = [sigmoid @ (2 * self.score_A) for _, sigmoid in self.sigmoids(query_BKA)]
        return torch.cat(scores).softmax(-1)

    def walk_back(
        self, query_BKA: Tensor, weights_BKR: Tensor, seen_BKM: Tensor, weighed_BKR: Tensor | None
    ) -> Tensor:
        """The gradient of a query (B, K, A); those of keys, values and score are kept.

        Args:
            query_BKA: of the step.
            weights_BKR: that came out.
            seen_BKM: the gradient of what was seen.
            weighed_BKR: that of the weights, if they were used.
        """
        gains_BKR = seen_BKM @ self.values_BRM.transpose(1, 2)
        if weighed_BKR is not None:
            gains_BKR = gains_BKR + weighed_BKR
        mean_BK1 = (weights_BKR * gains_BKR).sum(-1, keepdim=True)
        scores_BKR = weights_BKR * (gains_BKR - mean_BK1)
        self.walked.append((weights_BKR, seen_BKM))
        if self.keys_gradient_BRA is None:
            self.keys_gradient_BRA = torch.zeros_like(self.keys_BRA)
        queries_BKA = torch.empty_like(query_BKA)
        for part, sigmoid_PKRA in self.sigmoids(query_BKA):
            scores_PKR = scores_BKR[part]
            flat_XA = sigmoid_PKRA.flatten(0, 2)
            # d tanh(x) / dx = 4 sigma (1 - sigma); 4 and the score are multiplied with at the end
            self.score_gradient_A += scores_PKR.flatten() @ flat_XA
            slope_PKRA = torch.addcmul(sigmoid_PKRA, sigmoid_PKRA, sigmoid_PKRA, value=-1)
            queries_BKA[part] = (scores_PKR.unsqueeze(2) @ slope_PKRA).squeeze(2)
            keys_PRA = self.keys_gradient_BRA[part]
            for slope_PRA, scores_PR in zip(
                slope_PKRA.unbind(1), scores_PKR.unbind(1), strict=True
            ):
                keys_PRA.addcmul_(slope_PRA, scores_PR.unsqueeze(-1))
        return queries_BKA.mul_(4 * self.score_A)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor]:
        """Those of keys, values and score, over all words."""
        assert self.keys_gradient_BRA is not None
        weights_BXR, seen_BXM = (
            torch.cat(parts, dim=1) for parts in zip(*self.walked, strict=True)
        )
        keys_BRA = self.keys_gradient_BRA.mul_(4 * self.score_A)
        score_A = 2 * self.score_gradient_A
        self.walked, self.keys_gradient_BRA = [], None
        self.score_gradient_A = torch.zeros_like(self.score_A)
        return keys_BRA, weights_BXR.transpose(1, 2) @ seen_BXM, score_A


class _LookedAt(torch.autograd.Function):
    """The gradients of what all words look at."""

    @staticmethod
    def forward(
        ctx: Any, keys_BRA: Tensor, values_BRM: Tensor, score_A: Tensor, looks: RegionLooks
    ) -> Tensor:
        ctx.looks = looks
        return score_A.new_zeros(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return *ctx.looks.gradients(), None


class _Look(torch.autograd.Function):
    """One word's look."""

    @staticmethod
    def forward(
        ctx: Any, token: Tensor, query_BKA: Tensor, looks: RegionLooks
    ) -> tuple[Tensor, Tensor]:
        weights_BKR = looks.weigh(query_BKA)
        ctx.looks = looks
        ctx.save_for_backward(query_BKA, weights_BKR)
        ctx.set_materialize_grads(False)
        return weights_BKR @ looks.values_BRM, weights_BKR

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, seen_BKM: Tensor | None, weighed_BKR: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        query_BKA, weights_BKR = ctx.saved_tensors
        if seen_BKM is None:
            seen_BKM = query_BKA.new_zeros(*query_BKA.shape[:2], ctx.looks.values_BRM.shape[2])
        query_gradient_BKA = ctx.looks.walk_back(query_BKA, weights_BKR, seen_BKM, weighed_BKR)
        return query_BKA.new_zeros(1), query_gradient_BKA, None


class StepLinear(nn.Linear):
    """A linear layer without a bias that is applied word by word.

    Within :func:`gathered`, the gradient of its weight is one product over all words.
    """

    _steps: _Steps | None = None

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        if self._steps is None:
            return F.linear(inputs, self.weight)
        outputs: Tensor = _Apply.apply(self._steps.token, inputs, self._steps)
        return outputs


@contextmanager
def gathered(*layers: nn.Module | None) -> Iterator[None]:
    """Within it the gradients of the weights of :class:`StepLinear` layers are gathered."""
    with ExitStack() as stack:
        for layer in layers:
            if isinstance(layer, StepLinear) and layer.weight.requires_grad:
                layer._steps = _Steps(layer.weight)
                stack.callback(setattr, layer, "_steps", None)
        yield


class _Steps:
    """The inputs of a layer, and the gradients of its outputs."""

    def __init__(self, weight_OI: Tensor) -> None:
        self.weight_OI = weight_OI.detach()
        self.walked: list[tuple[Tensor, Tensor]] = []
        self.token: Tensor = _Applied.apply(weight_OI, self)

    def gradient(self) -> Tensor:
        inputs_NI, outputs_NO = (torch.cat(parts) for parts in zip(*self.walked, strict=True))
        self.walked = []
        return outputs_NO.t() @ inputs_NI


class _Applied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_OI: Tensor, steps: _Steps) -> Tensor:
        ctx.steps = steps
        return weight_OI.new_zeros(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.steps.gradient(), None


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token: Tensor, inputs: Tensor, steps: _Steps) -> Tensor:
        ctx.steps = steps
        ctx.save_for_backward(inputs)
        return F.linear(inputs, steps.weight_OI)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        (inputs,) = ctx.saved_tensors
        ctx.steps.walked.append((inputs.flatten(0, -2), outputs.flatten(0, -2)))
        return inputs.new_zeros(1), outputs @ ctx.steps.weight_OI, None


class _Idle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, used: Tensor, *idle: Tensor) -> Tensor:
        ctx.save_for_backward(*idle)
        return used.view_as(used)

    @staticmethod
    def backward(ctx: Any, used: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        return used, *(torch.zeros_like(tensor) for tensor in ctx.saved_tensors)


def with_idle(used: Tensor, module: nn.Module) -> Tensor:
    """``used``, with gradients of zero for the parameters of a module that had no effect on it.

    Without a gradient an optimiser would leave them alone, and not decay them.
    """
    result: Tensor = _Idle.apply(used, *module.parameters())
    return result
