"""The word embedding of a captioner.

By default the table has the embedding size and is learned with the captioner. A table of another
width, such as pretrained vectors, is projected by a learned linear map, whether the table is frozen
or not.

Axes: ``...`` any leading axes, W numbers of a vector in the table, E embedding size, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from negah.errors import UsageError
from negah.text import PAD


class WordEmbedding(nn.Embedding):
    """Token ids to vectors of the embedding size.

    Args:
        vocabulary_size: V.
        embedding_size: E, of the output.
        word_size: W, of the table; 0 is E without a map.

    Attributes:
        map: the linear map from W to E, without a bias so that ``<PAD>`` stays 0; None if W = 0.
    """

    def __init__(self, vocabulary_size: int, embedding_size: int, word_size: int = 0) -> None:
        super().__init__(vocabulary_size, word_size or embedding_size, padding_idx=PAD)
        self.map = nn.Linear(word_size, embedding_size, bias=False) if word_size else None

    def initialize(self) -> None:
        """Initialise from a normal distribution, with vectors of length about 1; ``<PAD>`` is 0."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        with torch.no_grad():
            self.weight[PAD].zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """Int64 (...) to float32 (..., E)."""
        words = super().forward(tokens)
        return words if self.map is None else self.map(words)

    @torch.no_grad()
    def fill(self, table_VW: npt.NDArray[np.float32], *, frozen: bool) -> None:
        """Put pretrained vectors in the table, in place.

        Args:
            table_VW: float32, one row a token (:func:`negah.text.vectors.vector_table`).
            frozen: whether the table, but not the map, is frozen.

        Raises:
            UsageError: a table of another shape.
        """
        if table_VW.shape != tuple(self.weight.shape):
            raise UsageError(
                f"word vectors of shape {table_VW.shape} do not fit a table of "
                f"{tuple(self.weight.shape)}"
            )
        self.weight.copy_(torch.from_numpy(table_VW))
        self.weight.requires_grad = not frozen
