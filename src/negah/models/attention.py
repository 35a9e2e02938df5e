"""The co-attention of CAM-RNN: over regions, over frames, and over phrases.

B. Zhao, X. Li, X. Lu, "CAM-RNN: Co-Attention Model Based RNN for Video Captioning",
IEEE Transactions on Image Processing 28(11), 2019. Equation numbers follow
``docs/cam-rnn.md``. All three are additive attention (Bahdanau et al. 2015):
score = w . tanh(W key + U query + b).

Axes: B photos or clips, K captions of each, F frames, R regions of a frame, C channels,
A attention size, D hidden size, M visual size, S phrase lengths, P phrase size, T words,
E embedding size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.autograd.function import once_differentiable

from negah.models.cells import StepLinear

#: Numbers processed at a time: 800 KB, which fit the cache of a core.
_CHUNK = 200_000


class RegionAttention(nn.Module):
    """Equation (1): attention over the grid cells of each frame.

    q_ij = w_r . tanh(W_r r_ij + U_r a_{i-1,j} [+ H_r h_{t-1}] + b_r); a_i = softmax_j q_i.

    The weight of the same cell in the frame before enters as a scalar, 0 for the first frame, so
    attention stays continuous over time and frames are processed in order. Without ``h`` ("none",
    the paper) the weights belong to the clip; with it ("hidden", our extension) they belong to the
    word, which is what lets a still image show where a word came from.

    Args:
        channels: C.
        attention_size: A.
        hidden_size: D for word-conditioned regions, 0 for bottom-up ones.
    """

    def __init__(self, channels: int, attention_size: int, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, attention_size)
        self.previous = nn.Parameter(torch.empty(attention_size).uniform_(-0.1, 0.1))
        self.query = StepLinear(hidden_size, attention_size) if hidden_size else None
        self.score = nn.Linear(attention_size, 1, bias=False)
        nn.init.xavier_uniform_(self.key.weight)

    def forward(self, keys_BFRA: Tensor, h_BKD: Tensor | None) -> Tensor:
        """Weights (B, K, F, R); each frame sums to 1. Without ``h``, K is 1."""
        query_BK1A: Tensor | float = 0.0
        if self.query is not None and h_BKD is not None:
            query_BK1A = self.query(h_BKD).unsqueeze(2)
        if torch.compiler.is_exporting():
            return self._scan(keys_BFRA, query_BK1A)
        weights: list[Tensor] = []
        for frame in range(keys_BFRA.shape[1]):
            before_BKR = weights[-1] if weights else None
            weights.append(self._frame(keys_BFRA[:, frame], query_BK1A, before_BKR))
        return torch.stack(weights, dim=2)

    def _frame(
        self, keys_BRA: Tensor, query_BK1A: Tensor | float, before_BKR: Tensor | None
    ) -> Tensor:
        """The weights (B, K, R) of one frame, given those of the frame before."""
        inner_BKRA = keys_BRA[:, None] + query_BK1A
        if before_BKR is not None:
            inner_BKRA = inner_BKRA + before_BKR.unsqueeze(-1) * self.previous
        weights_BKR: Tensor = self.score(torch.tanh(inner_BKRA)).squeeze(-1).softmax(-1)
        return weights_BKR

    def _scan(self, keys_BFRA: Tensor, query_BK1A: Tensor | float) -> Tensor:
        """The same computation as a loop inside the graph, so that an exported graph accepts any
        F."""
        captions = query_BK1A.shape[1] if isinstance(query_BK1A, Tensor) else 1
        none_BKR = keys_BFRA.new_zeros(keys_BFRA.shape[0], captions, keys_BFRA.shape[2])

        def advance(before_BKR: Tensor, keys_BRA: Tensor) -> tuple[Tensor, Tensor]:
            weights_BKR = self._frame(keys_BRA, query_BK1A, before_BKR)
            # the carried state and the output must not share memory
            return weights_BKR, weights_BKR.clone()

        weights_FBKR: Tensor
        _, weights_FBKR = scan(advance, none_BKR, keys_BFRA.transpose(0, 1), dim=0)
        return weights_FBKR.permute(1, 2, 0, 3)


class FrameAttention(nn.Module):
    """Equation (2): attention over the frames for this word.

    l_ti = w_f . tanh(W_f x_i + U_f h_{t-1} + b_f); b_t = softmax_i l_t.

    Args:
        channels: C.
        attention_size: A.
        hidden_size: D.
    """

    def __init__(self, channels: int, attention_size: int, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, attention_size)
        self.query = nn.Linear(hidden_size, attention_size, bias=False)
        self.score = nn.Linear(attention_size, 1, bias=False)
        nn.init.xavier_uniform_(self.key.weight)

    def forward(self, keys_BKFA: Tensor, h_BKD: Tensor, real_BF: Tensor) -> Tensor:
        """Weights (B, K, F), summing to 1 over the real frames, exactly 0 on padding."""
        inner_BKFA = keys_BKFA + self.query(h_BKD).unsqueeze(2)
        scores_BKF = self.score(torch.tanh(inner_BKFA)).squeeze(-1)
        weights_BKF: Tensor = scores_BKF.masked_fill(~real_BF[:, None], -torch.inf).softmax(-1)
        return weights_BKF


class PhraseAttention(nn.Module):
    """Equation (3): attention over the phrases that end the words so far.

    p_ts = tanh(W_s [e_{t-s}; ...; e_{t-1}]); z_ts = w_z . tanh(W_z p_ts + U_z h_{t-1} + b_z);
    n_t = softmax_s z_t; E_t = sum_s n_ts p_ts. One W_s for each length s; phrases longer than
    the history do not exist.

    Args:
        embedding_size: E.
        phrase_size: P.
        phrases: S, the longest phrase.
        attention_size: A.
        hidden_size: D.
    """

    def __init__(
        self,
        embedding_size: int,
        phrase_size: int,
        phrases: int,
        attention_size: int,
        hidden_size: int,
    ) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.compose = nn.ModuleList(
            nn.Linear(length * embedding_size, phrase_size) for length in range(1, phrases + 1)
        )
        self.key = nn.Linear(phrase_size, attention_size)
        self.query = nn.Linear(hidden_size, attention_size, bias=False)
        self.score = nn.Linear(attention_size, 1, bias=False)
        for layer in (*self.compose, self.key):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, history: Tensor, exists: Tensor, h_before: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to the phrases that end here.

        Args:
            history: embeddings of the last S words, oldest first, (..., S, E).
            exists: which of them exist, bool (..., S).
            h_before: h_{t-1}, (..., D).

        Returns:
            the text feature E_t (..., P) and the weights (..., S): of the last word, of the
            last two words, and so on.
        """
        longest = len(self.compose)
        phrases = torch.stack(
            [
                torch.tanh(compose(history[..., longest - length :, :].flatten(-2)))
                for length, compose in enumerate(self.compose, start=1)
            ],
            dim=-2,
        )
        inner = torch.tanh(self.key(phrases) + self.query(h_before).unsqueeze(-2))
        scores = self.score(inner).squeeze(-1)
        # the phrase of length s needs the s-th word from the end
        weights = scores.masked_fill(~exists.flip(-1), -torch.inf).softmax(-1)
        return (weights.unsqueeze(-1) * phrases).sum(-2), weights


