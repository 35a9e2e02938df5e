"""``negah caption --shards``: captions in a file for each shard, on any number of machines."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.captioning import CaptioningSettings, check_english
from negah.cli.compute import share_heap
from negah.cli.destinations import Destination
from negah.cli.paths import Writes, outputs
from negah.cli.writers import OutputFormat
from negah.errors import OutputError, UsageError
from negah.interrupt import Interrupt
from negah.media.sources import MediaKind, left_out_line
from negah.outputs import OutputKind as OutputKind

if TYPE_CHECKING:
    from negah.cli.shard_progress import ShardBar, ShardTally
    from negah.jobs.inputs import Shard, ShardPlan
    from negah.jobs.shards import ShardJob
    from negah.jobs.sharing import SharedJob
    from negah.runtime import Result


def parse_format(value: str) -> OutputFormat | str:
    """A format of ``negah caption``, or one that only shards are written in."""
    if value in tuple(OutputFormat):
        return OutputFormat(value)
    from negah.jobs.sinks import SINKS

    if value in SINKS:
        return value
    known = ", ".join(repr(str(one)) for one in dict.fromkeys([*OutputFormat, *SINKS.names()]))
    raise typer.BadParameter(f"{value!r} is not one of {known}")


class Engine(StrEnum):
    """What runs the shards."""

    LOCAL = "local"
    RAY = "ray"


Shards = Annotated[
    str | None,
    typer.Option(
        "--shards",
        metavar="FOLDER",
        help="Write a file of captions for each shard of the input into this folder or address: "
        "tars, Parquet files, or parts of --shard-size files.",
        show_default=False,
    ),
    Writes(kind=None, what="shards of captions"),
]
ShardSize = Annotated[
    int | None,
    typer.Option(
        "--shard-size",
        min=1,
        max=1_000_000,
        metavar="N",
        help="With --shards: files of a folder or list that make one shard.",
        show_default="1000",
    ),
]
ShardShare = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="With --shards: caption only this share; auto in a Slurm array, auto/N in an indexed "
        "Kubernetes job.",
        show_default="shards that no other process has claimed",
    ),
]
Lease = Annotated[
    float | None,
    typer.Option(
        "--lease",
        min=1,
        max=86_400,
        metavar="SECONDS",
        help="With --shards: take over a shard whose claim was not renewed for this long.",
        show_default="60",
    ),
]
RunBy = Annotated[
    Engine | None,
    typer.Option(
        "--engine", help="With --shards: where to run; ray: on a Ray cluster.", show_default="local"
    ),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        "--gpus",
        min=0,
        max=64,
        metavar="N",
        help="With --engine ray: GPUs of each process.",
        show_default="0",
    ),
]


#: The parameters of ``negah caption`` that reach shards; any other one that is given is refused.
REACHES_SHARDS = frozenset(
    {
        *("paths", "recursive", "only", "model", "calibration", "fuse", "language"),
        *("frames", "beam", "n_best", "max_length", "decoding"),
        *("batch_size", "threads", "max_pixels"),
        *("form", "evidence", "min_confidence", "alt", "max_chars", "neutral_people"),
        *("restart", "retry_failed"),
        *("shards", "shard_size", "shard", "lease", "engine", "gpus"),
    }
)


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """The options that are about shards.

    Attributes:
        output: the folder, or its address; None where no shards are wanted.
        size: of shards that are made of files.
        share: ``I/N``, or what takes it from the environment.
        lease: seconds.
        engine: what runs them.
        gpus: of each process of the engine.
    """

    output: str | None = None
    size: int | None = None
    share: str | None = None
    lease: float | None = None
    engine: Engine | None = None
    gpus: float | None = None

    def wanted(self, place: Destination, given: Mapping[str, str]) -> bool:
        """Whether shards are written; options that contradict each other are refused.

        Args:
            place: where captions would go otherwise.
            given: all options that were given, by their parameters.

        Raises:
            UsageError: two do.
        """
        form: OutputFormat | str | None = place.form
        own = {
            "--shard-size": self.size,
            "--shard": self.share,
            "--lease": self.lease,
            "--engine": self.engine,
            "--gpus": self.gpus,
        }
        if self.output is None:
            for name, value in own.items():
                if value is not None:
                    raise UsageError(
                        f"{name} is about shards: add --shards FOLDER, or leave it out"
                    )
            if form is not None and not isinstance(form, OutputFormat):
                raise UsageError(f"{form} is written by shards: add --shards FOLDER")
            return False
        if isinstance(form, OutputFormat) and form is not OutputFormat.JSONL:
            raise UsageError(
                f"shards are written as jsonl, parquet or tar, not {form.value}: choose another "
                "--format"
            )
        others = [option for name, option in given.items() if name not in REACHES_SHARDS]
        if others:
            raise UsageError(
                f"--shards writes a file of captions for each shard: leave out {others[0]}, or "
                "leave out --shards"
            )
        if place.job.restart and place.job.retry_failed:
            raise UsageError("--restart forgets what failed: leave out --retry-failed")
        if self.engine is Engine.RAY and (self.share or self.lease):
            raise UsageError(
                "--engine ray divides the shards itself: leave out --shard and --lease"
            )
        if self.gpus is not None and self.engine is not Engine.RAY:
            raise UsageError("--gpus is about --engine ray: add that, or leave it out")
        if self.share and self.lease:
            raise UsageError("a share (--shard) is nobody else's: leave out --lease")
        return True


@dataclass(frozen=True, slots=True)
class ShardRequest:
    """A job by shards, as it was asked for.

    Attributes:
        paths: what to caption.
        options: about shards.
        work: what is asked of the captioners.
        place: the format, and whether what is there is removed, or done again where it failed.
        evidence: whether files have the words with their evidence.
        recursive: whether folders inside folders are looked into.
        only: what is taken of folders, globs and lists; None for both kinds.
    """

    paths: Sequence[str]
    options: ShardOptions
    work: CaptioningSettings
    place: Destination
    evidence: bool = False
    recursive: bool = False
    only: MediaKind | None = None


def caption_shards(request: ShardRequest) -> None:
    """Run a job by shards, and end with what became of it.

    Raises:
        UsageError: an option is wrong, or the folder is of another job.
        typer.Exit: with the exit code, where it is not 0.
    """
    from negah.cli.shard_progress import ShardTally, shard_progress
    from negah.jobs.inputs import SHARD_SIZE, find_shards
    from negah.jobs.share import parse_share
    from negah.jobs.sharing import SharedJob, restart

    options = request.options
    assert options.output is not None
    job = _job(request)
    job.check()
    share = parse_share(options.share, os.environ) if options.share else None
    plan = find_shards(
        request.paths,
        shard_size=options.size or SHARD_SIZE,
        recursive=request.recursive,
        stdin=sys.stdin,
        only=request.only,
    )
    _register(job, plan)
    share_heap()
    captioner = job.open()
    check_english(request.work, captioner.backend.identity)
    outputs().read(captioner.files)
    if request.place.job.restart:
        restart(job.output)
    work = SharedJob(job, plan, captioner)
    mine = list(plan.shards) if share is None else share.of(plan.shards)
    if request.place.job.retry_failed:
        work.forget_failures(mine)
    settled = work.settled(mine)
    left = [shard for shard in mine if shard.name not in settled]
    tally = ShardTally(
        total=len(mine),
        failures=[str(error) for error in plan.closed],
        left_out=left_out_line(plan.left_out),
    )
    try:
        with shard_progress(len(mine), len(settled)) as bar:
            if options.engine is Engine.RAY:
                _run_on_ray(job, left, options, tally, bar)
            else:
                _run(work, left, options, tally, bar)
    except OutputError as error:
        tally.stopped = str(error)
    except KeyboardInterrupt:
        tally.interrupted = True
    tally.settled = work.settled(mine)
    tally.report()
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


def _job(request: ShardRequest) -> ShardJob:
    """What is made of every shard."""
    from negah.jobs.addresses import is_address, local_path
    from negah.jobs.shards import ShardJob

    work, output = request.work, request.options.output or ""
    return ShardJob(
        # of processes elsewhere, the folder of the command is not theirs
        output=output if is_address(output) else os.path.abspath(local_path(output)),  # noqa: PTH100
        format=str(request.place.form or OutputFormat.JSONL),
        spec=work.spec.seen_from_anywhere(),
        evidence=request.evidence,
        min_confidence=work.min_confidence,
        reword=work.wording.of if work.wording.changes else None,
        wording=repr(work.wording) if work.wording.changes else "",
    )


def _register(job: ShardJob, plan: ShardPlan) -> None:
    """Tell what is read, and refuse to write among it."""
    from negah.jobs.addresses import is_address, local_path

    for shard in plan.shards:
        named = shard.files or (shard.source,)
        outputs().read(local_path(name) for name in named if not is_address(name))
    if not is_address(job.output):
        outputs().write(job.output, f"--shards {job.output}", OutputKind.FOLDER)


def _run(
    work: SharedJob,
    shards: Sequence[Shard],
    options: ShardOptions,
    tally: ShardTally,
    bar: ShardBar,
) -> None:
    """Caption here; Ctrl-C gives up the shard that is being captioned, so that others may have it.

    Raises:
        KeyboardInterrupt: somebody asked to stop.
    """
    from negah.jobs.claims import LEASE

    with Interrupt() as interrupt:

        def check() -> None:
            if interrupt.asked:
                raise KeyboardInterrupt

        def reached(result: Result) -> None:
            bar.photos()
            check()

        def waiting(count: int) -> None:
            bar.wait(count)
            check()

        for report in work.work(
            shards,
            alone=options.share is not None,
            lease=options.lease or LEASE,
            reached=reached,
            waiting=waiting,
        ):
            bar.shard()
            tally.add(report)
            check()
    tally.rate = bar.rate


def _run_on_ray(
    job: ShardJob,
    shards: Sequence[Shard],
    options: ShardOptions,
    tally: ShardTally,
    bar: ShardBar,
) -> None:
    """Have a Ray cluster caption."""
    from negah.jobs.engine import run_on_ray

    for report in run_on_ray(job, shards, gpus=options.gpus or 0.0) if shards else ():
        bar.photos(report.captions + report.unsure + len(report.failed))
        bar.shard()
        tally.add(report)
    tally.rate = bar.rate
