"""Comparisons, sizes and budgets of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from negah.data.synth import SynthOptions
from negah.options import Options

_VISUAL: dict[str, Any] = {"visual": "regions", "region_query": "none"}

#: The systems by name, as changes to :class:`negah.models.CamRnnOptions`. The first five are the
#: paper's ablations; ``region_query: none`` is the paper's region attention.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "None": {"visual": "mean", "text_attention": False, "gate": False},
    "Frame": {"visual": "frames", "text_attention": False, "gate": False},
    "Visual": {**_VISUAL, "text_attention": False, "gate": False},
    "VT": {**_VISUAL, "text_attention": True, "gate": False},
    "CAM": {**_VISUAL, "text_attention": True, "gate": True},
    "CAM, S = 1": {**_VISUAL, "text_attention": True, "gate": True, "phrases": 1},
    "CAM, S = 2": {**_VISUAL, "text_attention": True, "gate": True, "phrases": 2},
    "CAM, hidden": {
        "visual": "regions",
        "region_query": "hidden",
        "text_attention": True,
        "gate": True,
    },
    "CAM, hidden, no U_r": {
        "visual": "regions",
        "region_query": "hidden",
        "text_attention": True,
        "gate": True,
    },
}
#: The variant whose regions do not see the weight of the frame before (U_r stays 0).
WITHOUT_PREVIOUS = "CAM, hidden, no U_r"


class VisionOptions(Options):
    """How the network that gives the features is trained."""

    clips: int = Field(600, ge=4, description="clips that it learns from")
    held_out: int = Field(60, ge=1, description="clips that measure what it learnt")
    epochs: int = Field(8, ge=1, description="times that it sees each frame")
    batch: int = Field(64, ge=1, description="frames of a step")
    learning_rate: float = Field(6e-3, gt=0, description="the highest of a one-cycle schedule")
    seed: int = Field(0, ge=0, description="of its weights and of the order of frames")


class CaptionerTraining(Options):
    """How each captioner is trained; the same for all."""

    epochs: int = Field(12, ge=1, description="times that it sees each clip")
    batch: int = Field(32, ge=1, description="clips of a step")
    captions: int = Field(2, ge=1, description="captions of each clip in a step, drawn anew")
    learning_rate: float = Field(3e-3, gt=0, description="the highest; warm-up, then a cosine")
    warmup_steps: int = Field(50, ge=1, description="steps until the highest rate")
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    hidden_size: int = Field(96, ge=1, description="D")
    embedding_size: int = Field(48, ge=1, description="E")
    visual_size: int = Field(64, ge=1, description="M")
    attention_size: int = Field(32, ge=1, description="A")
    phrase_size: int = Field(48, ge=1, description="P")
    dropout: float = Field(0.1, ge=0, lt=1, description="on words, regions and before the output")


class StudyOptions(Options):
    """The study as a whole."""

    clips: int = Field(1500, ge=4, description="clips that captioners learn from")
    test_clips: int = Field(300, ge=2, description="held-out clips")
    data_seed: int = Field(2026, ge=0, description="of the captioners' clips")
    seeds: tuple[int, ...] = Field(
        (0, 1, 2), min_length=1, max_length=10, description="a training for each"
    )
    variants: tuple[str, ...] = Field(tuple(VARIANTS), min_length=1, description="the systems")
    synth: SynthOptions = Field(SynthOptions(), description="what the clips are like")
    vision: VisionOptions = Field(VisionOptions(), description="of the features")
    training: CaptionerTraining = Field(CaptionerTraining(), description="of the captioners")


def quick_options() -> StudyOptions:
    """The whole path in seconds, with too little of everything to mean something."""
    return StudyOptions(
        clips=12,
        test_clips=6,
        seeds=(0,),
        variants=("None", "Frame", "CAM, hidden"),
        vision=VisionOptions(clips=4, held_out=2, epochs=1),
        training=CaptionerTraining(epochs=2, batch=6, hidden_size=16, warmup_steps=2),
    )
