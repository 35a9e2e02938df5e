"""Captioned data sets -> training examples and stored features.

The unit is the picture: parts, leak checks and features are per picture. PyTorch is not needed.
"""

from __future__ import annotations

from negah.data.examples import SPLITS, Dataset, Example, Missing, Problem
from negah.data.features import Encode, FeatureKey, FeatureStore, build_features
from negah.data.formats import FORMATS
from negah.data.inspection import Inspection, inspect
from negah.data.loading import load_dataset, load_datasets, load_each, merge
from negah.data.splits import check_no_leak, same_files
from negah.split import Division, SplitPolicy

__all__ = [
    "FORMATS",
    "SPLITS",
    "Dataset",
    "Division",
    "Encode",
    "Example",
    "FeatureKey",
    "FeatureStore",
    "Inspection",
    "Missing",
    "Problem",
    "SplitPolicy",
    "build_features",
    "check_no_leak",
    "inspect",
    "load_dataset",
    "load_datasets",
    "load_each",
    "merge",
    "same_files",
]
