"""The options of ``negah caption ... --output FILE`` as a job, and where that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.paths import outputs
from negah.cli.writers import OutputFormat
from negah.errors import UsageError
from negah.outputs import OutputKind
from negah.targets import find_target

Restart = Annotated[
    bool,
    typer.Option(
        "--restart",
        help="With --output or --shards: start over, discarding captions that are done.",
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="With --output: caption only files that failed; with --shards: repeat shards that "
        "failed or in which a photo failed.",
    ),
]
ProvenanceOption = Annotated[
    bool,
    typer.Option(
        "--provenance",
        help="With --output, in JSON and CSV: model and hash, version, options, time, and the "
        "hash of the file.",
    ),
]
Dedupe = Annotated[
    bool,
    typer.Option("--dedupe", help="With --output: caption files with identical content only once."),
]

_JOB_SUFFIX = ".job"
_JSON = (OutputFormat.JSON, OutputFormat.JSONL)


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What is asked of a job.

    Attributes:
        restart: whether to start over.
        retry_failed: whether only what failed is taken.
        provenance: whether rows tell where they come from.
        dedupe: whether files with identical content are captioned only once.
    """

    restart: bool = False
    retry_failed: bool = False
    provenance: bool = False
    dedupe: bool = False

    @property
    def given(self) -> list[str]:
        """The options that were given."""
        names = ("restart", "retry_failed", "provenance", "dedupe")
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name)]

    def check(self, form: OutputFormat) -> None:
        """Refuse what contradicts itself, or the format has no room for.

        Raises:
            UsageError: it does.
        """
        if self.restart and self.retry_failed:
            raise UsageError("--restart forgets what failed: leave out --retry-failed")
        if self.provenance and form not in (*_JSON, OutputFormat.CSV):
            raise UsageError(
                f"{form.value} has no room for --provenance: use --format jsonl, json or csv"
            )
        if self.dedupe and form is OutputFormat.HTML:
            raise UsageError("--dedupe is not for pages: use another --format, or leave it out")


@dataclass(frozen=True, slots=True)
class JobFiles:
    """The files of a job.

    Attributes:
        output: as the user named it.
        folder: of the journal and the summary, beside the output, links followed.
        is_new: whether there was no output when the run began.
    """

    output: Path
    folder: Path
    is_new: bool

    @classmethod
    def of(cls, output: Path) -> JobFiles:
        """Where the job of an output is; claims its folder for this run.

        Raises:
            UsageError: it cannot be there.
        """
        target = find_target(output)
        folder = target.path.with_name(target.path.name + _JOB_SUFFIX)
        outputs().write(folder, f"the job {output}{_JOB_SUFFIX}", OutputKind.FOLDER)
        return cls(output, folder, target.before is None)
