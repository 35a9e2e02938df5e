"""When an embedding is right, and when a dense input: words, and real numbers."""

from __future__ import annotations

from negah.studies.input_layer.study import STUDY

__all__ = ["STUDY"]
