"""The study ``persian``: which starts of a Persian captioner help, and which tokens."""

from __future__ import annotations

from negah.studies.persian.study import STUDY

__all__ = ["STUDY"]
