"""Where a model is: a bundle that ships with the package, or a folder that somebody names."""

from __future__ import annotations

import difflib
import importlib.resources
import os
from pathlib import Path

from negah.errors import BundleError, UsageError

#: The model that captions when none is named.
DEFAULT_BUNDLE = "negah-photo"

#: The model that captions clips when none is named; where it is not installed, the other does.
DEFAULT_CLIP_BUNDLE = "negah-video"

_FOLDER = "bundles"


def bundled_models() -> dict[str, Path]:
    """The bundles inside the package: name -> folder."""
    folder = Path(str(importlib.resources.files("negah"))) / _FOLDER
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def find_bundle(model: str | os.PathLike[str] | None = None, *, clips: bool = False) -> Path:
    """The folder of a model.

    Args:
        model: the name of a model in the package, or the path of a bundle's folder; None for
            the default model. A name wins over a folder of that name in the current directory:
            write ``./name`` for the folder.
        clips: whether the default model is to caption clips.

    Raises:
        BundleError: there is no default model in this installation.
        UsageError: neither the name of a model nor the path of anything.
    """
    models = bundled_models()
    if model is None:
        if clips and DEFAULT_CLIP_BUNDLE in models:
            return models[DEFAULT_CLIP_BUNDLE]
        if DEFAULT_BUNDLE not in models:
            raise BundleError(
                f"this installation of Negah holds no default model ({DEFAULT_BUNDLE}): install "
                "a released version, or name a bundle of your own (--model PATH, "
                "negah.load(PATH))"
            )
        return models[DEFAULT_BUNDLE]
    name = os.fspath(model)
    if name in models:
        return models[name]
    path = Path(model)
    if not path.exists():
        nearest = difflib.get_close_matches(name, models, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise UsageError(
            f"there is no folder {name!r}, and no model of that name in this installation.{hint} "
            f"Give the folder of a bundle, or one of: {', '.join(models) or '(none here)'}."
        )
    return path
