"""What an output layer costs, and what it is worth: softmax, adaptive softmax, sigmoids."""

from __future__ import annotations

from negah.studies.output_layer.study import OutputLayerOptions, OutputLayerStudy

STUDY = OutputLayerStudy()

__all__ = ["STUDY", "OutputLayerOptions", "OutputLayerStudy"]
