"""What the reset gate of a GRU is worth, and a GRU that sees one chosen input alone."""

from __future__ import annotations

from negah.studies.gru_gates.options import GruGatesOptions
from negah.studies.gru_gates.study import GruGatesStudy

STUDY = GruGatesStudy()

__all__ = ["STUDY", "GruGatesOptions", "GruGatesStudy"]
