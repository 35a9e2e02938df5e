"""Cost and quality of output layers: softmax, adaptive softmax, sigmoids."""

from __future__ import annotations

from negah.studies.output_layer.study import OutputLayerOptions, OutputLayerStudy

STUDY = OutputLayerStudy()

__all__ = ["STUDY", "OutputLayerOptions", "OutputLayerStudy"]
