"""Faithfulness of evidence: pointing, deletion and insertion, and calibration.

Evidence of a word is faithful if the strongest place is on the named object, if the word's
probability falls when that place is removed and rises when only it is restored, and if words with
``seen`` of 0.9 are supported in nine of ten cases.
"""

from __future__ import annotations

from negah.calibration.logistic import Bin
from negah.faithfulness.check import check
from negah.faithfulness.measure import RANDOM, measure, pointing
from negah.faithfulness.report import Estimate, Report, mean, summarise

__all__ = [
    "RANDOM",
    "Bin",
    "Estimate",
    "Report",
    "check",
    "mean",
    "measure",
    "pointing",
    "summarise",
]
