"""Training: recipes, the loop, checkpoints, validation."""

from __future__ import annotations

from negah.training.loop import BEST, CHECKPOINT, RUN, TOKENIZER, Outcome, train
from negah.training.recipe import Recipe, TextOptions, TrainingOptions, load_recipe, recipe_names
from negah.training.reports import Reporter, Silent

__all__ = [
    "BEST",
    "CHECKPOINT",
    "RUN",
    "TOKENIZER",
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
