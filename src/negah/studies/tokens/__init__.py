"""Words, characters or subwords: the same captioner, the same photos, another alphabet."""

from __future__ import annotations

from negah.studies.tokens.study import STUDY

__all__ = ["STUDY"]
