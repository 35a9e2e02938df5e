"""Whether evidence can be believed: pointing, deletion and insertion, and calibration.

Evidence of a word is faithful if it tells what the word comes from: if the strongest place lies on
the named thing, if the word falls when that is taken away and rises when it alone is put back, and
if a word that is said to be seen in nine of ten cases is there in nine of ten.
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
