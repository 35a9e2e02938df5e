"""Is attention evidence, and is the gate? On made clips, photographs and clips of photographs.

Importing it is quick; PyTorch comes with its first cell.
"""

from __future__ import annotations

from negah.studies.evidence.study import STUDY

__all__ = ["STUDY"]
