"""Synthetic clips with ground truth: what each word of a caption refers to in every frame.

:func:`make_clip` makes one clip in memory, :func:`write_dataset` a data set of video files with
captions and truth. Nothing here needs PyTorch; PyAV is needed only for writing files.
"""

from __future__ import annotations

from negah.data.synth.clips import SynthClip, make_clip
from negah.data.synth.grammar import (
    Judgement,
    ObjectDescription,
    Statement,
    StatementWord,
    judge,
    read_caption,
)
from negah.data.synth.render import Rendered, render
from negah.data.synth.scene import ClipPlan, SynthOptions, Thing, draw_scene
from negah.data.synth.truth import WordTruth, cells_of, thing_boxes, truth_record, word_truth
from negah.data.synth.write import write_dataset, write_video

__all__ = [
    "ClipPlan",
    "Judgement",
    "ObjectDescription",
    "Rendered",
    "Statement",
    "StatementWord",
    "SynthClip",
    "SynthOptions",
    "Thing",
    "WordTruth",
    "cells_of",
    "draw_scene",
    "judge",
    "make_clip",
    "read_caption",
    "render",
    "thing_boxes",
    "truth_record",
    "word_truth",
    "write_dataset",
    "write_video",
]
