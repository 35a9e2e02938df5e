"""``negah data synth``: synthetic clips with captions and ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negah.cli.paths import WRITES_FOLDER, say_written
from negah.cli.training_progress import training_progress
from negah.data.synth import SynthOptions, write_dataset
from negah.interrupt import Interrupt

_DEFAULTS = SynthOptions()


def synth(
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="The data set's folder.", show_default=False),
        WRITES_FOLDER,
    ],
    clips: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of clips.")] = 200,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed.")] = 0,
    frames: Annotated[int, typer.Option(help="Frames of a clip, 6 to 32.")] = _DEFAULTS.frames,
    size: Annotated[
        int, typer.Option(help="Width and height of a frame in pixels, 48 to 256.")
    ] = _DEFAULTS.size,
    grid: Annotated[
        int, typer.Option(help="Rows and columns of the grid of the ground truth, 4 to 8.")
    ] = _DEFAULTS.grid,
    captions: Annotated[int, typer.Option(help="Captions of a clip, 1 to 8.")] = _DEFAULTS.captions,
    in_turn: Annotated[
        float, typer.Option(help="Share of clips that show one object after the other.")
    ] = _DEFAULTS.in_turn,
    distractors: Annotated[
        int,
        typer.Option(
            help="Maximum number of distractor frames of a clip: noise, blank or another scene."
        ),
    ] = _DEFAULTS.distractors,
) -> None:
    """Make short synthetic clips with captions and the ground truth of every word.

    Two objects with a colour, a shape and a size move, appear, disappear, stay and occlude each
    other. The output is OUTPUT/videos/*.mkv (FFV1, lossless), captions.csv (video, caption,
    split) and truth.jsonl: for each word whether it is visual, and the frames, boxes and grid cells
    that justify it. Boxes are left, top, right, bottom as shares of the frame; cells count row by
    row.

    Existing clips are kept; more can be added later.

    \b
    negah data synth made/ --clips 2000
    negah data synth made/ --clips 500 --seed 7 --frames 12 --size 96 --grid 6
    negah data inspect made/captions.csv
    """
    given = {
        "frames": frames,
        "size": size,
        "grid": grid,
        "captions": captions,
        "in_turn": in_turn,
        "distractors": distractors,
    }
    options = SynthOptions.parse(given, where="negah data synth")
    with Interrupt() as interrupt, training_progress() as progress:
        ended = write_dataset(
            output,
            clips=clips,
            seed=seed,
            options=options,
            progress=lambda done, total: progress.advance("making clips", done, total),
            stop=lambda: interrupt.asked,
        )
    if not ended:
        raise KeyboardInterrupt
    say_written(output, f"{clips:,} clips with captions.csv and truth.jsonl")
