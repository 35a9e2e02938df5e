"""CAM-RNN on photographs, part by part."""

from __future__ import annotations

from negah.studies.ablation.study import STUDY, AblationOptions, AblationStudy

__all__ = ["STUDY", "AblationOptions", "AblationStudy"]
