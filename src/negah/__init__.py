"""Negah captions photos and clips, and measures where each word comes from.

    import negah

    captioner = negah.load()
    caption = captioner.caption("photo.jpg")
    print(caption.text, [(word.text, word.logprob) for word in caption.words])
    explained = captioner.explain("photo.jpg")
    print([(word.text, word.map.argmax()) for word in explained.words])

Importing this package loads no model, touches no network and prints nothing; what the names
below need is imported when they are first used. Type checkers read ``__init__.pyi``.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

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

_HOMES = {
    "Caption": "negah.captions",
    "Captioner": "negah.runtime.captioner",
    "SceneCaption": "negah.captions",
    "Word": "negah.captions",
    "caption": "negah.runtime.face",
    "explain": "negah.runtime.face",
    "load": "negah.runtime.face",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'negah' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES.get(name, "negah.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
