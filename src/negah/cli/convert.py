"""``negah data convert``: a captioned data set in another format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.data import DataPaths, Images, exit_if_left_out, join, read_datasets, summary
from negah.cli.paths import Writes, outputs, say_written
from negah.cli.splits import (
    DEV_FRACTION,
    TEST_FRACTION,
    DevFraction,
    TestFraction,
    split_policy,
)
from negah.cli.training_progress import training_progress
from negah.data.formats import FORMATS, WritableFormat, importable
from negah.errors import UnknownNameError, UsageError
from negah.outputs import OutputKind


def convert(
    paths: DataPaths,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="table (.csv or .jsonl), imagefolder (a folder), webdataset (.tar) or parquet "
            "(.parquet).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PATH", help="The new data set.", show_default=False
        ),
        Writes(None),
    ],
    images: Images = None,
    dev_fraction: DevFraction = DEV_FRACTION,
    test_fraction: TestFraction = TEST_FRACTION,
) -> None:
    """Write a data set in another format: captions, parts, and of clips the spans.

    The pictures are copied into the new data set; a table names them only. Parts are those that a
    training with the same options would give.

    \b
    negah data convert flickr8k/ --to webdataset --output flickr8k.tar
    negah data convert my-photos.csv --to imagefolder --output my-photos/
    negah data convert shards/ --to table --output captions.csv

    Exit code: 0 written, 1 rows of the data set were left out, 2 wrong usage.
    """
    is_folder = output.is_dir() or not output.suffix
    outputs().write(
        output, f"--output {output}", OutputKind.FOLDER if is_folder else OutputKind.TEXT
    )
    form = _writer(to)
    if form.suffixes and output.suffix.lower() not in form.suffixes:
        allowed = " or ".join(form.suffixes)
        raise UsageError(f"--output {output}: {to} is written to a file that ends in {allowed}")
    if os.path.lexists(output) and (form.suffixes or not _is_empty(output)):
        raise UsageError(f"{output} exists: choose another name")
    policy = split_policy(dev_fraction, test_fraction)
    dataset = join(read_datasets(paths, images or [], policy))
    print(summary(dataset))
    with training_progress() as progress:
        folder = form.write(
            dataset.examples,
            output,
            progress=lambda done, total: progress.advance("writing", done, total),
        )
    beside = "" if folder is None else f"; read it with --images {folder}"
    say_written(output, f"{len(dataset):,} {to} examples{beside}")
    exit_if_left_out(dataset)


def _writer(name: str) -> WritableFormat:
    if name in FORMATS and isinstance(form := FORMATS.get(name), WritableFormat):
        return form
    writers = [one for one, form in importable() if isinstance(form, WritableFormat)]
    raise UnknownNameError("format that can be written", name, writers)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
