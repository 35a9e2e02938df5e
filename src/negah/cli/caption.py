"""``negah caption``: photos to text, JSON, CSV or sidecar files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.pictures import PictureWriter
from negah.cli.progress import Tally, progress_bar
from negah.cli.sidecars import SidecarWriter, plan_sidecars
from negah.cli.writers import Format, Writer, open_writer
from negah.errors import MediaError, UsageError
from negah.interrupt import Interrupt
from negah.media import find_images

if TYPE_CHECKING:
    from negah.runtime import Result


def caption(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Photos, folders or globs; - for a list on standard input.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A bundle's folder, or the name of a bundled model.",
            show_default="the bundled model",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also the folders inside the folders.")
    ] = False,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="How captions are written.", show_default="text"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to this file.",
            show_default="standard output",
        ),
    ] = None,
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Write a .txt beside each photo instead; photos that have one are skipped.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --sidecar: replace those that exist.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw where every word looked: a .png for one photo, a folder for several.",
            show_default=False,
        ),
    ] = None,
    evidence: Annotated[
        bool | None,
        typer.Option(
            "--evidence/--no-evidence",
            help="In JSON: the words, and where each came from.",
            show_default="with evidence",
        ),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Hypotheses kept.", show_default="the model's choice"
        ),
    ] = None,
    n_best: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Captions of each photo.", show_default="1"),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Most words of a caption.", show_default="the model's choice"
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, metavar="N", help="Photos captioned together.")
    ] = 16,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Threads to compute with.", show_default="one for each core"
        ),
    ] = None,
) -> None:
    """Caption photos.

    One photo named by itself gives its caption alone; folders, globs, lists and several
    photos give "path: caption". A photo that cannot be read is reported and skipped.

    \b
    negah caption photo.jpg
    negah caption holiday/ --recursive --output captions.csv --format csv
    negah caption 'album/*.jpg' --format jsonl --n-best 3 --beam 5
    negah caption photos/ --sidecar
    negah caption photo.jpg --picture evidence.png
    find . -name '*.jpg' -print0 | negah caption -

    Exit code: 0 all captioned, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    single = len(paths) == 1
    form = _check_outputs(form, output, sidecar=sidecar, overwrite=overwrite, evidence=evidence)
    photos = find_images(paths, recursive=recursive, stdin=sys.stdin)
    tally = Tally(total=len(photos))
    names = not (single and photos == [Path(paths[0])])
    if sidecar:
        plan = plan_sidecars(photos, overwrite=overwrite)
        photos, tally.skipped, tally.failures = plan.wanted, len(plan.existing), plan.clashes
    if photos:
        decoding = {"beam": beam, "n_best": n_best, "max_length": max_length}
        results = _caption(photos, model, threads, batch_size, decoding)
        ranks = n_best is not None and n_best > 1
        with (
            nullcontext(SidecarWriter())
            if sidecar
            else open_writer(output, form, names=names, evidence=evidence is not False, ranks=ranks)
        ) as captions:
            writer = captions if picture is None else PictureWriter(captions, picture, photos)
            on_screen = output is None and not sidecar and sys.stdout.isatty()
            with progress_bar(len(photos), wanted=not on_screen) as advance:
                _write_all(photos, results, writer, tally, advance)
    tally.report()
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


def _check_outputs(
    form: Format | None,
    output: Path | None,
    *,
    sidecar: bool,
    overwrite: bool,
    evidence: bool | None,
) -> Format:
    """The format to write; UsageError where options contradict each other."""
    if sidecar and (output is not None or form is not None):
        raise UsageError(
            "--sidecar writes plain text beside each photo: leave out --output and --format, "
            "or leave out --sidecar"
        )
    if overwrite and not sidecar:
        raise UsageError("--overwrite is about sidecar files: add --sidecar, or leave it out")
    form = form or Format.TEXT
    if evidence and form not in (Format.JSON, Format.JSONL):
        raise UsageError(
            f"{'a sidecar' if sidecar else form.value} has no room for evidence: "
            "use --format json or --format jsonl"
        )
    return form


def _caption(
    photos: Sequence[Path],
    model: str | None,
    threads: int | None,
    batch_size: int,
    decoding: dict[str, int | None],
) -> Iterator[Result]:
    # Imported here because it takes most of a second, which wrong usage need not wait for.
    from negah.runtime import Captioner

    return Captioner(model, threads=threads).caption_many(
        photos,
        batch_size=batch_size,
        on_error="report",
        **{name: value for name, value in decoding.items() if value is not None},
    )


def _write_all(
    photos: Sequence[Path],
    results: Iterator[Result],
    writer: Writer,
    tally: Tally,
    advance: Callable[[], None],
) -> None:
    """Write what comes; on Ctrl-C what has come is kept, and counted as it was written."""
    with Interrupt() as interrupt:
        try:
            for photo, result in zip(photos, results, strict=True):
                failure = _write(photo, result, writer)
                if failure is None:
                    tally.captioned += 1
                else:
                    tally.failures.append(failure)
                advance()
                if interrupt.asked:
                    break
        except KeyboardInterrupt:  # the second Ctrl-C does not wait
            tally.interrupted = True
        tally.interrupted = tally.interrupted or interrupt.asked


def _write(photo: Path, result: Result, writer: Writer) -> MediaError | None:
    if result.caption is None:
        return result.error
    try:
        writer.write(photo, result.caption)
    except MediaError as error:
        return error
    return None
