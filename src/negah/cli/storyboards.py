"""``negah data storyboards``: photos that match descriptions of clips that are not available."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.data import (
    Images,
    LeaveOut,
    Paths,
    exit_if_left_out,
    join,
    names_left_out,
    read_datasets,
    summary,
)
from negah.cli.paths import Reads, Writes
from negah.cli.splits import (
    DEV_FRACTION,
    TEST_FRACTION,
    DevFraction,
    TestFraction,
    split_policy,
)
from negah.cli.training_progress import training_progress
from negah.data.examples import common_folder
from negah.data.storyboards import make_storyboards, read_groups, write_storyboards
from negah.data.storyboards.boards import Storyboard
from negah.errors import DataError, UsageError


def storyboards(
    paths: Paths,
    sentences: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Sentences about clips: lines of the clip's name, a tab and a sentence "
            "(sents_train_lc_nopunc.txt of MSVD).",
            show_default=False,
        ),
        Reads(),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE.jsonl", help="The storyboards.", show_default=False
        ),
        Writes(),
    ],
    dev: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Sentences about other clips, for choosing the epoch.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    leave_out: LeaveOut = None,
    images: Images = None,
    photos: Annotated[
        int, typer.Option(min=1, max=1000, help="Maximum number of photos of a storyboard.")
    ] = 24,
    dev_fraction: DevFraction = DEV_FRACTION,
    test_fraction: TestFraction = TEST_FRACTION,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
) -> None:
    """Match descriptions of clips with photos, where the clips are not available.

    A storyboard consists of the sentences about one clip, the training photos with the most similar
    captions, and the words that are ImageNet classes. The recipe cam-rnn-storyboards trains on
    storyboards as on clips.

    \b
    negah data storyboards flickr8k/ coco/captions.csv -o boards.jsonl \\
        --sentences msvd/sents_train_lc_nopunc.txt --dev msvd/sents_val_lc_nopunc.txt \\
        --leave-out msvd/
    """
    if output.suffix.lower() != ".jsonl":
        raise UsageError(f"--output {output}: JSON lines are written, so name a .jsonl file")
    if output.exists() and not overwrite:
        raise UsageError(f"{output} exists: add --overwrite to replace it, or choose another name")
    groups = {"train": read_groups(sentences)}
    if dev is not None:
        groups["dev"] = read_groups(dev)
        twice = {group.name for group in groups["train"]} & {group.name for group in groups["dev"]}
        if twice:
            raise DataError(f"{sentences} and {dev} are both about {min(twice)}: one part a clip")
    left_out = names_left_out(
        [group for part in groups.values() for group in part], leave_out or ()
    )
    policy = split_policy(dev_fraction, test_fraction)
    dataset = join(read_datasets(paths, images or [], policy))
    print(summary(dataset))
    shown = dataset.split("train")
    made: list[Storyboard] = []
    with training_progress() as progress:
        for split, part in groups.items():
            kept = [group for group in part if group.name not in left_out]
            if not kept:
                raise DataError(f"every clip of the part {split} is left out: nothing remains")
            made += make_storyboards(
                kept,
                shown,
                split=split,
                most=photos,
                progress=lambda done, total: progress.advance("finding photos", done, total),
            )
    used = {one.photo for board in made for one in board.photos}
    folder = common_folder([shown[at] for at in used])
    names = [example.path.resolve() for example in shown]
    below = [
        name.relative_to(folder).as_posix() if at in used else "" for at, name in enumerate(names)
    ]
    write_storyboards(output, made, below)
    counts = {split: sum(board.split == split for board in made) for split in groups}
    options = [f"clips.storyboards.file={output}", f"clips.storyboards.images={folder}"]
    print(
        f"{output}: {' and '.join(f'{count:,} {split}' for split, count in counts.items())} "
        f"storyboards of {len(used):,} photos; {len(left_out):,} clips left out; learn from them "
        f"with {' '.join(f'--set {shlex.quote(option)}' for option in options)}"
    )
    exit_if_left_out(dataset)
