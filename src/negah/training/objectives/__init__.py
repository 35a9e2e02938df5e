"""Training objectives, selected by ``training.objective`` of a recipe."""

from __future__ import annotations

from negah.training.objectives.base import (
    LOGGED,
    OBJECTIVES,
    Lesson,
    Loss,
    Objective,
    ObjectiveOptions,
    Setting,
)

__all__ = ["LOGGED", "OBJECTIVES", "Lesson", "Loss", "Objective", "ObjectiveOptions", "Setting"]
