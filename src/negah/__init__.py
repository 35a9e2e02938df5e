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

from negah.lazy_names import lazy_names

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

_HOMES = dict.fromkeys(__all__, "negah.errors") | {
    "Caption": "negah.captions",
    "Captioner": "negah.runtime.captioner",
    "SceneCaption": "negah.captions",
    "Word": "negah.captions",
    "caption": "negah.runtime.face",
    "explain": "negah.runtime.face",
    "load": "negah.runtime.face",
}

__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
