"""Calibration of a model: fitting probabilities that its words and captions are supported.

Logistic regressions are fitted on captions of photographs with references, and of pictures that are
not photographs; :mod:`negah.runtime.seen` applies them to every caption.
"""

from __future__ import annotations

from negah.calibration.collect import Collected, CollectOptions, Collector
from negah.calibration.fit import fit
from negah.calibration.report import Calibrated, GroupMeasures
from negah.calibration.save import save_apart, save_calibration
from negah.runtime.seen import SupportMeasures

__all__ = [
    "Calibrated",
    "CollectOptions",
    "Collected",
    "Collector",
    "GroupMeasures",
    "SupportMeasures",
    "fit",
    "save_apart",
    "save_calibration",
]
