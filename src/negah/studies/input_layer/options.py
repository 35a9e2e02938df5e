"""Sizes and budgets of the study ``input-layer``."""

from __future__ import annotations

from pydantic import Field

from negah.options import Options
from negah.studies.captioning.options import CaptionOptions
from negah.studies.study import StudyOptions

#: The kind of a forecaster that reads real numbers; others are "10 bins" and so on.
DENSE = "dense"
FRESH, FROZEN, TUNED = "words, fresh", "words, GloVe frozen", "words, GloVe fine-tuned"
CAPTIONERS = (FRESH, FROZEN, TUNED)


class WeatherOptions(Options):
    """The series and the budget of a forecaster."""

    train_years: int = Field(20, ge=1, description="of the training series")
    dev_years: int = Field(5, ge=1, description="of the series that chooses the epoch")
    test_years: int = Field(20, ge=1, description="of each test series")
    bins: tuple[int, ...] = Field((10, 30, 100), description="of each channel")
    input_size: int = Field(32, ge=1, description="E")
    hidden_size: int = Field(48, ge=1, description="D")
    days: int = Field(73, ge=2, description="of a stretch that gradients flow through")
    batch: int = Field(10, ge=1, description="stretches of a step")
    epochs: int = Field(40, ge=1, description="times that the training series is seen")
    learning_rate: float = Field(5e-3, gt=0, description="the highest; a cosine to 0")


class InputLayerOptions(StudyOptions):
    """The setting."""

    weather: WeatherOptions = Field(WeatherOptions(), description="the series of real numbers")
    captioning: CaptionOptions = Field(
        CaptionOptions(epochs=2, embedding_size=50, test_photos=500),
        description="of the captioners that read words",
    )
    vectors: str = Field(
        "package", description="GloVe, as negah.text.read_vectors takes it; empty for no captioners"
    )
    proved: int = Field(500, ge=10, description="V of the proof of equality")
    proof_steps: int = Field(20, ge=1, description="of Adam in the proof")
    vocabularies: tuple[int, ...] = Field(
        (1_000, 2_000, 5_000, 10_000), description="V that are timed"
    )
    words: int = Field(384, ge=1, description="words of a timed step: 32 captions of 12")
    embedding_size: int = Field(128, ge=1, description="E of what is timed")
    repeats: int = Field(15, ge=1, description="turns of the timed layers")
