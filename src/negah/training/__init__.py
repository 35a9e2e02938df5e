"""Training: recipes, data sources, objectives, the loop, checkpoints, validation."""

from __future__ import annotations

from negah.training.environment import Environment
from negah.training.loop import Outcome, train
from negah.training.recipe import Recipe, TrainingOptions, load_recipe, recipe_names
from negah.training.reports import Reporter, Silent
from negah.training.text_options import TextOptions

__all__ = [
    "Environment",
    "Outcome",
    "Recipe",
    "Reporter",
    "Silent",
    "TextOptions",
    "TrainingOptions",
    "load_recipe",
    "recipe_names",
    "train",
]
