"""Comparisons, sizes and budgets of the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from negah.data.synth import SynthOptions
from negah.options import Options
from negah.studies.study import StudyOptions

_VISUAL: dict[str, Any] = {"visual": "regions", "region_query": "none"}
_HIDDEN: dict[str, Any] = {
    "visual": "regions",
    "region_query": "hidden",
    "text_attention": True,
    "gate": True,
}

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
    "CAM, hidden": _HIDDEN,
    "CAM, hidden, no U_r": _HIDDEN,
}
#: The variant whose regions do not see the weight of the frame before (U_r stays 0).
WITHOUT_PREVIOUS = "CAM, hidden, no U_r"
#: Whose attention the figure shows: word by word, and of the others one word.
SHOWN = ("CAM, hidden", "CAM")


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


class WorldOptions(StudyOptions):
    """What made clips and their features are made with."""

    clips: int = Field(1500, ge=4, description="clips that captioners learn from")
    test_clips: int = Field(300, ge=2, description="held-out clips")
    data_seed: int = Field(2026, ge=0, description="of the captioners' clips")
    synth: SynthOptions = Field(SynthOptions(), description="what the clips are like")
    vision: VisionOptions = Field(VisionOptions(), description="of the features")


class SyntheticOptions(WorldOptions):
    """The study as a whole."""

    variants: tuple[str, ...] = Field(tuple(VARIANTS), min_length=1, description="the systems")
    training: CaptionerTraining = Field(CaptionerTraining(), description="of the captioners")
