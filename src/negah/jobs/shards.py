"""Captioning one shard of a job, and writing its captions and its status.

The status file is ``NAME.done.json`` or ``NAME.failed.json``, beside the captions.
:mod:`negah.jobs.sharing` distributes the shards of a job among processes.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from negah import __version__
from negah.captions import Caption
from negah.errors import DataError, MediaError, UsageError
from negah.hashing import content_sha256
from negah.jobs.folders import Folder
from negah.jobs.identity import job_facts, model_facts
from negah.jobs.inputs import Shard, ShardPlan
from negah.jobs.reading import read_shard
from negah.jobs.sinks import SINKS
from negah.json_layout import to_json
from negah.media import is_clip
from negah.runtime import Captioner, CaptionerSpec, LazyPhoto, Result

#: How the names of statuses end.
DONE, FAILED = ".done.json", ".failed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardJob:
    """The settings for every shard; can be sent to other processes.

    Attributes:
        output: the folder, or its address.
        format: of the files, a name of :data:`~negah.jobs.sinks.SINKS`.
        spec: the captioner and its options.
        evidence: whether rows include the words with their evidence.
        min_confidence: captions with a lower confidence are left out; "default": the threshold of
            the model.
        reword: computes the text to write from the name of a photo and its caption; a MediaError
            leaves the photo out.
        wording: identifies ``reword``.
    """

    output: str
    format: str = "jsonl"
    spec: CaptionerSpec = field(default_factory=CaptionerSpec)
    evidence: bool = False
    min_confidence: float | Literal["default"] | None = None
    reword: Callable[[Path, Caption], Caption] | None = None
    wording: str = ""

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: they contradict each other, or the format is unknown.
        """
        if self.evidence and not SINKS.get(self.format).evidence:
            raise UsageError(
                f"{self.format} has no room for evidence: leave it out, or write jsonl or tar"
            )

    def open(self) -> Captioner:
        """Load the models.

        Raises:
            UsageError: there is no such model, or an option is wrong.
            NegahError: a model is damaged, or its runtime is not installed.
        """
        captioner = self.spec.open()
        self.spec.check(captioner, clips=False)
        if self.min_confidence is not None:
            captioner.least_confidence()
        return captioner

    def facts(self, captioner: Captioner, plan: ShardPlan) -> dict[str, Any]:
        """The facts that determine the output, as JSON; equal in all processes of a job."""
        listed = [name for shard in plan.shards for name in shard.files]
        clips = any(map(is_clip, listed))
        photos = not clips or len(listed) > sum(map(is_clip, listed)) or _has_containers(plan)
        models = {
            kind: model_facts(
                captioner,
                clips=kind == "clips",
                frames=self.spec.frames,
                decoding=self.spec.decoding,
            )
            for kind, is_there in (("photos", photos), ("clips", clips))
            if is_there
        }
        options = {
            "--format": self.format,
            "--batch-size": self.spec.run.batch_size,
            "--max-pixels": self.spec.run.max_pixels,
            "--evidence": self.evidence,
            "--min-confidence": self.min_confidence,
            "wording": self.wording,
        }
        return {**job_facts(models, options), "the list": plan.listed}


def _has_containers(plan: ShardPlan) -> bool:
    return any(shard.kind != "list" for shard in plan.shards)


@dataclass(slots=True)
class ShardStatus:
    """The result of a shard, as in its status file.

    Attributes:
        shard: its name.
        source: distinguishes it from others of the same name.
        state: whether its captions are complete.
        captions: their number.
        unsure: number of captions left out because of low confidence.
        failed: ``path`` and ``error`` of each photo that could not be captioned.
        error: the reason if there are no captions.
        seconds: of processing time.
    """

    shard: str
    source: str
    state: Literal["done", "failed"] = "done"
    captions: int = 0
    unsure: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every photo was captioned, or left out because of low confidence."""
        return self.state == "done" and not self.failed


#: Called with the results that have come; what it raises ends the work.
Reached = Callable[[Result], None]


def caption_shard(
    job: ShardJob,
    captioner: Captioner,
    shard: Shard,
    folder: Folder,
    reached: Reached | None = None,
) -> ShardStatus:
    """Caption one shard, and write its captions and its status.

    Raises:
        OutputError: they cannot be written.
        MissingExtraError: what reads or writes it is not installed.
    """
    report = ShardStatus(shard.name, shard.identity)
    started = time.monotonic()
    sink = SINKS.get(job.format)
    try:
        with folder.writing(f"{shard.name}{sink.suffix}") as temporary:
            with sink.open(shard, temporary) as writer:
                for row in _rows(job, captioner, shard, report, reached):
                    writer.write(row)
                    report.captions += 1
            about = _about(temporary)
    except DataError as error:
        about = {}
        report.state, report.captions, report.error = "failed", 0, str(error)
    report.seconds = round(time.monotonic() - started, 3)
    row = {**asdict(report), **about, "negah": __version__, "worker": _worker()}
    row["finished"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    wanted, other = (DONE, FAILED) if report.state == "done" else (FAILED, DONE)
    folder.replace(f"{shard.name}{wanted}", (to_json(row) + "\n").encode())
    folder.remove(f"{shard.name}{other}")
    return report


def _about(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": content_sha256(path)}


def _worker() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _rows(
    job: ShardJob, captioner: Captioner, shard: Shard, report: ShardStatus, reached: Reached | None
) -> Iterator[dict[str, Any]]:
    """The rows of a shard, in the order of its photos; failures are added to its report."""
    places: deque[dict[str, Any]] = deque()

    def photos() -> Iterator[str | LazyPhoto]:
        for name, row, photo in read_shard(shard):
            places.append({"path": name} if row is None else {"path": name, "row": row})
            yield photo

    for result in captioner.caption_many(
        photos(), on_error="report", frames=job.spec.frames, **job.spec.decoding
    ):
        place = places.popleft()
        try:
            row = _row(job, captioner, place, result)
        except MediaError as error:
            report.failed.append({**place, "error": error.reason})
        else:
            if row is not None:
                yield row
            report.unsure += row is None
        if reached is not None:
            reached(result)


def _row(
    job: ShardJob, captioner: Captioner, place: dict[str, Any], result: Result
) -> dict[str, Any] | None:
    """The row of a result; None if its confidence is too low.

    Raises:
        MediaError: the photo cannot be read, or its caption cannot be reworded.
    """
    if result.error is not None or result.caption is None:
        raise result.error or MediaError(place["path"], "has no caption")
    caption = result.caption
    least = job.min_confidence
    if least == "default":
        least = captioner.least_confidence(clips=result.span is not None)
    if least is not None and caption.confidence is not None and caption.confidence < least:
        return None
    if job.reword is not None:
        caption = job.reword(Path(place["path"]), caption)
    said = caption.to_dict()
    if not job.evidence:
        for one in (said, *said.get("alternatives", ())):
            del one["words"], one["times"]
    if result.span is not None:
        start, end = result.span
        said = {"start": round(start, 3), "end": round(end, 3), **said}
    return {**place, **said}
