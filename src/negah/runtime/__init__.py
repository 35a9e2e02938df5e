"""Captioning of photos and clips with a model; bundles run with ONNX Runtime, without PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from negah.bundle.packaged import bundled_models
from negah.lazy_names import lazy_names
from negah.runtime.batches import Batching, Result
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
from negah.runtime.spec import CaptionerSpec
from negah.runtime.stages import ClipSpan, Photo

if TYPE_CHECKING:
    from negah.runtime.explaining import CaptionedSubject
    from negah.runtime.queue import CaptionQueue
    from negah.runtime.seen import Judge, Judged
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "CaptionQueue": "negah.runtime.queue",
            "CaptionedSubject": "negah.runtime.explaining",
            "Judge": "negah.runtime.seen",
            "Judged": "negah.runtime.seen",
        },
    )

__all__ = [
    "DEFAULT_BUNDLE",
    "DEFAULT_CLIP_BUNDLE",
    "Batching",
    "CaptionQueue",
    "CaptionedSubject",
    "Captioner",
    "CaptionerSpec",
    "ClipSpan",
    "Judge",
    "Judged",
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
