"""The types of the names that ``negah`` imports on demand."""

from negah.captions import Caption, SceneCaption, Word
from negah.errors import (
    BundleError,
    CheckpointError,
    DataError,
    LockedError,
    MediaError,
    MissingExtraError,
    NegahError,
    OutputError,
    TrainingError,
    UnknownNameError,
    UsageError,
)
from negah.runtime.captioner import Captioner
from negah.runtime.face import caption, explain, load

__version__: str

__all__ = [
    "BundleError",
    "Caption",
    "Captioner",
    "CheckpointError",
    "DataError",
    "LockedError",
    "MediaError",
    "MissingExtraError",
    "NegahError",
    "OutputError",
    "SceneCaption",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
    "Word",
    "__version__",
    "caption",
    "explain",
    "load",
]
