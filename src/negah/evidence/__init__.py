"""Showing where the words of a caption came from."""

from __future__ import annotations

from negah.evidence.filmstrip import draw_clip_evidence
from negah.evidence.overlay import draw_evidence

__all__ = ["draw_clip_evidence", "draw_evidence"]
