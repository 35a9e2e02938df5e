"""The quick setting of a study with one seed, in this process: the harness has its own test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from negah.studies.made import make_photos
from negah.studies.made_of import environment
from negah.studies.results import Results
from negah.studies.study import Paths, Study


def silent(*_: Any) -> None:
    """No progress."""


def quick_results(study: Study, folder: Path) -> dict[str, Any]:
    """Results as ``run_study`` gives them, but for the seconds and the memory of a cell."""
    paths = Paths(make_photos(folder / "photos"), folder / "work", folder / "features")
    options = study.options(quick=True).model_copy(update={"seeds": (0,)})
    study.prepare(options, paths, silent)
    results: dict[str, Any] = {
        "study": study.name,
        "options": options.model_dump(mode="json"),
        "environment": environment(),
        "facts": study.facts(options, paths, silent),
        "cells": [
            {"variant": variant, "seed": 0, **study.run_cell(options, paths, variant, 0, silent)}
            for variant in study.variants(options)
        ],
    }
    return {**results, "verdicts": study.verdicts(Results(results))}
