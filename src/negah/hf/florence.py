"""Florence-2 (B. Xiao et al., CVPR 2024, arXiv:2311.06242): DaViT and BART, with a text prompt.

The encoder of BART reads the tokens of the picture and the question for ``<CAPTION>``, once per
photo; words attend to both. The class is that of transformers 5.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from negah.decoding import StepModel
from negah.hf.family import Family
from negah.hf.steps import CrossAttentionSteps, share_attention

#: What the processor of Florence-2 makes of the task ``<CAPTION>``.
QUESTION = "What does the image describe?"


class Florence2(Family):
    """``Florence2ForConditionalGeneration``."""

    model_class = "Florence2ForConditionalGeneration"
    attention = {"text_config": "eager", "vision_config": "sdpa"}  # noqa: RUF012 - read only

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._language = model.model.language_model
        text = model.config.text_config
        self.generation = model.generation_config
        start = self.generation.decoder_start_token_id
        start = text.decoder_start_token_id if start is None else start
        forced = self.generation.forced_bos_token_id
        self.prefix = (start,) if forced is None else (start, forced)
        self.end = text.eos_token_id
        self.size = text.vocab_size
        self.positions = text.max_position_embeddings
        asked = f"{tokenizer.bos_token}{QUESTION}{tokenizer.eos_token}"
        self._question_T = torch.tensor(tokenizer(asked, add_special_tokens=False)["input_ids"])
        share_attention(layer.encoder_attn for layer in self._language.decoder.layers)

    def encode(self, pixels_N3HW: Tensor) -> Tensor:
        """The inputs of BART's encoder for the picture: the mean of its cells, then the cells."""
        tokens_NRC: Tensor = self._model.model.get_image_features(pixels_N3HW).pooler_output
        return tokens_NRC

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Cells after the last stage of DaViT."""
        vision = self._model.config.vision_config
        sides = []
        for side in (height, width):
            stages = zip(vision.patch_size, vision.patch_stride, vision.patch_padding, strict=True)
            for size, stride, padding in stages:
                side = (side + 2 * padding - size) // stride + 1
            sides.append(side)
        return sides[0], sides[1]

    def steps(self, cells: int) -> StepModel:
        """By cross-attention to the picture and the question, which is left out of the evidence."""
        return CrossAttentionSteps(self, self.prefix, self.positions, cells)

    def memory(self, features_BRC: Tensor) -> Tensor:
        """The output of BART's encoder for the picture and the question."""
        words_TC = self._language.get_input_embeddings()(self._question_T)
        words_BTC = words_TC.expand(len(features_BRC), -1, -1)
        inputs = torch.cat([features_BRC, words_BTC], dim=1)
        memory_BRC: Tensor = self._language.encoder(inputs_embeds=inputs).last_hidden_state
        return memory_BRC

    def logits(self, tokens_NT: Tensor, memory_BRC: Tensor, cache: Any) -> Tensor:
        """Scores (N, T, V)."""
        hidden_NTC = self._language.decoder(
            input_ids=tokens_NT, encoder_hidden_states=memory_BRC, cache=cache, use_cache=True
        ).last_hidden_state
        logits_NTV: Tensor = self._model.lm_head(hidden_NTC)
        return logits_NTV
