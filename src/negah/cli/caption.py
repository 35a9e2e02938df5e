"""``negah caption``: photos and clips to text, JSON, CSV, subtitles or sidecar files."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from negah.cli.captioning import Work, check_work, open_captioner, write_all
from negah.cli.decoding_options import DecodingPairs, decoding_values
from negah.cli.languages import Language
from negah.cli.limits import MaxPixels
from negah.cli.metadata import (
    Copies,
    ExistingText,
    InPlace,
    Metadata,
    MetadataWriter,
    WriteMetadata,
)
from negah.cli.paths import READS_MODEL, Reads, Writes, outputs
from negah.cli.pictures import Pictures, plan_pictures
from negah.cli.progress import Tally, progress_bar
from negah.cli.sidecars import SIDECAR_SUFFIXES, SidecarWriter, plan_sidecars
from negah.cli.wording import Alt, MaxChars, NeutralPeople, Wording
from negah.cli.writers import Format, Layout, Writer, open_writer
from negah.errors import OutputError, UsageError
from negah.media import MAX_PIXELS, find_media


class Only(StrEnum):
    """What is taken of folders, globs and lists."""

    PHOTOS = "photos"
    CLIPS = "clips"


def _confidence(value: str | float) -> float | str:
    """``0.3``, or ``default``."""
    if value == "default":
        return value
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise typer.BadParameter(f"{value!r} is no number from 0 to 1, and not 'default'")
    return number


def caption(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Photos, clips, folders or globs; - for a list on standard input.",
            show_default=False,
        ),
        Reads(),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A bundled model, the folder of a bundle, of a training run or of a Hugging "
            "Face captioner, or hf:ORG/NAME.",
            show_default="the bundled ones",
        ),
        READS_MODEL,
    ] = None,
    fuse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Choose every word together with this model, such as one of motion.",
            show_default=False,
        ),
        READS_MODEL,
    ] = None,
    language: Language = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also the folders inside the folders.")
    ] = False,
    only: Annotated[
        Only | None,
        typer.Option(
            help="Of folders, globs and lists, take one kind of files.", show_default="both"
        ),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="How captions are written.", show_default="text"),
    ] = None,
    bom: Annotated[
        bool,
        typer.Option("--bom", help="Of CSV: begin with the mark by which spreadsheets know UTF-8."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to this file.",
            show_default="standard output",
        ),
        Writes(),
    ] = None,
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Write a .txt, .srt or .vtt beside each file; files that have one are skipped.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="With --sidecar: replace those that exist.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw the model's attention for every word: a .png for one file, a folder for "
            "several; see also negah explain.",
            show_default=False,
        ),
        Writes(kind=None),
    ] = None,
    scenes: Annotated[
        bool, typer.Option("--scenes", help="Of clips: a caption of every scene, with its times.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Of clips: a caption of every so many seconds.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="Frames looked at in a clip, or in each of its scenes.",
            show_default="the model's choice",
        ),
    ] = None,
    evidence: Annotated[
        bool | None,
        typer.Option(
            "--evidence/--no-evidence",
            help="In JSON: the words, with the attention and the gate of each.",
            show_default="with evidence",
        ),
    ] = None,
    min_confidence: Annotated[
        Any,
        typer.Option(
            parser=_confidence,
            metavar="X",
            help="Leave out captions of less confidence, from 0 to 1; default: those that are most "
            "likely of no photograph.",
            show_default="none is left out",
        ),
    ] = None,
    mark: Annotated[
        bool,
        typer.Option("--mark", help='In text: "possibly" before things that are hardly there.'),
    ] = False,
    alt: Alt = False,
    max_chars: MaxChars = None,
    neutral_people: NeutralPeople = False,
    write_metadata: WriteMetadata = None,
    in_place: InPlace = False,
    copies: Copies = None,
    existing: ExistingText = None,
    beam: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, metavar="N", help="Hypotheses kept.", show_default="the model's choice"
        ),
    ] = None,
    n_best: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            help="Captions of each photo, clip or scene.",
            show_default="1",
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="Most words of a caption.",
            show_default="the model's choice",
        ),
    ] = None,
    decoding: DecodingPairs = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=1024, metavar="N", help="Photos captioned together.")
    ] = 16,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            metavar="N",
            help="Batches captioned side by side, a core each.",
            show_default="one for each core",
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Caption photos and clips.

    One file named by itself gives its caption alone; folders, globs, lists and several files
    give "path: caption". A file that cannot be read is reported and skipped.

    \b
    negah caption photo.jpg
    negah caption holiday/ --recursive --output captions.csv --format csv
    negah caption 'album/*.jpg' --format jsonl --n-best 3 --beam 5
    negah caption photos/ --sidecar
    negah caption photos/ --write-metadata sidecar
    negah caption photo.jpg --picture evidence.png
    negah caption photos/ --format html --output review.html
    negah caption photos/ --min-confidence default --mark
    negah caption photo.jpg --alt --neutral-people
    negah caption photo.jpg --language fa
    find . -name '*.jpg' -print0 | negah caption -

    \b
    negah caption clip.mp4
    negah caption film.mp4 --scenes
    negah caption film.mp4 --scenes --format vtt --output film.vtt
    negah caption clips/ --scenes --format srt --sidecar
    negah caption clip.mp4 --frames 16 --format json --picture evidence.png
    negah caption clip.mp4 --model runs/cam-rnn-video/bundle --fuse runs/cam-rnn-motion/bundle

    A file that is most likely no photograph is captioned with a warning; with --min-confidence
    default it is left out.

    Exit code: 0 all captioned, skipped or left out, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    metadata = Metadata(write_metadata, in_place, copies, existing)
    elsewhere = sidecar or output is not None or form is not None
    form = form or Format.TEXT
    own = {"beam": beam, "n_best": n_best, "max_length": max_length}
    options = decoding_values(decoding)
    if "n_best" in options:
        raise UsageError("--decoding n_best: how many captions there are is told by --n-best N")
    work = Work(
        model=model,
        language=language,
        fuse=fuse or (),
        threads=threads,
        batch_size=batch_size,
        decoding=options | {name: value for name, value in own.items() if value is not None},
        frames=frames,
        scenes=scenes,
        every=every,
        max_pixels=max_pixels,
        pictures=picture is not None,
        min_confidence=min_confidence,
        mark=mark,
        wording=Wording(alt, max_chars, neutral_people),
    )
    _check(work, form, output, sidecar=sidecar, overwrite=overwrite, evidence=evidence, bom=bom)
    metadata.check(elsewhere=elsewhere, by_parts=work.by_parts, mark=mark)
    if form.is_track and only is Only.PHOTOS:
        raise UsageError(f"photos have no times, and {form.value} is about them: use text or CSV")
    kind = Only.CLIPS if form.is_track else only
    found = find_media(
        paths, recursive=recursive, stdin=sys.stdin, only=None if kind is None else kind.value
    )
    files = found.files
    if form.is_track and not sidecar and len(files) > 1:
        raise UsageError(
            f"a file of {form.value} is about one clip, and here are {len(files)}: add --sidecar "
            "to write one beside each"
        )
    check_work(work, files)
    outputs().read(files)
    tally = Tally(total=len(files), failures=list(found.closed), left_out=found.left_out)
    layout = Layout(
        form,
        names=not sidecar and not (len(paths) == 1 and files == [Path(paths[0])]),
        evidence=evidence is not False,
        ranks=n_best is not None and n_best > 1,
        scenes=work.by_parts,
        mark=mark,
        bom=bom,
        model=model,
        max_pixels=max_pixels,
    )
    if sidecar:
        plan = plan_sidecars(files, SIDECAR_SUFFIXES[form], outputs(), overwrite=overwrite)
        files, tally.skipped = plan.wanted, len(plan.existing)
        tally.failures += plan.clashes
    wanted = metadata.wanted(files)
    files, tally.skipped = wanted, tally.skipped + len(files) - len(wanted)
    targets = plan_pictures(picture, files, outputs(), scenes=work.by_parts) if picture else None
    if files:
        # What is slow to import comes here, which wrong usage need not wait for.
        captioner = open_captioner(work, files)
        outputs().read(captioner.files)
        pictures = (
            None
            if targets is None
            else Pictures(targets, outputs(), scenes=work.by_parts, max_pixels=max_pixels)
        )
        try:
            with _writer(
                layout, metadata, output, sidecar=sidecar, overwrite=overwrite
            ) as captions:
                on_screen = output is None and not sidecar and sys.stdout.isatty()
                with progress_bar(len(files), wanted=not on_screen, scenes=work.by_parts) as bar:
                    write_all(captioner, work, files, captions, pictures, tally, bar)
        except OutputError as error:
            tally.stopped = error
    tally.report()
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


def _writer(
    layout: Layout, metadata: Metadata, output: Path | None, *, sidecar: bool, overwrite: bool
) -> AbstractContextManager[Writer]:
    """Where captions are written."""
    if sidecar:
        return nullcontext(SidecarWriter(layout, overwrite=overwrite))
    if metadata.place is not None:
        return nullcontext(MetadataWriter(metadata, layout.model))
    return open_writer(output, layout)


def _check(
    work: Work,
    form: Format,
    output: Path | None,
    *,
    sidecar: bool,
    overwrite: bool,
    evidence: bool | None,
    bom: bool,
) -> None:
    """Refuse options that contradict each other."""
    if bom and form is not Format.CSV:
        raise UsageError(f"--bom begins CSV, not {form.value}: add --format csv, or leave it out")
    if work.scenes and work.every is not None:
        raise UsageError("--scenes and --every both say where a clip is divided: leave one out")
    if work.every is not None and not 0.1 <= work.every <= 2_592_000:  # 30 days, as of a clip
        raise UsageError(
            f"--every is a number of seconds above 0, from 0.1 to 2592000, not {work.every}"
        )
    if sidecar and output is not None:
        raise UsageError(
            "--sidecar writes beside each file: leave out --output, or leave out --sidecar"
        )
    if sidecar and form not in SIDECAR_SUFFIXES:
        raise UsageError(
            f"--sidecar writes text, srt or vtt, not {form.value}: leave out --format, or leave "
            "out --sidecar"
        )
    if work.mark and form is not Format.TEXT:
        raise UsageError(
            f"--mark writes into text, not {form.value}: leave it out, or leave out --format"
        )
    if work.mark and work.wording.changes:
        raise UsageError(
            "--mark writes into the captions as the model words them: leave it out, or leave out "
            "--alt and --neutral-people"
        )
    if overwrite and not sidecar:
        raise UsageError("--overwrite is about sidecar files: add --sidecar, or leave it out")
    if form is Format.HTML and work.by_parts:
        raise UsageError(
            "a page to review has a caption of each file, not of scenes: leave out --scenes and "
            "--every, or use another --format"
        )
    if form.is_track and work.decoding.get("n_best", 1) > 1:
        raise UsageError(f"{form.value} shows one caption at a time: leave out --n-best")
    if evidence and (sidecar or form not in (Format.JSON, Format.JSONL)):
        raise UsageError(
            f"{'a sidecar' if sidecar else form.value} has no room for evidence: "
            "use --format json or --format jsonl"
        )
