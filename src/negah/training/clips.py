"""The section ``clips`` of a recipe: how many frames a captioner sees, and clips made of photos.

There are far more captioned photographs than captioned clips. A montage is a clip made of one
photograph: still, or with the camera moving over it, with frames that do not belong strewn in;
from them a captioner learns which frames to attend to.
"""

from __future__ import annotations

from pydantic import Field, model_validator

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

    @model_validator(mode="after")
    def _agree(self) -> ClipOptions:
        if self.montage is not None and self.frames == 1:
            raise ValueError("a montage of one frame is a photo: set clips.frames to 2 or more")
        return self
