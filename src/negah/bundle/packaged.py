"""The models inside the package, and a bundle's encoder that is one of theirs.

Models of several languages share an encoder: the encoder of one, nine tenths of its weights, serves
the others too. A bundle names it by a name alone and by checksums, so that it can reach nothing
else on a machine than the package's own files, and never runs with another encoder than its own.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from negah.bundle.schema import WEIGHTS_FILE, BundleConfig
from negah.errors import BundleError

FOLDER = "bundles"

Value = TypeVar("Value")


def bundled_models() -> dict[str, Path]:
    """The bundles inside the package: name -> folder."""
    folder = Path(str(importlib.resources.files("negah"))) / FOLDER
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def encoder_folder(config: BundleConfig) -> Path | None:
    """Where the graph and the weights of an encoder stand that is another model's.

    Args:
        config: of the bundle that names it.

    Returns:
        the folder of that model, whose two files have the checksums that the bundle states; None
        for a bundle with an encoder of its own.

    Raises:
        BundleError: there is no such model in this installation, or it is another.
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
    """What a bundle takes of the weights of the model whose encoder it uses, by name.

    That is the encoder without its concepts.
    """
    return {
        name: value
        for name, value in weights.items()
        if name.startswith("encoder.") and not name.startswith("encoder.concepts.")
    }


def _sha256(file: Path) -> str:
    """Of a file; empty where there is none."""
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
