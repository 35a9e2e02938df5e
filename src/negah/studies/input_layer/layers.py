"""Input layers: an embedding as the dense layer on one-hot vectors that it is, and real numbers.

Axes: ``...`` any leading axes, V vocabulary, E embedding size, X channels, Q bins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.text import PAD


class OneHotDense(nn.Module):
    """x = W one_hot(word), multiplied out: what an embedding computes by looking a row up.

    ``<PAD>`` is the zero vector, as it is in the captioners' embeddings.

    Args:
        vocabulary_size: V.
        embedding_size: E.
    """

    def __init__(self, vocabulary_size: int, embedding_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.weight = nn.Parameter(torch.empty(embedding_size, vocabulary_size))
        nn.init.normal_(self.weight, std=embedding_size**-0.5)

    def forward(self, words: Tensor) -> Tensor:
        """int64 (...) to (..., E)."""
        one_hot = F.one_hot(words, self.vocabulary_size).to(self.weight.dtype)
        one_hot[..., PAD] = 0
        return F.linear(one_hot, self.weight)


class DenseInput(nn.Module):
    """A linear layer on real numbers.

    Args:
        channels: X.
        embedding_size: E.
    """

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(channels, embedding_size)

    def forward(self, values: Tensor) -> Tensor:
        """(..., X) to (..., E)."""
        found: Tensor = self.layer(values)
        return found


class BinnedEmbedding(nn.Module):
    """Real numbers as words: each channel's value is the bin that it falls in, looked up.

    Bins hold equally many of the values that they are made from; what lies outside falls in the
    first or the last. The vectors of all channels are summed, so that this is
    :class:`DenseInput` with one-hot bins in place of the numbers.

    Args:
        values: that bins are made from, (days, X).
        bins: Q of each channel.
        embedding_size: E.
    """

    edges_XQ: Tensor

    def __init__(self, values: Tensor, bins: int, embedding_size: int) -> None:
        super().__init__()
        inner = torch.linspace(0, 1, bins + 1)[1:-1]
        self.register_buffer("edges_XQ", torch.quantile(values, inner, dim=0).T.contiguous())
        channels = values.shape[-1]
        tables = [nn.Embedding(bins, embedding_size) for _ in range(channels)]
        for table in tables:
            nn.init.normal_(table.weight, std=(channels * embedding_size) ** -0.5)
        self.tables = nn.ModuleList(tables)

    def forward(self, values: Tensor) -> Tensor:
        """(..., X) to (..., E)."""
        bins = torch.searchsorted(self.edges_XQ, values.movedim(-1, 0).flatten(1).contiguous())
        summed = sum(table(row) for table, row in zip(self.tables, bins, strict=True))
        assert isinstance(summed, Tensor)
        return summed.reshape(*values.shape[:-1], -1)
