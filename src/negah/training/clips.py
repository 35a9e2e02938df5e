"""The section ``clips`` of a recipe: how many frames a captioner sees, and clips made of photos.

There are far more captioned photographs than captioned clips. A montage is a clip made of one
photograph: still, or with the camera moving over it, with frames that do not belong strewn in;
from them a captioner learns which frames to attend to. A storyboard is a clip made of the
photos that come closest to the captions of a video that is not available; with one frame, it is a
photo that comes closest to the captions of another one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from negah.options import Options


class MontageOptions(Options):
    """How photographs become clips, anew in every epoch."""

    crops: int = Field(
        4,
        ge=0,
        le=8,
        description="views of a part of each photo, besides that of all of it; with "
        "training.flips those of even number are mirrored and belong to mirrored clips",
    )
    single: float = Field(0.25, ge=0, le=1, description="share of clips that have one frame")
    distracted: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the other clips in which frames do not belong: one at least, "
        "half of them at most",
    )
    blank: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of distractions that are a black, grey or white picture; the others "
        "are another photo",
    )


class StoryboardOptions(Options):
    """How a captioner learns from captions of videos that are not available."""

    file: str = Field("", description="storyboards, as 'negah data storyboards' writes them")
    images: str = Field(".", description="the folder that their photos are named from")
    share: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="share of an epoch's clips that are storyboards, each at least once",
    )
    implants: Literal["none", "classes", "concepts", "both"] = Field(
        "classes",
        description="show what the photos do not (see negah.training.implants): classes, by the "
        "weights of the encoder's ImageNet classifier, which needs its own weights, frozen; "
        "concepts, by those of its concepts; both: concepts, and classes where none stands for a "
        "word, by what the ImageNet weights of that encoder tell of the photos; none, the photos "
        "alone",
    )
    weakest: float = Field(
        3.0,
        gt=0,
        le=50,
        description="least that is added: to a class, in logits; to a concept, as a multiple of "
        "how much its logit is higher where it is shown; of both, likewise, where 1 is 7 logits of "
        "a class",
    )
    strongest: float = Field(8.0, gt=0, le=50, description="most that is added, likewise")

    @field_validator("implants", mode="before")
    @classmethod
    def _once_a_switch(cls, value: object) -> object:
        if isinstance(value, bool):
            return "classes" if value else "none"
        return value

    @model_validator(mode="after")
    def _agree(self) -> StoryboardOptions:
        if self.weakest > self.strongest:
            raise ValueError("weakest is at most as much as strongest")
        return self


class ClipOptions(Options):
    """What a captioner sees of a clip."""

    frames: int = Field(
        1,
        ge=1,
        le=256,
        description="most frames of a clip, evenly spaced in time; 1: photos, and of clips the "
        "middle frame",
    )
    montage: MontageOptions | None = Field(
        None, description="learn from photos as from clips; null: the data set is of clips"
    )
    storyboards: StoryboardOptions | None = Field(
        None, description="learn from storyboards beside photos, or photos made into clips"
    )

    @model_validator(mode="after")
    def _agree(self) -> ClipOptions:
        if self.montage is not None and self.frames == 1:
            raise ValueError("a montage of one frame is a photo: set clips.frames to 2 or more")
        if self.storyboards is not None and self.montage is None and self.frames > 1:
            raise ValueError(
                "storyboards make clips of photos, as a montage does: set clips.montage={}, or "
                "clips.frames=1 for a captioner of photos"
            )
        return self
