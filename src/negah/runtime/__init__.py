"""Captioning of photos and clips with a model; bundles run with ONNX Runtime, without PyTorch."""

from __future__ import annotations

from negah.bundle.packaged import bundled_models
from negah.runtime.batches import Result
from negah.runtime.captioner import Captioner
from negah.runtime.lazy import LazyPhoto
from negah.runtime.models import (
    DEFAULT_BUNDLE,
    DEFAULT_CLIP_BUNDLE,
    bundled_languages,
    find_bundle,
    open_backend,
)
from negah.runtime.onnx import OnnxBackend, OnnxEncoder, OnnxState, OnnxStepModel
from negah.runtime.options import RuntimeOptions
from negah.runtime.queue import CaptionQueue
from negah.runtime.spec import CaptionerSpec
from negah.runtime.stages import ClipSpan, Photo

__all__ = [
    "DEFAULT_BUNDLE",
    "DEFAULT_CLIP_BUNDLE",
    "CaptionQueue",
    "Captioner",
    "CaptionerSpec",
    "ClipSpan",
    "LazyPhoto",
    "OnnxBackend",
    "OnnxEncoder",
    "OnnxState",
    "OnnxStepModel",
    "Photo",
    "Result",
    "RuntimeOptions",
    "bundled_languages",
    "bundled_models",
    "find_bundle",
    "open_backend",
]
