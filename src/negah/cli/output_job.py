"""``negah caption ... --output FILE`` as a job, which can be resumed after any interruption."""

from __future__ import annotations

import csv
import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negah import __version__
from negah.captions import Caption
from negah.cli.captioning import CaptioningSettings, Files, write_all
from negah.cli.clock import TimeRange
from negah.cli.jobs import JobFiles, JobOptions
from negah.cli.pictures import WordPictures
from negah.cli.progress import FileProgressBar, Tally, progress_bar
from negah.cli.streams import say
from negah.cli.writers import PROVENANCE, OutputFormat, OutputLayout, RowBuffer, Writer, make_writer
from negah.errors import CheckpointError, MediaError, OutputError
from negah.files import whole_output, write_json
from negah.jobs.identity import job_facts, model_facts
from negah.jobs.job import SUMMARY, Job, JobSettings, open_job
from negah.jobs.journal import MAX_ROWS, Entry, Status
from negah.jobs.summary import Begun, summary
from negah.media import is_clip

if TYPE_CHECKING:
    from negah.runtime import Captioner


class JobWriter(Writer):
    """Makes the rows of each file, and records them.

    Args:
        layout: of the output.
        models: by kind, what captions; see :func:`~negah.jobs.identity.model_facts`.
        tally: of the run; copies are counted here.
    """

    def __init__(self, layout: OutputLayout, models: Mapping[str, Any], tally: Tally) -> None:
        self._layout = layout
        self._models = models
        self._tally = tally
        self._rows = RowBuffer()
        form = OutputFormat.JSONL if layout.form is OutputFormat.JSON else layout.form
        self._writer = make_writer(self._rows, replace(layout, form=form))
        self._rows.take()  # what stands before all rows
        self._scenes = 0
        self.job: Job | None = None
        self.bar: FileProgressBar | None = None

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        if self._layout.provenance:
            self._writer.facts = self._provenance(path)
        self._writer.write(path, caption, span)
        self._scenes += self._layout.scenes and span is not None

    def settle(self, path: Path, error: MediaError | None) -> None:
        """See :meth:`Writer.settle`.

        Raises:
            OutputError: the journal cannot be written.
        """
        assert self.job is not None
        rows, scenes = self._rows.take().encode("utf-8", "surrogateescape"), self._scenes
        self._scenes = 0
        if len(rows) > MAX_ROWS:
            error = MediaError(path, f"its rows have {len(rows):,} bytes, more than {MAX_ROWS:,}")
            self._tally.failures.append(error)
            rows = b""
        if error is not None:
            self.job.record(path, Status.FAILED, rows, reason=error.reason, scenes=scenes)
        else:
            self.job.record(path, Status.DONE if rows else Status.UNSURE, rows, scenes=scenes)

    def copy(self, path: Path, entry: Entry, rows: bytes) -> bytes:
        """The rows of a file of equal content; see :data:`~negah.jobs.job.Copy`.

        Raises:
            CheckpointError: the rows are not those of such a job.
        """
        text = rows.decode("utf-8", "surrogateescape")
        try:
            copied = self._writer.copy(text, path, Path(entry.path))
        except (ValueError, TypeError, RecursionError, csv.Error) as error:
            raise CheckpointError(
                f"what the job holds of {entry.path} is damaged ({error}): start over with "
                "--restart, or choose another --output"
            ) from None
        tally = self._tally
        match entry.status:
            case Status.DONE:
                tally.done += 1
            case Status.FAILED:
                tally.failures.append(MediaError(path, entry.reason))
            case Status.UNSURE:
                tally.unsure.append(f"{path}: as {entry.path}")
        tally.scenes += entry.scenes
        if self.bar is not None:
            self.bar.advance()
        return copied.encode("utf-8", "surrogateescape")

    def _provenance(self, path: Path) -> dict[str, Any]:
        assert self.job is not None
        model = self._models["clips" if is_clip(path) else "photos"]
        options = {name: model[name] for name in ("decoding", "frames") if name in model}
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        told = (self.job.sha256(path), model["model"], model["sha256"], __version__, options, now)
        return dict(zip(PROVENANCE, told, strict=True))


