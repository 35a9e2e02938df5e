"""Bundles: the format of trained models on disk."""

from typing import TYPE_CHECKING

from negah.bundle.calibration import Calibration, CalibrationSpec, CaptionRegression, WordRegression
from negah.bundle.reader import Bundle, read_bundle, read_config
from negah.bundle.schema import (
    BundleConfig,
    EncoderSource,
    EncoderSpec,
    FileSpec,
    Graphs,
    GraphSpec,
    ModelSpec,
    Provenance,
    Score,
    TensorSpec,
    TrainingData,
)
from negah.lazy_names import lazy_names

if TYPE_CHECKING:
    from negah.bundle.writer import write_bundle
else:  # most bundles are read
    __getattr__ = lazy_names(__name__, {"write_bundle": "negah.bundle.writer"})

__all__ = [
    "Bundle",
    "BundleConfig",
    "Calibration",
    "CalibrationSpec",
    "CaptionRegression",
    "EncoderSource",
    "EncoderSpec",
    "FileSpec",
    "GraphSpec",
    "Graphs",
    "ModelSpec",
    "Provenance",
    "Score",
    "TensorSpec",
    "TrainingData",
    "WordRegression",
    "read_bundle",
    "read_config",
    "write_bundle",
]
