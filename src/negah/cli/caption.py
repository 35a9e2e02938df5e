"""``negah caption``: photos and clips to text, JSON, CSV, subtitles or sidecar files."""

from __future__ import annotations

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from negah.cli.calibration_option import CalibrationOption
from negah.cli.captioning import CaptioningSettings, check_work, open_captioner
from negah.cli.decoding_options import DecodingPairs, decoding_values
from negah.cli.destinations import Destination
from negah.cli.given import given_options
from negah.cli.jobs import (
    Dedupe,
    JobFiles,
    JobOptions,
    ProvenanceOption,
    Restart,
    RetryFailed,
)
from negah.cli.languages import LanguageOption
from negah.cli.limits import MaxPixels
from negah.cli.metadata import Copies, ExistingText, InPlace, Metadata, WriteMetadata
from negah.cli.models import ModelOption
from negah.cli.paths import READS_MODEL, Reads, Writes, outputs
from negah.cli.pictures import WordPictures, plan_pictures
from negah.cli.progress import CappedMessages, Tally
from negah.cli.shards import (
    Gpus,
    Lease,
    RunBy,
    ShardOptions,
    ShardRequest,
    Shards,
    ShardShare,
    ShardSize,
    caption_shards,
    parse_format,
)
from negah.cli.wording import Alt, MaxChars, NeutralPeople, Wording
from negah.cli.writers import OutputFormat, OutputLayout
from negah.errors import UsageError
from negah.media import MAX_PIXELS, find_media, is_clip
from negah.media.sources import MediaKind


