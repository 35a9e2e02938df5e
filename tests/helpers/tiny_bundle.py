"""Tiny but real bundles: small captioners with random weights, exported as any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from negah.bundle import Provenance, Score, TrainingData
from negah.export import Description, export_bundle
from negah.models import (
    CaptionerOptions,
    CaptionModel,
    Encoder,
    EncoderOptions,
    build_captioner,
    captioner_options,
    load_encoder,
)
from negah.models.concepts import Concepts
from negah.text import Tokenizer, WordTokenizer

CAPTIONS = (
    "a black dog runs through the green grass with a red ball",
    "two children play with a yellow ball in the water",
    "a man in a blue shirt rides a bicycle on the street",
    "a woman with a white hat sits on a bench near a dog",
)

_SMALL: dict[str, dict[str, Any]] = {
    "cam-rnn": {
        "embedding_size": 32,
        "hidden_size": 32,
        "visual_size": 32,
        "attention_size": 16,
        "phrase_size": 16,
    },
    "show-tell": {"embedding_size": 32, "hidden_size": 32},
}


def tiny_tokenizer() -> WordTokenizer:
    """A vocabulary of some thirty words."""
    return WordTokenizer.build(CAPTIONS, min_count=1)


def tiny_encoder(*, seed: int = 0, **options: Any) -> Encoder:
    """timm's smallest EfficientNet, random weights: 64 x 64 pixels, 2 x 2 regions, 256 channels.

    Batch-norm statistics are those of noise, so that features differ from picture to picture.
    """
    torch.manual_seed(seed)
    tiny = {"name": "test_efficientnet", "weights": "random", "size": 64}
    encoder = load_encoder(EncoderOptions.parse({**tiny, **options}, where="tiny encoder"))
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
            module.training = True
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums come out the same on every machine
    with torch.no_grad():
        encoder(torch.randn(8, 3, 64, 64))
    torch.set_num_threads(threads)
    return encoder.eval()


def tiny_options(kind: str = "cam-rnn", **options: Any) -> CaptionerOptions:
    """Options of a captioner of 32 units."""
    return captioner_options({"kind": kind, **_SMALL[kind], **options})


def tiny_captioner(
    options: CaptionerOptions,
    *,
    channels: int,
    vocabulary_size: int,
    seed: int = 0,
    concepts: Concepts | None = None,
) -> CaptionModel:
    """A captioner whose weights are large enough for its captions to differ between pictures."""
    torch.manual_seed(seed)
    captioner = build_captioner(
        options, channels=channels, vocabulary_size=vocabulary_size, concepts=concepts
    )
    with torch.no_grad():
        for parameter in captioner.parameters():
            parameter.mul_(2.0)
    return captioner.eval()


def make_tiny_bundle(
    folder: Path,
    *,
    kind: str = "cam-rnn",
    clip_frames: int = 1,
    stream: str = "appearance",
    seed: int = 0,
    tokenizer: Tokenizer | None = None,
    concepts: Sequence[str] = (),
    reads_concepts: bool = False,
    int8: bool = False,
    **options: Any,
) -> Path:
    """Export a small captioner with random weights.

    Args:
        folder: where the bundle shall be.
        kind: "cam-rnn" or "show-tell".
        clip_frames: that it samples from a clip.
        stream: what its encoder sees.
        seed: of the weights.
        tokenizer: by default :func:`tiny_tokenizer`.
        concepts: words of it that the encoder tells.
        reads_concepts: whether the captioner reads these.
        int8: whether its step graph multiplies in 8-bit integers.
        options: of the captioner, over those of :func:`tiny_options`.
    """
    encoder = tiny_encoder(seed=seed, stream=stream, concepts=len(concepts))
    encoder.add_concepts(concepts)
    tokenizer = tokenizer or tiny_tokenizer()
    model = tiny_options(kind, **options, **({"concepts": True} if reads_concepts else {}))
    captioner = tiny_captioner(
        model,
        channels=encoder.channels,
        vocabulary_size=len(tokenizer),
        seed=seed,
        concepts=encoder.concepts,
    )
    if captioner.concepts is not None:
        captioner.concepts.find_words(tokenizer.tokens, torch.full((len(concepts),), 0.1))
    export_bundle(
        encoder,
        captioner,
        tokenizer,
        folder,
        Description(
            name=f"tiny {kind}",
            licence="CC0-1.0",
            recipe={"model": model.model_dump(mode="json")},
            provenance=Provenance(
                training_data=(
                    TrainingData(name="none", licence="CC0-1.0", note="Random weights."),
                ),
                seeds=(seed,),
            ),
            scores=(
                Score(
                    dataset="none",
                    split="test",
                    metric="BLEU-4",
                    value=0.0,
                    n=1,
                    signature="made up",
                ),
            ),
            limits=("It knows nothing.",),
            clip_frames=clip_frames,
            int8=int8,
            created="2025-01-01T00:00:00+00:00",
        ),
    )
    return folder
