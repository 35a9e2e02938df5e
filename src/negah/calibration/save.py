"""A fitted calibration into a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from negah.bundle import Bundle, Score
from negah.bundle.calibration import CALIBRATION_FILE, REFERENCES_FILE, Calibration
from negah.bundle.revise import revise_bundle
from negah.calibration.report import SIGNATURE
from negah.files import atomic_path, write_text


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

    def write(target: Path) -> None:
        write_text(target / CALIBRATION_FILE, calibration.spec.model_dump_json() + "\n")
        with atomic_path(target / REFERENCES_FILE) as temporary, temporary.open("wb") as stream:
            np.save(stream, calibration.references_PRC.astype("<f2"), allow_pickle=False)

    kept = [score for score in bundle.config.scores if score.signature != SIGNATURE]
    return revise_bundle(bundle, folder, write_others=write, scores=(*kept, *scores))
