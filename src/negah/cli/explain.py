"""``negah explain``: where the words of captions come from, and how reliable that is."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.calibration_option import CalibrationOption
from negah.cli.data import READS_DATA, Images
from negah.cli.decoding_options import DecodingPairs, decoding_values
from negah.cli.explained import explain_all, plan_outputs
from negah.cli.given import given_options
from negah.cli.languages import LanguageOption
from negah.cli.limits import MaxPixels
from negah.cli.models import ModelOption
from negah.cli.paths import Reads, Writes, outputs
from negah.cli.progress import CappedMessages, Tally
from negah.cli.splits import DevFractionOfModel, TestFractionOfModel
from negah.errors import UsageError
from negah.media import MAX_PIXELS, find_media, is_clip
from negah.outputs import OutputKind

#: The parameters that both modes know, and those that one of them does; others are refused there.
_OF_BOTH = frozenset(
    {"model", "calibration", "output", "method", "decoding", "threads", "max_pixels"}
)
_OF_FILES = _OF_BOTH | {"paths", "language", "form", "frames", "recursive"}
_OF_CHECK = _OF_BOTH | {
    *("check", "data", "split", "objects", "photos", "picture", "images"),
    *("dev_fraction", "test_fraction"),
}


class ExplanationFormat(StrEnum):
    """The format of an explanation."""

    HTML = "html"
    PNG = "png"
    WEBP = "webp"
    JSON = "json"


def explain(
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTO|CLIP",
            help="Photos, clips, folders or globs; - for a list on standard input.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    model: ModelOption = None,
    language: LanguageOption = None,
    calibration: CalibrationOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .html, .png, .webp or .json file, or a folder for several; with --check the "
            "report as JSON.",
            show_default="a table on standard output",
        ),
        Writes(kind=None, what="evidence"),
    ] = None,
    form: Annotated[
        ExplanationFormat | None,
        typer.Option(
            "--format", "-f", help="Format of the files in a folder.", show_default="html"
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Method: occlusion, closer, patches, gradient, attention, or one of another "
            "package.",
            show_default="chosen for the model",
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="Frames looked at in a clip.",
            show_default="the model's choice",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also read subfolders.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Measure the faithfulness of the maps on captioned data."),
    ] = False,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="With --check: captioned photos.", show_default=False),
        READS_DATA,
    ] = None,
    split: Annotated[
        str, typer.Option(help="With --check: which part: train, dev or test.")
    ] = "test",
    objects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --check: boxes of objects, for pointing: JSON lines, or COCO's instances.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    photos: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="With --check: the first N photos.", show_default="all"
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="With --check: draw the report as PNG.", show_default=False
        ),
        Writes(OutputKind.PICTURE, "figure of the report"),
    ] = None,
    decoding: DecodingPairs = None,
    images: Images = None,
    dev_fraction: DevFractionOfModel = None,
    test_fraction: TestFractionOfModel = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, metavar="N", help="Cores to use.", show_default="one for each core"
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Caption photos and clips, and show where each word comes from.

    A page (.html) highlights the place of a word under the pointer and shows its numbers; .png has
    a panel for each word, .webp is animated, .json has the numbers. Without --output a table is
    printed. Maps show how much a word loses when a place is removed.

    With --check, the faithfulness of the maps is measured on captioned photos: pointing at boxed
    objects, deletion and insertion against random order and attention. Measurements are kept, so
    that an interrupted run can be resumed.

    \b
    negah explain photo.jpg -o photo.html
    negah explain photo.jpg clip.mp4 -o explained/
    negah explain holiday/ -o explained/ --format png
    negah explain clip.mp4 -o clip.webp --frames 8
    negah explain photo.jpg --method attention
    negah explain photo.jpg -o photo.html --language fa

    \b
    negah explain --check --data flickr8k/ --split dev --photos 100
    negah explain --check --data captions.csv --objects boxes.jsonl -o report.json

    Exit code: 0 all explained, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    from negah.runtime import CaptionerSpec, RuntimeOptions

    given = given_options(context)
    run = RuntimeOptions(
        threads=threads, max_pixels=max_pixels, language=language, calibration=calibration
    )
    spec = CaptionerSpec(model, (), run, frames, decoding_values(decoding))
    if check:
        from negah.cli.explain_check import Check, run_check

        if paths:
            raise UsageError(f"--check reads --data PATH, not {paths[0]}: leave one of them out")
        for name, option in given.items():
            if name not in _OF_CHECK:
                raise UsageError(
                    f"{option} is for explained files: leave it out, or leave out --check"
                )
        work = Check(
            spec, tuple(data or ()), split, objects, photos, method, output, picture,
            tuple(images or ()),
        )  # fmt: skip
        run_check(work, dev_fraction, test_fraction)
        return
    for name, option in given.items():
        if name not in _OF_FILES:
            raise UsageError(f"{option} is for --check: add --check, or leave it out")
    if not paths:
        raise UsageError("name photos or clips to explain, or --check --data PATH")
    found = find_media(paths, recursive=recursive, stdin=sys.stdin, only=None)
    files = found.files
    outputs().read(files)
    if frames is not None and not any(map(is_clip, files)):
        raise UsageError("--frames is for clips, but there are none: leave it out")
    single = len(paths) == 1 and files == [Path(paths[0])]
    targets = plan_outputs(output, form, files, outputs(), single=single)
    tally = Tally(
        len(files), "explained", failures=CappedMessages(found.closed), left_out=found.left_out
    )
    if files:
        explain_all(files, targets, spec, method, tally)
    tally.report()
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)
