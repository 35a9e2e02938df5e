"""Cost and quality of output layers: softmax, adaptive softmax, sigmoids."""

from __future__ import annotations

from negah.studies.output_layer.study import STUDY

__all__ = ["STUDY"]
