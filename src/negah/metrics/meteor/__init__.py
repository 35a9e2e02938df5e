"""METEOR 1.5 for English, without Java; its data comes from the ``pycocoevalcap`` wheel."""

from __future__ import annotations

from negah.metrics.meteor.data import find_sources
from negah.metrics.meteor.score import (
    METEOR_SIGNATURE,
    Meteor,
    MeteorScore,
    load_meteor,
    meteor_of,
)


def meteor_available() -> bool:
    """Whether METEOR's data is installed."""
    return find_sources() is not None


__all__ = [
    "METEOR_SIGNATURE",
    "Meteor",
    "MeteorScore",
    "load_meteor",
    "meteor_available",
    "meteor_of",
]