@dataclass(frozen=True, slots=True)
class OutputJob:
    """What makes an output of many files.

    Attributes:
        captioner: that captions.
        work: what is asked of it.
        layout: of the output.
        place: where that is.
        options: of the job.
    """

    captioner: Captioner
    work: CaptioningSettings
    layout: OutputLayout
    place: JobFiles
    options: JobOptions

    def run(self, files: Sequence[Path], pictures: WordPictures | None, tally: Tally) -> None:
        """Caption what is not done yet; when all is done, write the output.

        Raises:
            UsageError: the job was started with other settings.
            LockedError: another process makes this output.
            CheckpointError: the journal is damaged.
        """
        tally.limit()
        closed = list(tally.failures)
        models = self._models(files)
        facts = job_facts(models, self._facts())
        writer = JobWriter(self.layout, models, tally)
        plan = JobSettings(
            batch=self.work.spec.run.batch_size,
            restart=self.options.restart,
            retry_failed=self.options.retry_failed,
            hashing=self.options.provenance or self.options.dedupe,
            copy=writer.copy if self.options.dedupe else None,
        )
        with open_job(self.place.folder, files, facts, plan, self.place.output) as job:
            writer.job = job
            begun = Begun(facts, job.made, job.seconds, tally.left_out, closed)
            done = job.count(Status.DONE)
            self._greet(job, tally)
            complete = False
            try:
                self._caption(job, writer, pictures, tally)
                complete = self._finish(job, tally)
            except OutputError as error:
                tally.stopped = error
            except KeyboardInterrupt:
                tally.interrupted = True
            if tally.stopped or tally.interrupted:
                tally.done = job.count(Status.DONE) - done  # those that are durable
                tally.advice = "what was captioned is kept, and the same command goes on"
            try:
                told = summary(job, begun, complete=complete)
                write_json(self.place.folder / SUMMARY, told)
            except OutputError as error:
                tally.stopped = tally.stopped or error

    def _greet(self, job: Job, tally: Tally) -> None:
        """Say what is done already."""
        failed = job.count(Status.FAILED)
        tally.before = job.before - failed
        tally.failed_before = 0 if self.options.retry_failed else failed
        if job.before:
            again = f", {failed} failed" if failed else ""
            rest = "going on" if job.count(None) or self.options.retry_failed else "none is left"
            say(f"{tally.before} done before{again}, {rest}")
        if job.elsewhere:
            say(f"not in the output: {job.elsewhere} captions of files that are not named now")

    def _caption(
        self, job: Job, writer: JobWriter, pictures: WordPictures | None, tally: Tally
    ) -> None:
        done = job.before - (job.count(Status.FAILED) if self.options.retry_failed else 0)
        with progress_bar(
            len(job.files), wanted=True, scenes=self.work.by_parts, done=done, logged=True
        ) as bar:
            writer.bar = bar
            files = Files(job.pending(), job.places())
            try:
                write_all(self.captioner, self.work, files, writer, pictures, tally, bar)
            finally:
                job.flush()

    def _finish(self, job: Job, tally: Tally) -> bool:
        """Write the output, if all is done."""
        left = job.count(None)
        if tally.interrupted:
            return False
        if left:
            tally.advice = f"{left} not done yet, so there is no output: leave out --retry-failed"
            return False
        if self.place.is_new and os.path.lexists(self.place.output):
            reason = "something has appeared there meanwhile; move it away"
            raise OutputError(self.place.output, reason)
        with whole_output(self.place.output) as rows:
            writer = make_writer(rows, self.layout)
            for _, text in job.entries():
                if text:
                    writer.put(text.decode("utf-8", "surrogateescape"))
            writer.finish()
        return True

    def _models(self, files: Sequence[Path]) -> dict[str, Any]:
        """What captions photos and clips, those of them that there are."""
        kinds = {"clips" if clips else "photos": clips for clips in {*map(is_clip, files)}}
        return {
            kind: model_facts(
                self.captioner,
                clips=clips,
                frames=self.work.spec.frames,
                decoding=self.work.spec.decoding,
            )
            for kind, clips in sorted(kinds.items())
        }

    def _facts(self) -> dict[str, Any]:
        """What else decides the rows, by the name of its option."""
        layout, work = self.layout, self.work
        return {
            "--format": layout.form.value,
            "--evidence": layout.evidence,
            "--scenes": work.scenes,
            "--every": work.every,
            "--min-confidence": work.min_confidence,
            "--mark": work.mark,
            "--alt": work.wording.alt,
            "--max-chars": work.wording.max_chars,
            "--neutral-people": work.wording.neutral_people,
            "--max-pixels": work.spec.run.max_pixels,
            "--picture": work.pictures,
            "--bom": layout.bom,
            "--provenance": layout.provenance,
            "--dedupe": layout.same_as,
            "names of files": layout.names,
        }
