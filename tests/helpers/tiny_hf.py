"""Tiny captioners of Hugging Face with random weights, saved as ``save_pretrained`` writes them.

Each has a couple of layers, reads pictures of 32 x 32 pixels in patches of 8, and knows some tens
of words. Weights are drawn wide, so that captions differ from picture to picture, and the end
token is made likelier, so that most captions end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BertConfig,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    CLIPImageProcessor,
    DeiTConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    GenerationConfig,
    GitConfig,
    GitForCausalLM,
    GPT2Config,
    PreTrainedTokenizerFast,
    RobertaConfig,
    SwinConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
)

WORDS = [
    "a",
    "the",
    "dog",
    "cat",
    "man",
    "woman",
    "child",
    "ball",
    "grass",
    "water",
    "runs",
    "sits",
    "jumps",
    "plays",
    "over",
    "on",
    "in",
    "red",
    "brown",
    "small",
    "big",
    "two",
    "with",
    "and",
    "near",
    "beach",
    "snow",
    "field",
    "street",
    "boy",
    "girl",
]
PIECES = ("##s", "##ing", "##ed")


def word_pieces() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer as BERT's: BLIP and GIT have it."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *PIECES]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(prefix="##")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def byte_pairs(*special: str, **named: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer: a word has one id inside a sentence and another at its start."""
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges: list[tuple[str, str]] = []
    known = set(tokens)
    for word in [*(f"Ġ{word}" for word in WORDS), "dog", "cat"]:
        left = word[0]
        for letter in word[1:]:
            if left + letter not in known:
                known.add(left + letter)
                tokens.append(left + letter)
                merges.append((left, letter))
            left += letter
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named)


def gpt2_tokenizer() -> PreTrainedTokenizerFast:
    end = "<|endoftext|>"
    return byte_pairs(end, bos_token=end, eos_token=end, pad_token=end)


