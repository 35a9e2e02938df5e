"""Options of the commands that score: metrics, and objects in the images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.paths import Reads
from negah.errors import UnknownNameError, UsageError

MetricsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metrics",
        metavar="NAME",
        help="Only these metrics, such as CIDEr-D,METEOR, or of another package; may be given "
        "several times.",
        show_default="Negah's own that are installed, and CHAIR with --objects",
    ),
]
ObjectsOption = Annotated[
    Path | None,
    typer.Option(
        "--objects",
        metavar="FILE",
        help="Objects in each image, for CHAIR: JSON lines, or COCO's instances.",
        show_default=False,
    ),
    Reads(),
]

LanguageOfCaptions = Annotated[
    str,
    typer.Option(
        "--language",
        metavar="CODE",
        help="Language of the captions, for tokenisation: en, fa, or one of another package.",
    ),
]


def metric_names(given: Sequence[str] | None) -> list[str] | None:
    """The names of metrics in their own spelling; None for all.

    Raises:
        UnknownNameError: one is not a metric.
        UsageError: only commas were given.
    """
    if not given:
        return None
    from negah.metrics import METRICS

    known: dict[str, str] = {}
    for name in METRICS:  # built-in metrics come first and are recognised in any case
        known.setdefault(name.lower(), name)
    names = [name.strip() for names in given for name in names.split(",") if name.strip()]
    for name in names:
        if name.lower() not in known:
            raise UnknownNameError("metric", name, known.values(), METRICS.group)
    if not names:
        raise UsageError(f"--metrics names none; choose from {', '.join(known.values())}")
    return [known[name.lower()] for name in names]


def seen_in(
    path: Path | None, images: Mapping[str, Iterable[str]]
) -> dict[str, Sequence[str]] | None:
    """The objects of images from a file; None without a file.

    Args:
        path: the file.
        images: other names of each image, by its name.
    """
    if path is None:
        return None
    from negah.data.object_files import read_objects

    return read_objects(path).of(images)
