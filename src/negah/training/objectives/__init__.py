"""What a training step minimises, chosen by ``training.objective`` of a recipe."""

from __future__ import annotations

from negah.training.objectives.base import (
    OBJECTIVES,
    Lesson,
    Loss,
    Objective,
    ObjectiveOptions,
    Setting,
)

__all__ = ["OBJECTIVES", "Lesson", "Loss", "Objective", "ObjectiveOptions", "Setting"]
