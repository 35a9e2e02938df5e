"""When an embedding is right, and when a dense input: words, and real numbers."""

from __future__ import annotations

from negah.studies.input_layer.options import InputLayerOptions
from negah.studies.input_layer.study import InputLayerStudy

STUDY = InputLayerStudy()

__all__ = ["STUDY", "InputLayerOptions", "InputLayerStudy"]
