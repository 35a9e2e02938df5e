"""Vision-encoder-decoder models: a picture encoder, and a language model that attends to it.

ViT-GPT2 and Mozilla's distilvit (a ViT with DistilGPT2) are of this kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from negah.decoding import StepModel
from negah.errors import UsageError
from negah.hf.family import Family
from negah.hf.steps import CrossAttentionSteps, share_attention

#: The modules of cross-attention of each decoder that is supported.
_CROSS: Mapping[str, Callable[[Any], Iterable[Any]]] = {
    "gpt2": lambda decoder: (layer.crossattention for layer in decoder.transformer.h),
    "bert": lambda decoder: (layer.crossattention.self for layer in decoder.bert.encoder.layer),
    "roberta": lambda decoder: (
        layer.crossattention.self for layer in decoder.roberta.encoder.layer
    ),
    "bart": lambda decoder: (layer.encoder_attn for layer in decoder.model.decoder.layers),
}


class VisionEncoderDecoder(Family):
    """``VisionEncoderDecoderModel`` with a decoder of GPT-2, BERT, RoBERTa or BART.

    Raises:
        UsageError: another decoder.
    """

    model_class = "VisionEncoderDecoderModel"

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        decoder = model.config.decoder
        if decoder.model_type not in _CROSS:
            raise UsageError(
                f"the decoder of this vision-encoder-decoder model is {decoder.model_type!r}; "
                f"supported are {', '.join(_CROSS)}"
            )
        self.generation = model.generation_config
        start = _first(
            self.generation.decoder_start_token_id,
            getattr(model.config, "decoder_start_token_id", None),
            self.generation.bos_token_id,
            decoder.bos_token_id,
        )
        forced = self.generation.forced_bos_token_id
        self.prefix = (start,) if forced is None else (start, forced)
        self.end = _first(self.generation.eos_token_id, decoder.eos_token_id)
        self.size = decoder.vocab_size
        self.positions = decoder.max_position_embeddings
        if decoder.model_type == "roberta":  # counts from behind the padding token's id
            self.positions -= decoder.pad_token_id + 1
        share_attention(_CROSS[decoder.model_type](model.decoder))

    def encode(self, pixels_N3HW: Tensor) -> Tensor:
        """The last hidden states of the encoder."""
        hidden_NRC: Tensor = self._model.encoder(pixel_values=pixels_N3HW).last_hidden_state
        return hidden_NRC

    def grid(self, height: int, width: int) -> tuple[int, int] | None:
        """Patches, after the merging of hierarchical encoders such as Swin."""
        encoder = self._model.config.encoder
        patch = getattr(encoder, "patch_size", None)
        if not isinstance(patch, int):
            return None
        side = patch * 2 ** (len(getattr(encoder, "depths", ".")) - 1)
        return height // side, width // side

    def steps(self, cells: int) -> StepModel:
        """By cross-attention."""
        return CrossAttentionSteps(self, self.prefix, self.positions, cells)

    def memory(self, features_BRC: Tensor) -> Tensor:
        """The hidden states, projected if the decoder has another width."""
        project = getattr(self._model, "enc_to_dec_proj", None)
        return features_BRC if project is None else project(features_BRC)

    def logits(self, tokens_NT: Tensor, memory_BRC: Tensor, cache: Any) -> Tensor:
        """Scores (N, T, V)."""
        # Without a mask, decoders whose start token is their padding warn.
        seen = torch.ones(len(tokens_NT), cache.get_seq_length() + tokens_NT.shape[1])
        logits_NTV: Tensor = self._model.decoder(
            input_ids=tokens_NT,
            attention_mask=seen,
            encoder_hidden_states=memory_BRC,
            cache=cache,
            use_cache=True,
        ).logits
        return logits_NTV


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
