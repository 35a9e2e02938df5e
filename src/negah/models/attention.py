"""The co-attention of CAM-RNN: over regions, over frames, and over phrases.

B. Zhao, X. Li, X. Lu, "CAM-RNN: Co-Attention Model Based RNN for Video Captioning",
IEEE Transactions on Image Processing 28(11), 2019. Equation numbers follow
``docs/cam-rnn.md``. All three are additive attention (Bahdanau et al. 2015):
score = w . tanh(W key + U query + b).

Axes: B photos or clips, K captions of each, F frames, R regions of a frame, C channels,
A attention size, D hidden size, S phrase lengths, P phrase size, T words, E embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from negah.models.fused import StepLinear


class RegionAttention(nn.Module):
    """Equation (1): which grid cells of each frame count.

    q_ij = w_r . tanh(W_r r_ij + U_r a_{i-1,j} [+ H_r h_{t-1}] + b_r); a_i = softmax_j q_i.

    The weight of the same cell in the frame before enters as a scalar, 0 for the first frame,
    so attention stays continuous over time and frames are walked in order. Without ``h``
    ("none", the paper) the weights belong to the clip; with it ("hidden", our extension) they
    belong to the word, which is what lets a still image show where a word came from.

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
        """The same walk as a loop inside the graph, so that an exported one takes any F."""
        captions = query_BK1A.shape[1] if isinstance(query_BK1A, Tensor) else 1
        none_BKR = keys_BFRA.new_zeros(keys_BFRA.shape[0], captions, keys_BFRA.shape[2])

        def advance(before_BKR: Tensor, keys_BRA: Tensor) -> tuple[Tensor, Tensor]:
            weights_BKR = self._frame(keys_BRA, query_BK1A, before_BKR)
            # what is carried on and what is given out may not share memory
            return weights_BKR, weights_BKR.clone()

        weights_FBKR: Tensor
        _, weights_FBKR = scan(advance, none_BKR, keys_BFRA.transpose(0, 1), dim=0)
        return weights_FBKR.permute(1, 2, 0, 3)


class FrameAttention(nn.Module):
    """Equation (2): which frames count for this word.

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

    def forward(self, keys_BKFA: Tensor, h_BKD: Tensor, frames_BF: Tensor) -> Tensor:
        """Weights (B, K, F), summing to 1 over the real frames, exactly 0 on padding."""
        inner_BKFA = keys_BKFA + self.query(h_BKD).unsqueeze(2)
        scores_BKF = self.score(torch.tanh(inner_BKFA)).squeeze(-1)
        weights_BKF: Tensor = scores_BKF.masked_fill(~frames_BF[:, None], -torch.inf).softmax(-1)
        return weights_BKF


class PhraseAttention(nn.Module):
    """Equation (3): which of the phrases that end the words so far counts.

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
            exists: which of them are there, bool (..., S).
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
