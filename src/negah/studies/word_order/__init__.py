"""The effect of pretraining a captioner as a language model without pictures."""

from __future__ import annotations

from negah.studies.word_order.study import STUDY, WordOrderOptions, WordOrderStudy

__all__ = ["STUDY", "WordOrderOptions", "WordOrderStudy"]
