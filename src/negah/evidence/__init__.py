"""Evidence: methods that measure where the words of a caption come from, and their
visualisation."""

from __future__ import annotations

from negah.evidence.filmstrip import draw_clip_evidence
from negah.evidence.methods import EVIDENCE, Evidence, default_method
from negah.evidence.overlay import draw_evidence
from negah.evidence.subject import Subject
from negah.evidence.view import View

__all__ = [
    "EVIDENCE",
    "Evidence",
    "Subject",
    "View",
    "default_method",
    "draw_clip_evidence",
    "draw_evidence",
]
