"""Calibrations in separate folders, for any model: reading, validation, and use by a backend.

Beside the two files of :mod:`negah.bundle.calibration` stands ``calibrated.json``, which names the
model and has the checksums of both. The folder is untrusted input: it is validated completely,
including that it belongs to the model, before use.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from PIL import Image
from pydantic import Field

from negah.backends import Backend
from negah.bundle.calibration import (
    CALIBRATION_FILE,
    REFERENCES_FILE,
    Calibration,
    read_calibration,
)
from negah.bundle.schema import Score, Sha256
from negah.errors import BundleError, UsageError
from negah.hashing import content_sha256
from negah.options import Options
from negah.runtime.seen import Judge

#: The file that marks a folder as a calibration.
CALIBRATED_FILE = "calibrated.json"
_MAX_BYTES = 2**20
_ADVICE = "Calibrate again: negah calibrate MODEL --data PATH --output FOLDER"


class CalibratedModel(Options):
    """The whole of ``calibrated.json``."""

    format_version: Literal[1] = Field(default=1, description="Of the folder.")
    model: str = Field(max_length=1000, description="The name of the model.")
    kind: str = Field(max_length=100, description="Of the backend that ran it.")
    weights_sha256: Sha256 = Field(description="Of the model's weights.")
    words_sha256: Sha256 = Field(description="Of its vocabulary, see words_hash.")
    calibration_sha256: Sha256 = Field(description=f"Of {CALIBRATION_FILE}.")
    references_sha256: Sha256 = Field(description=f"Of {REFERENCES_FILE}.")
    scores: tuple[Score, ...] = Field(
        default=(), max_length=1000, description="What was measured of it."
    )


def words_hash(backend: Backend) -> str:
    """SHA-256 of the texts of a model's tokens, each ended by a zero byte."""
    text = "".join(f"{token}\0" for token in backend.tokenizer.tokens)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def calibrated(backend: Backend, folder: str | os.PathLike[str] | None) -> Backend:
    """The same model with ``seen`` and ``confidence`` from a given calibration.

    Args:
        backend: an open model; it stays as it is.
        folder: of a calibration; None for the model as it is.

    Raises:
        UsageError: there is no calibration, or it is of another model.
        BundleError: it is damaged or hostile.
    """
    if folder is None:
        return backend
    path = Path(folder)
    calibration = _read_for(path, backend)
    other = copy.copy(backend)
    sight = replace(backend.sight, judge=Judge(calibration, backend.model, backend.tokenizer))
    files = (CALIBRATED_FILE, CALIBRATION_FILE, REFERENCES_FILE)
    own = replace(
        backend.identity, files=(*backend.identity.files, *(path / name for name in files))
    )
    try:
        other.sight, other.identity = sight, own  # type: ignore[misc]
    except AttributeError as error:
        raise UsageError(
            f"{backend.identity.name} cannot be given a calibration: the backend "
            f"{type(backend).__name__} has no attributes sight and identity of its own ({error})"
        ) from None
    return other


def _read_for(folder: Path, backend: Backend) -> Calibration:
    description = _description(folder)
    name = backend.identity.name
    same = {
        "weights": description.weights_sha256 == backend.identity.sha256,
        "words": description.words_sha256 == words_hash(backend),
    }
    if not all(same.values()):
        raise UsageError(
            f"the calibration {folder} is of {description.model} ({description.kind}), and not of "
            f"{name} ({backend.identity.kind}), which has other "
            f"{' and '.join(what for what, is_same in same.items() if not is_same)}. {_ADVICE}"
        )
    for file, digest in (
        (CALIBRATION_FILE, description.calibration_sha256),
        (REFERENCES_FILE, description.references_sha256),
    ):
        _check_file(folder, file, digest)
    sight = backend.sight
    blank = Image.new("RGB", sight.size[::-1], (128, 128, 128))
    _, regions, channels = backend.encode(backend.pixels([blank])).features.shape
    try:
        return read_calibration(
            folder,
            vocabulary=len(backend.tokenizer.tokens),
            concepts=len(sight.concepts),
            regions=regions,
            channels=channels,
        )
    except BundleError as error:
        raise BundleError(f"calibration {folder}: {error}. {_ADVICE}") from None


def _description(folder: Path) -> CalibratedModel:
    file = folder / CALIBRATED_FILE
    if not file.is_file():
        what = "no calibration" if folder.is_dir() else "no folder"
        raise UsageError(
            f"{folder} is {what}: give the folder that 'negah calibrate MODEL --data PATH --output "
            f"FOLDER' wrote, which holds {CALIBRATED_FILE} (a calibrated bundle has its own, and "
            "is named as the model)"
        )
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise BundleError(f"calibration {folder}: {CALIBRATED_FILE} is too large. {_ADVICE}")
        values = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(
            f"calibration {folder}: {CALIBRATED_FILE} cannot be read ({error}). {_ADVICE}"
        ) from None
    if not isinstance(values, dict):
        raise BundleError(f"calibration {folder}: {CALIBRATED_FILE} holds no object. {_ADVICE}")
    try:
        return CalibratedModel.parse(values, where=CALIBRATED_FILE)
    except (UsageError, RecursionError) as error:
        reason = str(error).rstrip(".")[:2000]
        raise BundleError(f"calibration {folder}: {reason}. {_ADVICE}") from None


def _check_file(folder: Path, name: str, sha256: str) -> None:
    file = folder / name
    if not file.is_file():
        raise BundleError(f"calibration {folder}: {name} is missing. {_ADVICE}")
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"calibration {folder}: {name} is a link that leaves it. {_ADVICE}")
    try:
        digest = content_sha256(file)
    except OSError as error:
        raise BundleError(f"calibration {folder}: {name}: {error.strerror}. {_ADVICE}") from None
    if digest != sha256:
        raise BundleError(f"calibration {folder}: {name} has a wrong checksum. {_ADVICE}")
