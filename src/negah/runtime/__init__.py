"""Bundle + photo or clip -> caption, with ONNX Runtime and without PyTorch."""

from __future__ import annotations

from negah.runtime.bundled import (
    DEFAULT_BUNDLE,
    DEFAULT_CLIP_BUNDLE,
    bundled_models,
    find_bundle,
)
from negah.runtime.captioner import Captioner
from negah.runtime.options import RuntimeOptions
from negah.runtime.photos import ClipPart, Photo, see
from negah.runtime.session import OnnxEncoder, OnnxState, OnnxStepModel
from negah.runtime.stages import Result

__all__ = [
    "DEFAULT_BUNDLE",
    "DEFAULT_CLIP_BUNDLE",
    "Captioner",
    "ClipPart",
    "OnnxEncoder",
    "OnnxState",
    "OnnxStepModel",
    "Photo",
    "Result",
    "RuntimeOptions",
    "bundled_models",
    "find_bundle",
    "see",
]
