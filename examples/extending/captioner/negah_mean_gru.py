"""A captioner: a GRU that starts from the mean of all regions.

Axes: B photos or clips, F frames, R regions, C channels, K captions of each, T words, D hidden
size, X = B x K.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from negah.models import (
    CAPTIONERS,
    CaptionerOptions,
    CaptionModel,
    StepOutput,
    Tensors,
    flatten_words,
)
from negah.models.embedding import WordEmbedding


class MeanGruOptions(CaptionerOptions):
    kind: Literal["mean-gru"] = "mean-gru"
    hidden_size: int = 64


@CAPTIONERS.register("mean-gru", MeanGruOptions)
class MeanGru(CaptionModel):
    def __init__(self, options: MeanGruOptions, channels: int, vocabulary_size: int) -> None:
        super().__init__()
        self.options, self.channels, self.vocabulary_size = options, channels, vocabulary_size
        self.embedding = WordEmbedding(vocabulary_size, options.hidden_size)
        self.first = nn.Linear(channels, options.hidden_size)
        self.cell = nn.GRUCell(options.hidden_size, options.hidden_size)
        self.output = nn.Linear(options.hidden_size, vocabulary_size)

    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        weights_BF = features_BFRC[:, :, 0, 0] * 0 + 1 if real_BF is None else real_BF.float()
        summed_BC = (features_BFRC.mean(2) * weights_BF.unsqueeze(-1)).sum(1)
        return {}, {"h": self.first(summed_BC / weights_BF.sum(1, keepdim=True))[:, None]}

    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        words_XD, h_XD = self.embedding(tokens_BK).flatten(0, 1), state["h"].flatten(0, 1)
        h_BKD = self.cell(words_XD, h_XD).reshape(state["h"].shape)
        return StepOutput(self.output(h_BKD), {"h": h_BKD}, {})

    def forward(
        self, features_BFRC: Tensor, inputs_BKT: Tensor, counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        memory, state = self.start(features_BFRC, real_BF)
        state = {"h": state["h"].expand(-1, inputs_BKT.shape[1], -1).contiguous()}
        logits = []
        for tokens_BK in inputs_BKT.unbind(2):
            output = self.step(memory, state, tokens_BK)
            logits.append(output.logits)
            state = output.state
        return flatten_words(torch.stack(logits, dim=2), counts_BKT)
