"""The section ``clips`` of a recipe: the number of frames, and clips made of photos.

There are far more captioned photographs than captioned clips. A montage is a clip made of one
photograph: still, or with a moving camera, with distractor frames inserted; from montages a
captioner learns which frames to attend to. A storyboard is a clip made of the photos most similar
to the captions of an unavailable video; with one frame, it is a single such photo.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from negah.options import Options


class MontageOptions(Options):
    """How photographs are made into clips, sampled anew in every epoch."""

    crops: int = Field(
        4,
        ge=0,
        le=8,
        description="number of cropped views of each photo, in addition to the whole photo; with "
        "training.flips the even ones are mirrored and used in mirrored clips",
    )
    single: float = Field(0.25, ge=0, le=1, description="share of clips that have one frame")
    distracted: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the other clips that have distractor frames: at least one, at most "
        "half of the frames",
    )
    blank: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of distractors that are a black, grey or white picture; the others are "
        "other photos",
    )


class StoryboardOptions(Options):
    """Training on captions of unavailable videos."""

    file: str = Field("", description="file of storyboards from 'negah data storyboards'")
    images: str = Field(".", description="the folder to which the photo names are relative")
    share: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="share of storyboards among the clips of an epoch; each is used at least once",
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
    """The frames of a clip that a captioner sees."""

    frames: int = Field(
        1,
        ge=1,
        le=256,
        description="maximum number of frames of a clip, evenly spaced in time; 1: photos, and "
        "the middle frame of clips",
    )
    montage: MontageOptions | None = Field(
        None, description="make clips of photos; null: the data set consists of clips"
    )
    storyboards: StoryboardOptions | None = Field(
        None, description="train on storyboards in addition to photos, or to photos made into clips"
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
