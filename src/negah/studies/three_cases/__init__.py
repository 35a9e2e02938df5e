"""GloVe vectors and a fine-tuned CNN: which of them helps a captioner, and by how much."""

from __future__ import annotations

from negah.studies.three_cases.study import STUDY, ThreeCasesOptions, ThreeCasesStudy

__all__ = ["STUDY", "ThreeCasesOptions", "ThreeCasesStudy"]
