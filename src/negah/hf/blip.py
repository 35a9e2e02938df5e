"""BLIP (J. Li et al., ICML 2022, arXiv:2201.12086): a ViT, and a BERT with cross-attention to it.

As in the model's ``generate``, a caption starts with BLIP's decoding token and ends with ``[SEP]``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from negah.decoding import StepModel
from negah.hf.family import Family
from negah.hf.steps import CrossAttentionSteps, share_attention


class Blip(Family):
    """``BlipForConditionalGeneration``."""

    model_class = "BlipForConditionalGeneration"

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._vision = model.vision_model
        self._text = model.text_decoder
        text = model.config.text_config
        self.prefix = (text.bos_token_id,)
        self.end = text.sep_token_id
        self.size = text.vocab_size
        self.positions = text.max_position_embeddings
        self.generation = model.generation_config
        share_attention(layer.crossattention.self for layer in self._text.bert.encoder.layer)

    def encode(self, pixels_N3HW: Tensor) -> Tensor:
        """The last hidden states of the ViT: the picture as a whole, then its patches."""
        hidden_NRC: Tensor = self._vision(pixel_values=pixels_N3HW).last_hidden_state
        return hidden_NRC

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Patches."""
        patch = self._vision.config.patch_size
        return height // patch, width // patch

    def steps(self, cells: int) -> StepModel:
        """By cross-attention."""
        return CrossAttentionSteps(self, self.prefix, self.positions, cells)

    def memory(self, features_BRC: Tensor) -> Tensor:
        """The hidden states as they are."""
        return features_BRC

    def logits(self, tokens_NT: Tensor, memory_BRC: Tensor, cache: Any) -> Tensor:
        """Scores (N, T, V)."""
        logits_NTV: Tensor = self._text(
            input_ids=tokens_NT,
            encoder_hidden_states=memory_BRC,
            cache=cache,
            use_cache=True,
            is_decoder=True,
        ).logits
        return logits_NTV