def can_fuse(tensor: Tensor) -> bool:
    """Whether gradients are recorded on a CPU, in the dtype of the weights or by autocast."""
    return (
        torch.is_grad_enabled()
        and tensor.device.type == "cpu"
        and (tensor.dtype in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu"))
        and not torch.compiler.is_compiling()
    )


class RegionLooks:
    """Memory-efficient additive attention to the regions of photos, without a tensor (B, K, R, A).

    weights = softmax_r(score . tanh(key_r + query)), seen = sum_r weights_r value_r. The tanh is
    computed as 2 sigma(2x) - 1, whose -1 does not change the softmax (on a CPU with AVX2 it takes a
    third of the time), for as many photos at a time as fit the cache, and recomputed in the
    backward pass. The backward pass of a word stores what the gradients of keys, values and score
    are computed from; these are computed once, after the last word: autograd waits for it because
    every word reads a token. Equal to the plain formula to rounding; it has no second derivatives.

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
        self.walked: list[
            tuple[Tensor, Tensor]
        ] = []  # weights and the gradient of the attended value
        self.keys_gradient_BRA: Tensor | None = None
        self.score_gradient_A = torch.zeros_like(self.score_A)
        self._token: Tensor = _LookedAt.apply(keys_BRA, values_BRM, score_A, self)

    def __call__(self, query_BKA: Tensor) -> tuple[Tensor, Tensor]:
        """The attended values (B, K, M) and the weights (B, K, R)."""
        seen_BKM, weights_BKR = _WordAttention.apply(self._token, query_BKA, self)
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
        """The gradient of a query (B, K, A); contributions to those of keys, values and score are
        stored.

        Args:
            query_BKA: of the step.
            weights_BKR: the attention weights.
            seen_BKM: gradient of the attended values.
            weighed_BKR: gradient of the weights, if they were used.
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
        """The gradients of keys, values and score, over all words."""
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
    """Autograd function of the inputs that all words share."""

    @staticmethod
    def forward(
        ctx: Any, keys_BRA: Tensor, values_BRM: Tensor, score_A: Tensor, looks: RegionLooks
    ) -> Tensor:
        ctx.looks = looks
        return score_A.new_zeros(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, token: Tensor) -> tuple[Tensor | None, ...]:
        return *ctx.looks.gradients(), None


class _WordAttention(torch.autograd.Function):
    """Autograd function of the attention of one word."""

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
    def backward(
        ctx: Any, seen_BKM: Tensor | None, weighed_BKR: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        query_BKA, weights_BKR = ctx.saved_tensors
        if seen_BKM is None:
            seen_BKM = query_BKA.new_zeros(*query_BKA.shape[:2], ctx.looks.values_BRM.shape[2])
        query_gradient_BKA = ctx.looks.walk_back(query_BKA, weights_BKR, seen_BKM, weighed_BKR)
        return query_BKA.new_zeros(1), query_gradient_BKA, None


class _Idle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, used: Tensor, *idle: Tensor) -> Tensor:
        ctx.save_for_backward(*idle)
        return used.view_as(used)

    @staticmethod
    def backward(ctx: Any, used: Tensor) -> tuple[Tensor, ...]:
        return used, *(torch.zeros_like(tensor) for tensor in ctx.saved_tensors)


def with_idle(used: Tensor, module: nn.Module) -> Tensor:
    """``used``, with gradients of zero for the parameters of a module that had no effect on it.

    Without a gradient an optimiser would leave them alone, and not decay them.
    """
    result: Tensor = _Idle.apply(used, *module.parameters())
    return result
