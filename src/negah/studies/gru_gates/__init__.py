"""The effect of the reset gate of a GRU, and a GRU that depends on a single chosen input."""

from __future__ import annotations

from negah.studies.gru_gates.options import GruGatesOptions
from negah.studies.gru_gates.study import GruGatesStudy

STUDY = GruGatesStudy()

__all__ = ["STUDY", "GruGatesOptions", "GruGatesStudy"]
