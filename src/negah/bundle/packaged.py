"""The bundled models, and bundles that use the encoder of a bundled model.

Models of several languages share an encoder, which is nine tenths of their weights. A bundle
identifies it by name and checksums only, so that it can access no files outside the package and
never runs with a different encoder.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from negah.bundle.schema import WEIGHTS_FILE, BundleConfig
from negah.errors import BundleError
from negah.hashing import content_sha256

FOLDER = "bundles"

Value = TypeVar("Value")


def bundled_models() -> dict[str, Path]:
    """The bundles in the package: name -> folder."""
    folder = Path(str(importlib.resources.files("negah"))) / FOLDER
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def encoder_folder(config: BundleConfig) -> Path | None:
    """The folder with the graph and weights of an encoder that is taken from another model.

    Args:
        config: of the bundle that uses it.

    Returns:
        the folder of that model, after comparing the checksums of both files; None for a bundle
        with its own encoder.

    Raises:
        BundleError: this installation has no such model, or a different one.
        OSError: its files cannot be read.
    """
    source = config.encoder_from
    if source is None:
        return None
    models = bundled_models()
    if source.model not in models:
        raise BundleError(
            f"its encoder is that of {source.model}, a model of the package which this "
            f"installation does not hold (it has {', '.join(models) or 'none'}). Install a Negah "
            "that does: pip install --upgrade negah"
        )
    folder = models[source.model]
    expected = {
        config.graphs.encoder.file: source.graph_sha256,
        WEIGHTS_FILE: source.weights_sha256,
    }
    for name, sha256 in expected.items():
        found = _sha256(folder / name)
        if found != sha256:
            raise BundleError(
                f"its encoder is that of {source.model} in the package, and the {source.model} of "
                f"this installation is another (SHA-256 of {name}: {found[:12] or 'no such file'}, "
                f"not {sha256[:12]}). Install the Negah that it was exported with, or export it "
                "again from its run without --encoder-from."
            )
    return folder


def shared_weights(weights: Mapping[str, Value]) -> dict[str, Value]:
    """The weights of a shared encoder that a bundle uses, by name: all except its concepts."""
    return {
        name: value
        for name, value in weights.items()
        if name.startswith("encoder.") and not name.startswith("encoder.concepts.")
    }


def _sha256(file: Path) -> str:
    """The SHA-256 of a file; empty if it does not exist."""
    if not file.is_file():
        return ""
    return content_sha256(file)
