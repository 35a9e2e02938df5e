"""Captioners and encoders in PyTorch, built by name.

Recipes (``negah/recipes/*.yaml``) name a kind of captioner and an encoder, and change their
defaults; :data:`CAPTIONERS` and :data:`ENCODERS` know them, also those of other packages.
"""

from __future__ import annotations

from negah.models.cam_rnn import CamRnn, CamRnnOptions
from negah.models.caption_model import (
    CAPTIONERS,
    CaptionerOptions,
    CaptionModel,
    StepOutput,
    Tensors,
    build_captioner,
    captioner_options,
    flatten_words,
)
from negah.models.concepts import ConceptReader, Concepts
from negah.models.embedding import WordEmbedding
from negah.models.encoder_kinds import Backbone
from negah.models.encoders import ENCODERS, Encoder, EncoderOptions, load_encoder
from negah.models.show_tell import ShowTell, ShowTellOptions

__all__ = [
    "CAPTIONERS",
    "ENCODERS",
    "Backbone",
    "CamRnn",
    "CamRnnOptions",
    "CaptionModel",
    "CaptionerOptions",
    "ConceptReader",
    "Concepts",
    "Encoder",
    "EncoderOptions",
    "ShowTell",
    "ShowTellOptions",
    "StepOutput",
    "Tensors",
    "WordEmbedding",
    "build_captioner",
    "captioner_options",
    "flatten_words",
    "load_encoder",
]
