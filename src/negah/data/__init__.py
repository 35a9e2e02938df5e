"""Captioned data sets -> examples that a captioner trains on, and their stored features.

Everything here is by picture: parts, leak checks and features. Nothing here needs PyTorch.
"""

from __future__ import annotations

from negah.data.examples import SPLITS, Dataset, Example, Missing, Problem
from negah.data.features import Encode, FeatureKey, FeatureStore, build_features
from negah.data.inspection import Inspection, inspect
from negah.data.readers import FORMATS, load_dataset, load_datasets, merge
from negah.data.splits import check_no_leak, same_files

__all__ = [
    "FORMATS",
    "SPLITS",
    "Dataset",
    "Encode",
    "Example",
    "FeatureKey",
    "FeatureStore",
    "Inspection",
    "Missing",
    "Problem",
    "build_features",
    "check_no_leak",
    "inspect",
    "load_dataset",
    "load_datasets",
    "merge",
    "same_files",
]
