"""The effect of the reset gate of a GRU, and a GRU that depends on a single chosen input."""

from __future__ import annotations

from negah.studies.gru_gates.study import STUDY

__all__ = ["STUDY"]
