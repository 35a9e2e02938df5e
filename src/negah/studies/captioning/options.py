"""Data and budget of the captioners that studies train."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from negah.decoding import DecodingOptions
from negah.options import Options

#: The metrics that need nothing but the captions, by their names here.
METRIC_NAMES = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
}


class CaptionOptions(Options):
    """Data and budget of a captioner's training; defaults are those of the full settings."""

    encoder: str = Field("efficientnet-lite0", description="as in a recipe")
    weights: str = Field("auto", description="of the encoder, as in a recipe")
    size: int = Field(0, ge=0, description="the encoder's input in pixels; 0 is its own")
    trainable_blocks: int = Field(0, ge=0, description="last blocks of the encoder that learn")
    photos: int = Field(6000, ge=1, description="training photos, evenly from the official list")
    captions: int = Field(2, ge=1, description="captions of a photo in an epoch")
    dev_photos: int = Field(200, ge=1, description="held-out photos that curves are measured on")
    test_photos: int = Field(1000, ge=1, description="held-out photos that scores are measured on")
    min_count: int = Field(5, ge=1, description="rarer words are <UNK>")
    max_tokens: int = Field(24, ge=2, description="longer training captions are cut here")
    embedding_size: int = Field(128, ge=1, description="E")
    hidden_size: int = Field(192, ge=1, description="D")
    dropout: float = Field(0.1, ge=0, lt=1, description="on words, picture and before the output")
    epochs: int = Field(3, ge=1, description="times that a photo is seen")
    batch: int = Field(16, ge=1, description="photos of a step")
    learning_rate: float = Field(6e-3, gt=0, description="the highest; warm-up, then a cosine to 0")
    warmup_steps: int = Field(50, ge=0, description="steps until the highest rate")
    clip_norm: float = Field(5.0, ge=0, description="largest norm of the gradient; 0 is no limit")
    beam: int = Field(3, ge=1, description="of the captions that are scored")

    def decoding(self) -> DecodingOptions:
        """How captions are made."""
        most = max(self.max_tokens, 2)
        return DecodingOptions(
            method="beam", beam=self.beam, length_normalisation=1.0, max_length=most
        )


def quick_captions(**changes: Any) -> CaptionOptions:
    """Seconds instead of minutes, on the made photos."""
    values: dict[str, Any] = {
        "encoder": "test_efficientnet",
        "weights": "random",
        "size": 64,
        "photos": 24,
        "dev_photos": 6,
        "test_photos": 6,
        "min_count": 1,
        "embedding_size": 16,
        "hidden_size": 16,
        "epochs": 2,
        "batch": 8,
        "learning_rate": 1e-2,
        "warmup_steps": 1,
        "beam": 1,
    }
    return CaptionOptions(**{**values, **changes})
