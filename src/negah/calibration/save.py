"""Saving a fitted calibration into a bundle or a separate folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from negah.backends import Backend
from negah.bundle import Bundle, Score
from negah.bundle.calibration import CALIBRATION_FILE, REFERENCES_FILE, Calibration
from negah.bundle.revise import revise_bundle
from negah.calibration.report import SIGNATURE
from negah.errors import UsageError
from negah.files import atomic_path, write_json, write_text
from negah.hashing import content_sha256
from negah.runtime.calibrated import CALIBRATED_FILE, CalibratedModel, calibrated, words_hash

#: All files of a folder.
_OWN = frozenset([CALIBRATED_FILE, CALIBRATION_FILE, REFERENCES_FILE])


def save_calibration(
    bundle: Bundle, calibration: Calibration, folder: str | Path, scores: Sequence[Score] = ()
) -> Bundle:
    """Write a bundle with a calibration; its model is untouched, an earlier calibration replaced.

    Args:
        bundle: the model; it may stand in ``folder``, which is then replaced in one step.
        calibration: of this model.
        folder: where the result shall be.
        scores: that its card shall tell, in the place of those of an earlier calibration.

    Raises:
        UsageError: ``folder`` is something else than a bundle, which is not overwritten.
        BundleError: the calibration does not fit the model.
    """
    kept = [score for score in bundle.config.scores if score.signature != SIGNATURE]
    return revise_bundle(
        bundle,
        folder,
        write_others=lambda target: _write(calibration, target),
        scores=(*kept, *scores),
    )


def save_apart(
    backend: Backend, calibration: Calibration, folder: str | Path, scores: Sequence[Score] = ()
) -> Backend:
    """Write a calibration into a folder of its own, for ``negah.load(MODEL, calibration=FOLDER)``.

    Args:
        backend: the model.
        calibration: of this model.
        folder: where; an earlier calibration is replaced.
        scores: that were measured of it.

    Returns:
        The model with this calibration, as it was read again.

    Raises:
        UsageError: ``folder`` holds something else, or the backend cannot take a calibration.
    """
    refuse_apart(folder)
    target = Path(folder)
    # half of one and half of another is refused by its checksums: the description comes last
    _write(calibration, target)
    identity = backend.identity
    description = CalibratedModel(
        model=identity.name,
        kind=identity.kind,
        weights_sha256=identity.sha256,
        words_sha256=words_hash(backend),
        calibration_sha256=content_sha256(target / CALIBRATION_FILE),
        references_sha256=content_sha256(target / REFERENCES_FILE),
        scores=tuple(scores),
    )
    write_json(target / CALIBRATED_FILE, description.model_dump(mode="json"))
    return calibrated(backend, target)


def refuse_apart(folder: str | Path) -> None:
    """Raise UsageError if ``folder`` holds anything but a calibration."""
    target = Path(folder)
    there = {one.name for one in target.iterdir()} if target.is_dir() else set()
    if (target.exists() and not target.is_dir()) or there - _OWN:
        raise UsageError(
            f"{folder} exists and is not a calibration, so it is not overwritten. Give a folder "
            "that does not exist yet"
        )


def _write(calibration: Calibration, folder: Path) -> None:
    # what is as usual is left out: versions without these fields read the bundle as well
    spec = calibration.spec.model_dump_json(exclude_defaults=True)
    write_text(folder / CALIBRATION_FILE, spec + "\n")
    with atomic_path(folder / REFERENCES_FILE) as temporary, temporary.open("wb") as stream:
        np.save(stream, calibration.references_PRC.astype("<f2"), allow_pickle=False)
