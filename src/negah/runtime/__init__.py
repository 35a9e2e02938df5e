"""Bundle + photo -> caption, with ONNX Runtime and without PyTorch."""

from __future__ import annotations

from negah.runtime.bundled import DEFAULT_BUNDLE, bundled_models, find_bundle
from negah.runtime.captioner import Captioner, Photo, Result, to_pixels
from negah.runtime.options import RuntimeOptions
from negah.runtime.session import OnnxEncoder, OnnxState, OnnxStepModel

__all__ = [
    "DEFAULT_BUNDLE",
    "Captioner",
    "OnnxEncoder",
    "OnnxState",
    "OnnxStepModel",
    "Photo",
    "Result",
    "RuntimeOptions",
    "bundled_models",
    "find_bundle",
    "to_pixels",
]
