"""Bundles: the format of trained models on disk."""

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
from negah.bundle.writer import write_bundle

__all__ = [
    "Bundle",
    "BundleConfig",
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
    "read_bundle",
    "read_config",
    "write_bundle",
]
