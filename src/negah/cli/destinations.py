"""The destination of the captions of ``negah caption``: option checks, and the files to caption."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from negah.cli.captioning import CaptioningSettings, Files, write_all
from negah.cli.jobs import JobOptions
from negah.cli.metadata import Metadata, MetadataWriter
from negah.cli.paths import outputs
from negah.cli.pictures import WordPictures
from negah.cli.progress import Tally, progress_bar
from negah.cli.sidecars import SIDECAR_SUFFIXES, SidecarWriter, plan_sidecars
from negah.cli.writers import OutputFormat, OutputLayout, Writer, open_writer
from negah.errors import OutputError, UsageError
from negah.media.sources import MediaKind
from negah.targets import find_target

if TYPE_CHECKING:
    from negah.runtime import Captioner


#: Suffixes of files that plain text would not be: whoever asks for them expects another content.
_OTHER_FILES = {
    "docx", "gz", "ods", "odt", "parquet", "pdf", "tar", "tsv", "xls", "xlsx", "xml", "yaml", "yml",
    "zip",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Destination:
    """Where captions go: standard output, one file, a file beside each, or the files themselves.

    Attributes:
        form: the format that was asked for; None for that of the output's suffix, or else text.
        output: the file; None for standard output, where it is neither of the others.
        sidecar: whether they stand beside each file.
        overwrite: whether sidecars that exist are replaced.
        metadata: whether, and how, they are written into the files.
        job: what is asked of a job.
    """

    form: OutputFormat | None
    output: Path | None
    sidecar: bool
    overwrite: bool
    metadata: Metadata
    job: JobOptions

    def is_job(self, *, names: bool) -> bool:
        """Whether captions go to a file that a job makes.

        Args:
            names: whether rows name their files, as they do but for a single one.
        """
        if self.output is None or self.sidecar or self.format.is_track:
            return False
        try:
            return (names or bool(self.job.given)) and not find_target(self.output).is_stream
        except OSError:  # reported when it is written
            return False

    @property
    def format(self) -> OutputFormat:
        """Output format.

        Raises:
            UsageError: the output has the suffix of a kind of file that is not written.
        """
        if self.form is not None:
            return self.form
        suffix = "" if self.output is None else self.output.suffix.lower().removeprefix(".")
        if suffix in _OTHER_FILES:
            raise UsageError(
                f"{self.output}: captions are not written as .{suffix}. Name a file in .csv (which "
                "spreadsheets open), .txt, .json, .jsonl, .html, .srt or .vtt, or give --format"
            )
        return OutputFormat(suffix) if suffix in list(OutputFormat) else OutputFormat.TEXT

    @property
    def is_terminal(self) -> bool:
        """Whether captions are read on a screen as they come."""
        return self.output is None and not self.sidecar and sys.stdout.isatty()

    def kind(self, only: MediaKind | None) -> MediaKind | None:
        """What is taken of folders, globs and lists: tracks are of clips alone.

        Raises:
            UsageError: photos are asked for, and a track.
        """
        if not self.format.is_track:
            return only
        if only == "photos":
            raise UsageError(
                f"photos have no times, which {self.format.value} needs: use text or CSV"
            )
        return "clips"

    def check_files(self, files: Sequence[Path]) -> None:
        """Refuse one track for several clips.

        Raises:
            UsageError: there are several.
        """
        if self.format.is_track and not self.sidecar and len(files) > 1:
            raise UsageError(
                f"a file of {self.format.value} is for one clip, but there are {len(files)}: add "
                "--sidecar to write one beside each"
            )

    def take(self, files: Sequence[Path], tally: Tally) -> Sequence[Path]:
        """The files that need captions; of the others the tally gets the reasons."""
        if self.sidecar:
            plan = plan_sidecars(
                files, SIDECAR_SUFFIXES[self.format], outputs(), overwrite=self.overwrite
            )
            files = plan.wanted
            for line in plan.existing:
                tally.skipped.append(line)
            tally.failures += plan.clashes
        if self.metadata.place is None:
            return files
        return self.metadata.take(files, tally.skipped.append)

    def write(
        self,
        captioner: Captioner,
        work: CaptioningSettings,
        files: Sequence[Path],
        layout: OutputLayout,
        pictures: WordPictures | None,
        tally: Tally,
    ) -> None:
        """Caption files, and write what comes there; see :func:`write_all`."""
        try:
            with self._open(layout) as captions:
                shown = not self.is_terminal
                with progress_bar(len(files), wanted=shown, scenes=work.by_parts) as bar:
                    write_all(captioner, work, Files(files), captions, pictures, tally, bar)
        except OutputError as error:
            tally.stopped = error

    def _open(self, layout: OutputLayout) -> AbstractContextManager[Writer]:
        """What writes there."""
        if self.sidecar:
            return nullcontext(SidecarWriter(layout, overwrite=self.overwrite))
        if self.metadata.place is not None:
            return nullcontext(MetadataWriter(self.metadata, layout.model))
        return open_writer(self.output, layout)

    def check(self, work: CaptioningSettings, *, evidence: bool | None, bom: bool) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: two do.
        """
        self._check_work(work)
        if bom and self.format is not OutputFormat.CSV:
            raise UsageError(
                f"--bom begins CSV, not {self.format.value}: add --format csv, or leave it out"
            )
        if self.sidecar and self.output is not None:
            raise UsageError(
                "--sidecar writes beside each file: leave out --output, or leave out --sidecar"
            )
        if self.sidecar and self.format not in SIDECAR_SUFFIXES:
            raise UsageError(
                f"--sidecar writes text, srt or vtt, not {self.format.value}: leave out --format, "
                "or leave out --sidecar"
            )
        if self.overwrite and not self.sidecar:
            raise UsageError("--overwrite is for sidecar files: add --sidecar, or leave it out")
        if evidence and (
            self.sidecar or self.format not in (OutputFormat.JSON, OutputFormat.JSONL)
        ):
            raise UsageError(
                f"{'a sidecar' if self.sidecar else self.format.value} has no room for evidence: "
                "use --format json or --format jsonl"
            )
        if self.job.given:
            option = self.job.given[0]
            if not self.is_job(names=True):
                raise UsageError(
                    f"{option} is about captions of many files in one: name it with --output FILE, "
                    "no pipe, device or track, or leave this out"
                )
            self.job.check(self.format)
        elsewhere = self.sidecar or self.output is not None or self.form is not None
        self.metadata.check(elsewhere=elsewhere, by_parts=work.by_parts, mark=work.mark)

    def _check_work(self, work: CaptioningSettings) -> None:
        """Refuse captions that this place or format has no room for."""
        if work.scenes and work.every is not None:
            raise UsageError("--scenes and --every both say where a clip is divided: leave one out")
        if work.every is not None and not 0.1 <= work.every <= 2_592_000:  # 30 days, as of a clip
            raise UsageError(
                f"--every is a number of seconds above 0, from 0.1 to 2592000, not {work.every}"
            )
        if work.mark and self.format is not OutputFormat.TEXT:
            raise UsageError(
                f"--mark writes into text, not {self.format.value}: leave it out, or leave out "
                "--format"
            )
        if work.mark and work.wording.changes:
            raise UsageError(
                "--mark writes into the captions as the model words them: leave it out, or leave "
                "out --alt and --neutral-people"
            )
        if self.format is OutputFormat.HTML and work.by_parts:
            raise UsageError(
                "a page to review has a caption of each file, not of scenes: leave out --scenes "
                "and --every, or use another --format"
            )
        if self.format.is_track and work.spec.decoding.get("n_best", 1) > 1:
            raise UsageError(f"{self.format.value} shows one caption at a time: leave out --n-best")