def bart_tokenizer() -> PreTrainedTokenizerFast:
    return byte_pairs(
        "<s>", "<pad>", "</s>", "<unk>", "<image>",
        bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>",
        cls_token="<s>", sep_token="</s>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip


def draw_weights(model: torch.nn.Module, seed: int, width: float = 0.2) -> None:
    """Random weights, wide enough that pictures lead to different words."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        sees = "patch_embed" in name or "visual_projection.0" in name or "convs.0" in name
        noise = torch.randn(weight.shape, generator=generator) * width * (4 if sees else 1)
        centre = 1.0 if weight.ndim == 1 and "norm" in name.lower() and "weight" in name else 0.0
        weight.data.copy_(noise + centre)


def forward(model: Any, pixels: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """transformers' own scores (N, T, V) of what follows each token, without a cache."""
    with torch.no_grad():
        if isinstance(model, Florence2ForConditionalGeneration):
            logits = model(
                pixel_values=pixels, input_ids=question(model, pixels), decoder_input_ids=tokens
            ).logits
        elif isinstance(model, VisionEncoderDecoderModel):
            logits = model(pixel_values=pixels, decoder_input_ids=tokens).logits
        else:
            logits = model(pixel_values=pixels, input_ids=tokens).logits
        return logits[:, -tokens.shape[1] :]  # GIT scores the tokens of the picture as well


def question(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    """What Florence-2's processor gives its encoder to read beside the picture: (N, T)."""
    places = model.get_image_features(pixels).pooler_output.shape[1]
    asked = bart_tokenizer()("<s>What does the image describe?</s>", add_special_tokens=False)
    return torch.tensor([4] * places + asked["input_ids"]).expand(len(pixels), -1)


def let_it_end(model: Any, end: int, add: Callable[[float], None], share: float = 0.2) -> None:
    """Make the end token the likeliest after about a ``share`` of random beginnings."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(8, 3, 32, 32, generator=generator)
    tokens = torch.randint(5, 39, (8, 12), generator=generator)
    logits = forward(model.eval(), pixels, tokens)[:, 1:].flatten(0, 1)
    others = logits.clone()
    others[:, end] = -torch.inf
    add(float((others.max(1).values - logits[:, end]).quantile(share)))


def favour(weight_VD: torch.Tensor, bias_D: torch.Tensor, token: int) -> Callable[[float], None]:
    """What adds to the logit of a token by the bias of the layer before the output."""

    def add(gain: float) -> None:
        row_D = weight_VD[token].detach()
        bias_D.data.add_(gain * row_D / row_D.square().sum())

    return add


def _vit(**options: Any) -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 32,
        "patch_size": 8,
        **options,
    }


def blip(folder: Path, seed: int) -> None:
    tokenizer = word_pieces()
    words = len(tokenizer)
    # as in the published models, the start token is beyond the tokenizer's
    text = {
        "vocab_size": words + 2, "hidden_size": 16, "encoder_hidden_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 40, "bos_token_id": words, "pad_token_id": 0,
        "sep_token_id": 3, "eos_token_id": 3, "projection_dim": 16,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=_vit(projection_dim=16), projection_dim=16)
    model = BlipForConditionalGeneration(config)
    model.tie_weights()
    draw_weights(model, seed)
    let_it_end(model, 3, model.text_decoder.cls.predictions.bias.data[3].add_)
    processor = BlipImageProcessor(size={"height": 32, "width": 32})
    save(folder, model, tokenizer, processor)


def git(folder: Path, seed: int, frames: int | None = None) -> None:
    tokenizer = word_pieces()
    config = GitConfig(
        vision_config=_vit(), vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32, max_position_embeddings=40,
        bos_token_id=2, eos_token_id=3, pad_token_id=0, num_image_with_embedding=frames,
    )  # fmt: skip
    model = GitForCausalLM(config)
    model.tie_weights()
    draw_weights(model, seed)
    let_it_end(model, 3, model.output.bias.data[3].add_)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    save(folder, model, tokenizer, processor)


def vit_gpt2(folder: Path, seed: int) -> None:
    """Like ViT-GPT2 and distilvit: one token starts, ends and pads; the widths differ."""
    tokenizer = gpt2_tokenizer()
    decoder = GPT2Config(
        vocab_size=len(tokenizer), n_embd=24, n_layer=2, n_head=2, n_positions=64,
        bos_token_id=0, eos_token_id=0, pad_token_id=0, add_cross_attention=True, is_decoder=True,
    )  # fmt: skip
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(**_vit()), decoder, decoder_start_token_id=0, pad_token_id=0, eos_token_id=0
    )
    model = VisionEncoderDecoderModel(config)
    model.tie_weights()
    draw_weights(model, seed)
    transformer = model.decoder.transformer
    let_it_end(model, 0, favour(transformer.wte.weight, transformer.ln_f.bias, 0), 0.4)
    save(folder, model, tokenizer, ViTImageProcessor(size={"height": 32, "width": 32}))


def vit_bert(folder: Path, seed: int) -> None:
    decoder = BertConfig(**_text(), add_cross_attention=True, is_decoder=True)
    model = _encoder_decoder(ViTConfig(**_vit()), decoder, seed)
    let_it_end(model, 3, model.decoder.cls.predictions.bias.data[3].add_)
    save(folder, model, word_pieces(), ViTImageProcessor(size={"height": 32, "width": 32}))


def deit_roberta(folder: Path, seed: int) -> None:
    decoder = RobertaConfig(**_text(), add_cross_attention=True, is_decoder=True)
    model = _encoder_decoder(DeiTConfig(**_vit()), decoder, seed)
    save(folder, model, word_pieces(), ViTImageProcessor(size={"height": 32, "width": 32}))


def swin_bart(folder: Path, seed: int) -> None:
    encoder = SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    decoder = BartConfig(
        vocab_size=len(word_pieces()), d_model=16, decoder_layers=2, decoder_attention_heads=2,
        decoder_ffn_dim=32, max_position_embeddings=40, pad_token_id=0, bos_token_id=2,
        eos_token_id=3, forced_eos_token_id=None, add_cross_attention=True, is_decoder=True,
    )  # fmt: skip
    model = _encoder_decoder(encoder, decoder, seed)
    save(folder, model, word_pieces(), ViTImageProcessor(size={"height": 32, "width": 32}))


def _text() -> dict[str, Any]:
    return {
        "vocab_size": len(word_pieces()), "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40,
        "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
    }  # fmt: skip


def _encoder_decoder(encoder: Any, decoder: Any, seed: int) -> Any:
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder, decoder, decoder_start_token_id=2, pad_token_id=0, eos_token_id=3
    )
    model = VisionEncoderDecoderModel(config)
    model.tie_weights()
    draw_weights(model, seed)
    return model


def florence2(folder: Path, seed: int) -> None:
    tokenizer = bart_tokenizer()
    text = {
        "model_type": "bart", "vocab_size": len(tokenizer), "d_model": 16, "encoder_layers": 2,
        "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 128,
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
    }  # fmt: skip
    vision = {
        "depths": (1, 1), "patch_size": (7, 3), "patch_stride": (4, 2), "patch_padding": (3, 1),
        "patch_prenorm": (False, True), "embed_dim": (8, 16), "num_heads": (2, 2),
        "num_groups": (2, 2), "window_size": 4, "projection_dim": 16,
        "max_temporal_embeddings": 4, "max_position_embeddings": 8,
    }  # fmt: skip
    config = Florence2Config(
        text_config=text, vision_config=vision, image_token_id=4, decoder_start_token_id=2
    )
    model = Florence2ForConditionalGeneration(config)
    model.tie_weights()
    draw_weights(model, seed)
    decoder = model.model.language_model.decoder
    bias = decoder.layers[-1].final_layer_norm.bias
    let_it_end(model, 2, favour(model.lm_head.weight, bias, 2), 0.5)
    processor = CLIPImageProcessor(
        size={"height": 32, "width": 32}, do_center_crop=False, do_convert_rgb=True
    )
    generation = GenerationConfig(
        decoder_start_token_id=2, forced_bos_token_id=0, bos_token_id=0, eos_token_id=2,
        pad_token_id=1, num_beams=3, no_repeat_ngram_size=3, early_stopping=True,
    )  # fmt: skip
    model.generation_config = generation
    save(folder, model, tokenizer, processor)


def save(folder: Path, model: Any, tokenizer: Any, processor: Any) -> None:
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n", encoding="utf-8")


BUILDERS: dict[str, Callable[[Path, int], None]] = {
    "blip": blip,
    "git": git,
    "vit-gpt2": vit_gpt2,
    "vit-bert": vit_bert,
    "florence2": florence2,
}


PARTS: dict[str, Callable[[Path, int], None]] = {
    "deit-roberta": deit_roberta,
    "swin-bart": swin_bart,
}


def pictures(number: int, seed: int = 0) -> list[Image.Image]:
    """Photos of noise in large patches, of several sizes."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        shape = (*random.integers(3, 9, 2), 3)
        colour, noise = random.integers(0, 256, 3), random.integers(-90, 90, shape)
        small = (colour + noise).clip(0, 255).astype(np.uint8)
        size = (int(random.integers(40, 90)), int(random.integers(40, 90)))
        made.append(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))
    return made


def change_json(path: Path, **values: Any) -> None:
    """Replace some values of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **values}), encoding="utf-8")