class Only(StrEnum):
    """The kind of files taken from folders, globs and lists."""

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
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Photos, clips, folders or globs; - for a list on standard input.",
            show_default=False,
        ),
        Reads(),
    ],
    model: ModelOption = None,
    calibration: CalibrationOption = None,
    fuse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Choose every word together with this model, such as one of motion.",
            show_default=False,
        ),
        READS_MODEL,
    ] = None,
    language: LanguageOption = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Also read subfolders.")
    ] = False,
    only: Annotated[
        Only | None,
        typer.Option(
            help="Take only one kind of files from folders, globs and lists.", show_default="both"
        ),
    ] = None,
    form: Annotated[
        Any,
        typer.Option(
            "--format",
            "-f",
            parser=parse_format,
            metavar=f"[{'|'.join(OutputFormat)}]",
            help="Output format; with --shards: jsonl, parquet or tar.",
            show_default="by the suffix of --output, or text",
        ),
    ] = None,
    bom: Annotated[
        bool,
        typer.Option(
            "--bom",
            help="For CSV: begin with a byte order mark, so that spreadsheets recognise UTF-8.",
        ),
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
        Writes(what="captions"),
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
    restart: Restart = False,
    retry_failed: RetryFailed = False,
    provenance: ProvenanceOption = False,
    dedupe: Dedupe = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Draw the model's attention for every word: a .png for one file, a folder for "
            "several; see also negah explain.",
            show_default=False,
        ),
        Writes(kind=None, what="attention of each word"),
    ] = None,
    scenes: Annotated[
        bool, typer.Option("--scenes", help="For clips: caption every scene, with its times.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="For clips: caption parts of this many seconds.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            metavar="N",
            help="Number of frames used of a clip, or of each of its scenes.",
            show_default="the model's choice",
        ),
    ] = None,
    evidence: Annotated[
        bool | None,
        typer.Option(
            "--evidence/--no-evidence",
            help="In JSON: include the words with their attention and gate.",
            show_default="with evidence",
        ),
    ] = None,
    min_confidence: Annotated[
        Any,
        typer.Option(
            parser=_confidence,
            metavar="X",
            help="Leave out captions with a lower confidence, 0 to 1; default: those of pictures "
            "that are probably not photographs.",
            show_default="none is left out",
        ),
    ] = None,
    mark: Annotated[
        bool,
        typer.Option(
            "--mark",
            help='In text: write "possibly" before doubtful names of 80 common objects (COCO).',
        ),
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
            min=1,
            max=1024,
            metavar="N",
            help="Beam size: hypotheses kept.",
            show_default="the model's choice",
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
            help="Maximum number of words of a caption.",
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
            help="Batches captioned in parallel, one core each.",
            show_default="one for each core",
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
    shards: Shards = None,
    shard_size: ShardSize = None,
    shard: ShardShare = None,
    lease: Lease = None,
    engine: RunBy = None,
    gpus: Gpus = None,
) -> None:
    """Caption photos and clips.

    A single file gives only its caption; folders, globs, lists and several files give "path:
    caption". A file that cannot be read is reported and skipped.

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
    negah caption 'data-{000..099}.tar' --shards captions/

    With --output FILE, many files are a job: it may be interrupted or killed at any moment, and the
    same command resumes it, also with more files; FILE appears when all is done.

    \b
    negah caption archive/ -r -o captions.jsonl
    negah caption archive/ -r -o captions.jsonl --retry-failed
    negah caption archive/ -r -o facts.jsonl --provenance --dedupe

    \b
    negah caption clip.mp4
    negah caption film.mp4 --scenes
    negah caption film.mp4 --scenes --format vtt --output film.vtt
    negah caption clips/ --scenes --format srt --sidecar
    negah caption clip.mp4 --frames 16 --format json --picture evidence.png
    negah caption clip.mp4 --model runs/cam-rnn-video/bundle --fuse runs/cam-rnn-motion/bundle

    A file that is probably not a photograph is captioned with a warning; with --min-confidence
    default it is left out.

    Exit code: 0 all captioned, skipped or left out, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    own = {"beam": beam, "n_best": n_best, "max_length": max_length}
    options = decoding_values(decoding)
    if "n_best" in options:
        raise UsageError("--decoding n_best: use --n-best N for the number of captions")
    from negah.runtime import CaptionerSpec, RuntimeOptions

    run = RuntimeOptions(
        threads=threads, batch_size=batch_size, max_pixels=max_pixels, language=language,
        calibration=calibration,
    )  # fmt: skip
    options |= {name: value for name, value in own.items() if value is not None}
    work = CaptioningSettings(
        CaptionerSpec(model, tuple(fuse or ()), run, frames, options),
        scenes=scenes,
        every=every,
        pictures=picture is not None,
        min_confidence=min_confidence,
        mark=mark,
        wording=Wording(alt, max_chars, neutral_people),
    )
    place = Destination(
        form,
        output,
        sidecar,
        overwrite,
        Metadata(write_metadata, in_place, copies, existing),
        JobOptions(restart, retry_failed, provenance, dedupe),
    )
    kind: MediaKind | None = None if only is None else only.value
    # a dash has become the path of standard output
    by_shards = ShardOptions(shards and str(shards), shard_size, shard, lease, engine, gpus)
    if by_shards.wanted(place, given_options(context)):
        return caption_shards(
            ShardRequest(paths, by_shards, work, place, evidence is True, recursive, kind)
        )
    place.check(work, evidence=evidence, bom=bom)
    kind = place.kind(kind)
    found = find_media(paths, recursive=recursive, stdin=sys.stdin, only=kind)
    files = found.files
    place.check_files(files)
    check_work(work, files)
    named = not sidecar and not (len(paths) == 1 and files == [Path(paths[0])])
    job = JobFiles.of(output) if output is not None and place.is_job(names=named) else None
    outputs().read(files)
    tally = Tally(total=len(files), failures=CappedMessages(found.closed), left_out=found.left_out)
    layout = OutputLayout(
        place.format,
        names=named,
        evidence=evidence is not False,
        ranks=n_best is not None and n_best > 1,
        scenes=work.by_parts,
        mark=mark,
        bom=bom,
        model=model,
        max_pixels=max_pixels,
        provenance=provenance,
        same_as=dedupe,
    )
    files = place.take(files, tally)
    targets = plan_pictures(picture, files, outputs(), scenes=work.by_parts) if picture else None
    if files:
        # Slow imports are here, so that wrong usage is reported at once.
        captioner = open_captioner(work, files)
        sees = captioner.work(clips=is_clip(files[0])).backends[0]
        layout = replace(layout, language=sees.identity.language)
        outputs().read(captioner.files)
        pictures = None
        if targets is not None:
            pictures = WordPictures(targets, outputs(), scenes=work.by_parts, max_pixels=max_pixels)
        if job is not None:
            from negah.cli.output_job import OutputJob

            OutputJob(captioner, work, layout, job, place.job).run(files, pictures, tally)
        else:
            place.write(captioner, work, files, layout, pictures, tally)
    tally.report()
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)
    return None
