"""Calibrating a model: how far its words and captions can be believed, measured and fitted.

Captions of photographs whose truth people have told, and of pictures that are no photographs,
give logistic regressions; :mod:`negah.runtime.seen` computes with them in every caption.
"""

from __future__ import annotations

from negah.calibration.collect import Collected, CollectOptions, Collector
from negah.calibration.fit import fit
from negah.calibration.report import Calibrated, Row
from negah.calibration.save import save_apart, save_calibration

__all__ = [
    "Calibrated",
    "CollectOptions",
    "Collected",
    "Collector",
    "Row",
    "fit",
    "save_apart",
    "save_calibration",
]
