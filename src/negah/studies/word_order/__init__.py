"""The effect of pretraining a captioner as a language model without pictures."""

from __future__ import annotations

from negah.studies.word_order.study import STUDY

__all__ = ["STUDY"]
