"""Where gradients vanish or explode in a captioner: by layer, by time step, through training."""

from __future__ import annotations

from negah.studies.gradients.study import STUDY, GradientsStudy

__all__ = ["STUDY", "GradientsStudy"]
