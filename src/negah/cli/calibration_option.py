"""The option that names a calibration, of every command that captions with one model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from negah.cli.paths import Reads

#: Of a calibration's folder, the files that a command reads.
READS_CALIBRATION = Reads(("*.json", "*.npy"))

CalibrationOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Calibration of the model from negah calibrate.",
        show_default="that in the bundle, if any",
    ),
    READS_CALIBRATION,
]
