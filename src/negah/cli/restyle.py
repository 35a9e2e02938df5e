"""``negah data restyle``: photos captioned in the style of other sentences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.data import (
    DataPaths,
    Images,
    LeaveOut,
    exit_if_left_out,
    join,
    names_left_out,
    read_datasets,
    summary,
)
from negah.cli.paths import Reads, Writes, say_written
from negah.cli.splits import (
    DEV_FRACTION,
    TEST_FRACTION,
    DevFraction,
    TestFraction,
    split_policy,
)
from negah.data.formats.table import TABLE
from negah.data.restyle import restyle as restyle_photos
from negah.data.sentences import read_texts
from negah.data.storyboards import read_groups
from negah.errors import UsageError


def restyle(
    paths: DataPaths,
    sentences: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Sentences in the target style, one per line; in lines with tabs, the text after "
            "the last (as in sents_train_lc_nopunc.txt of MSVD).",
            show_default=False,
        ),
        Reads(),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE.csv", help="The new data set.", show_default=False
        ),
        Writes(),
    ],
    leave_out: LeaveOut = None,
    images: Images = None,
    per_photo: Annotated[
        int, typer.Option(min=1, max=1000, help="Maximum number of sentences per photo.")
    ] = 5,
    shortest: Annotated[
        int, typer.Option(min=1, max=1000, help="Leave out sentences of fewer words.")
    ] = 4,
    support: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Leave out sentences whose content occurs in fewer sentences."
        ),
    ] = 2,
    own: Annotated[
        int,
        typer.Option(
            min=0,
            max=1000,
            help="Also keep a photo's own captions of at most this many words; 0: none.",
        ),
    ] = 0,
    dev_fraction: DevFraction = DEV_FRACTION,
    test_fraction: TestFraction = TEST_FRACTION,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
) -> None:
    """Caption photos with sentences of another data set that their captions support.

    A sentence is used for a photo if one of the photo's own captions contains all its content
    words. Photos without a matching sentence are left out. The output is a table of image, caption
    and split that every command reads; photo names are relative to their common folder.

    Examples:

      negah data restyle flickr8k/ --sentences msvd/sents_train_lc_nopunc.txt -o clips.csv

      negah data inspect clips.csv --images flickr8k/Images
    """
    if output.suffix.lower() != ".csv":
        raise UsageError(f"--output {output}: the table is written as CSV, so name a .csv file")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists: add --overwrite to replace it, or choose another name")
    said = _sentences(sentences, leave_out or ())
    policy = split_policy(dev_fraction, test_fraction)
    dataset = join(read_datasets(paths, images or [], policy))
    print(summary(dataset))
    found = restyle_photos(
        dataset.examples,
        said,
        per_photo=per_photo,
        shortest=shortest,
        support=support,
        own=own,
    )
    folder = TABLE.write(found.examples, output)
    say_written(
        output,
        f"{len(found.examples):,} of {len(dataset):,} photos, with {found.sentences:,} different "
        f"sentences; read it with --images {folder}",
    )
    exit_if_left_out(dataset)


def _sentences(path: Path, leave_out: Sequence[Path]) -> list[str]:
    """The sentences of a file, one a line; of a line with tabs, what follows the last."""
    if leave_out:
        groups = read_groups(path)
        left_out = names_left_out(groups, leave_out)
        return [said for group in groups if group.name not in left_out for said in group.sentences]
    if not path.exists():
        raise UsageError(f"--sentences {path} cannot be read: no such file")
    return read_texts(path)
