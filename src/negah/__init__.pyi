"""The types of the names that ``negah`` imports on demand."""

from negah.captions import Caption, SceneCaption, Word
from negah.errors import (
    BundleError,
    CheckpointError,
    DataError,
    MediaError,
    MissingExtraError,
    NegahError,
    OutputError,
    UnknownNameError,
    UsageError,
)
from negah.runtime.captioner import Captioner
from negah.runtime.face import caption, load

__version__: str

__all__ = [
    "BundleError",
    "Caption",
    "Captioner",
    "CheckpointError",
    "DataError",
    "MediaError",
    "MissingExtraError",
    "NegahError",
    "OutputError",
    "SceneCaption",
    "UnknownNameError",
    "UsageError",
    "Word",
    "__version__",
    "caption",
    "load",
]
