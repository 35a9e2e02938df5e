"""Training: recipes, data sources, objectives, the loop, checkpoints, validation."""

from __future__ import annotations

from negah.training.augment import AugmentOptions
from negah.training.clips import ClipOptions, MontageOptions, StoryboardOptions
from negah.training.environment import Environment, StopRequest
from negah.training.initial import Initial, InitialOptions, Weights
from negah.training.loop import Outcome, train
from negah.training.processes import Processes
from negah.training.provenance import DataRecord, DataSource, InitialRun
from negah.training.recipe import Recipe, TrainingOptions, load_recipe, recipe_names
from negah.training.reports import Reporter, Silent
from negah.training.schedule import Schedule
from negah.training.teachers import Teacher
from negah.training.text_options import TextOptions

__all__ = [
    "AugmentOptions",
    "ClipOptions",
    "DataRecord",
    "DataSource",
    "Environment",
    "Initial",
    "InitialOptions",
    "InitialRun",
    "MontageOptions",
    "Outcome",
    "Processes",
    "Recipe",
    "Reporter",
    "Schedule",
    "Silent",
    "StopRequest",
    "StoryboardOptions",
    "Teacher",
    "TextOptions",
    "TrainingOptions",
    "Weights",
    "load_recipe",
    "recipe_names",
    "train",
]
