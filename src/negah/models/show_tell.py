"""Show and Tell: the picture as the first word of a recurrent language model.

O. Vinyals, A. Toshev, S. Bengio, D. Erhan, "Show and Tell: A Neural Image Caption Generator", CVPR
2015. The mean region feature, projected to the embedding size, is read before ``<SOS>``; after that
the picture is not an input any more. It has no attention and no evidence: it is the baseline of the
other models.

Axes: B photos or clips, F frames, R regions, C channels, K captions, T words, N words that
count, E embedding size, L layers, D hidden size, V vocabulary.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from negah.models.caption_model import (
    CAPTIONERS,
    CaptionerOptions,
    CaptionModel,
    StepOutput,
    Tensors,
    flatten_words,
)
from negah.models.embedding import WordEmbedding
from negah.models.stacks import CellStack

_NETWORKS: dict[str, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
}


class ShowTellOptions(CaptionerOptions):
    """Sizes of a Show-and-Tell captioner."""

    kind: Literal["show-tell"] = "show-tell"
    cell: Literal["lstm", "gru", "gru-no-reset", "rnn"] = Field(
        "lstm", description="the recurrent network"
    )
    layers: int = Field(1, ge=1, le=64, description="L, stacked recurrent layers")
    embedding_size: int = Field(512, ge=1, le=4096, description="E")
    word_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="width of the table of word vectors, which a learned map brings to E; "
        "0: E, without a map",
    )
    hidden_size: int = Field(512, ge=1, le=4096, description="D")
    dropout: float = Field(0.5, ge=0, lt=1, description="on words, picture and before the output")


@CAPTIONERS.register("show-tell", ShowTellOptions)
class ShowTell(CaptionModel):
    """The picture first, then the words.

    Args:
        options: sizes.
        channels: C.
        vocabulary_size: V.
    """

    def __init__(self, options: ShowTellOptions, channels: int, vocabulary_size: int) -> None:
        super().__init__()
        self.options: ShowTellOptions = options
        self.channels = channels
        self.vocabulary_size = vocabulary_size
        self.embedding = WordEmbedding(vocabulary_size, options.embedding_size, options.word_size)
        self.project = nn.Linear(channels, options.embedding_size)
        between = options.dropout if options.layers > 1 else 0.0
        sizes = options.embedding_size, options.hidden_size, options.layers
        self.network: nn.Module = (
            _NETWORKS[options.cell](*sizes, batch_first=True, dropout=between)
            if options.cell in _NETWORKS
            else CellStack(options.cell, *sizes, between)
        )
        self.output = nn.Linear(options.hidden_size, vocabulary_size)
        self.drop = nn.Dropout(options.dropout)
        self.embedding.initialize()
        nn.init.zeros_(self.output.bias)
        if isinstance(self.network, nn.LSTM):
            self._remember_at_first(self.network)

    @staticmethod
    @torch.no_grad()
    def _remember_at_first(network: nn.LSTM) -> None:
        """Forget gates that begin at 1 (Jozefowicz et al. 2015).

        With PyTorch's default initialisation, half a percent of a change is left after ten words,
        and the picture is read before the first.
        """
        for layer in range(network.num_layers):
            bias = getattr(network, f"bias_ih_l{layer}")
            bias[network.hidden_size : 2 * network.hidden_size] = 1.0

    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """Read the picture; the state after it is the only memory."""
        _, state = self.network(self.drop(self._picture(features_BFRC, real_BF))[:, None])
        return {}, _name_state(state, captions=1)

    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        """Read one word and score the next."""
        batch, captions = tokens_BK.shape
        words_N1E = self.embedding(tokens_BK).reshape(batch * captions, 1, -1)
        output_N1D, after = self.network(words_N1E, self._network_state(state))
        logits_BKV = self.output(output_N1D).reshape(batch, captions, -1)
        return StepOutput(logits_BKV, _name_state(after, captions), {})

    def forward(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing (see the base class)."""
        batch, captions, steps = inputs_BKT.shape
        picture_BE = self._picture(features_BFRC, real_BF)
        words_BKTE = self.embedding(inputs_BKT)
        first_BK1E = picture_BE[:, None, None].expand(-1, captions, 1, -1)
        sequence = self.drop(torch.cat([first_BK1E, words_BKTE], dim=2)).flatten(0, 1)
        output_NTD, _ = self.network(sequence)
        output_BKTD = output_NTD[:, 1:].reshape(batch, captions, steps, -1)
        logits: Tensor = self.output(self.drop(flatten_words(output_BKTD, counts_BKT)))
        return logits

    def _picture(self, features_BFRC: Tensor, real_BF: Tensor | None) -> Tensor:
        frames_BFC = features_BFRC.mean(2)
        if real_BF is None:
            mean_BC = frames_BFC.mean(1)
        else:
            real_BF1 = real_BF.unsqueeze(-1).to(frames_BFC.dtype)
            mean_BC = (frames_BFC * real_BF1).sum(1) / real_BF1.sum(1)
        picture: Tensor = self.project(mean_BC)
        return picture

    def _network_state(self, state: Tensors) -> Tensor | tuple[Tensor, Tensor]:
        """Named tensors (B, K, L, D) to what torch's networks take, (L, B x K, D)."""
        h = state["h"].flatten(0, 1).transpose(0, 1).contiguous()
        if "c" not in state:
            return h
        return h, state["c"].flatten(0, 1).transpose(0, 1).contiguous()


def _name_state(state: Tensor | tuple[Tensor, Tensor], captions: int) -> Tensors:
    """What torch's networks give, (L, B x K, D), to named tensors (B, K, L, D)."""
    tensors = state if isinstance(state, tuple) else (state,)
    return {
        name: tensor.transpose(0, 1).reshape(-1, captions, *tensor.shape[::2])
        for name, tensor in zip(("h", "c"), tensors, strict=False)
    }
