"""What a language model that never saw a picture brings to a captioner."""

from __future__ import annotations

from negah.studies.word_order.study import STUDY, WordOrderOptions, WordOrderStudy

__all__ = ["STUDY", "WordOrderOptions", "WordOrderStudy"]
