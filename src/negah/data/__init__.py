"""Captioned data sets -> training examples and stored features.

The unit is the picture: parts, leak checks and features are per picture. PyTorch is not needed.
"""

from __future__ import annotations

from negah.data.box_files import Box
from negah.data.clips import ClipCounts
from negah.data.examples import SPLITS, Dataset, Example, Missing, Problem
from negah.data.feature_files import Failure
from negah.data.features import Encode, FeatureKey, FeatureStore, build_features
from negah.data.formats import FORMATS
from negah.data.inspection import Inspection, SplitCounts, Summary, VocabularySize, inspect
from negah.data.loading import load_dataset, load_datasets, load_each, merge
from negah.data.media_items import MediaItem
from negah.data.splits import check_no_leak, same_files
from negah.split import Division, SplitPolicy

__all__ = [
    "FORMATS",
    "SPLITS",
    "Box",
    "ClipCounts",
    "Dataset",
    "Division",
    "Encode",
    "Example",
    "Failure",
    "FeatureKey",
    "FeatureStore",
    "Inspection",
    "MediaItem",
    "Missing",
    "Problem",
    "SplitCounts",
    "SplitPolicy",
    "Summary",
    "VocabularySize",
    "build_features",
    "check_no_leak",
    "inspect",
    "load_dataset",
    "load_datasets",
    "load_each",
    "merge",
    "same_files",
]
