"""A job by shards: captions of each shard in a file of its own, beside a row of its status.

    captions/job.json             what captions: model, options, format; another one is refused
    captions/data-000.jsonl       the captions of a shard, whole or not there
    captions/data-000.done.json   its status, written after it: photos, failures, seconds
    captions/data-001.failed.json why there are no captions of another
    captions/data-002.lock        somebody is at it; see claims

Which shards are done is read from what is there, so any number of processes and machines with the
folder in common work on one job without a server. Two that do the same shard write the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from negah import __version__
from negah.captions import Caption
from negah.errors import DataError, MediaError, UsageError
from negah.files import to_json
from negah.jobs.claims import LEASE, SUFFIX, Claims
from negah.jobs.folders import Folder, open_folder
from negah.jobs.inputs import Plan, Shard
from negah.jobs.reading import read_shard
from negah.jobs.sinks import SINKS
from negah.media import MAX_PIXELS
from negah.runtime import Captioner, LazyPhoto, Result

_log = logging.getLogger(__name__)

JOB = "job.json"
DONE, FAILED = ".done.json", ".failed.json"
#: Longest pause between two looks for shards that others have left.
_LONGEST_PAUSE = 2.0
#: Seconds after which a process looks again which shards others have done meanwhile.
_LOOK_AGAIN = 15.0
#: Shards of earlier runs whose sources are compared with those of this one.
_COMPARED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardJob:
    """What is made of every shard. It can be sent to other processes.

    Attributes:
        output: the folder, or its address.
        format: of the files, a name of :data:`~negah.jobs.sinks.SINKS`.
        model: that captions, as in :class:`~negah.runtime.Captioner`.
        fuse: models that caption together with it.
        threads: batches captioned side by side; None for one for each core.
        batch_size: photos captioned together.
        max_pixels: larger pictures are refused.
        decoding: options of decoding that replace the model's.
        frames: of a clip; None for as many as the model is made for.
        evidence: whether rows have the words with their evidence.
        min_confidence: captions with less are left out; "default": with less than the model's
            threshold.
        reword: what is written of a photo's name and its caption; a MediaError leaves it out.
        wording: tells one ``reword`` from another.
    """

    output: str
    format: str = "jsonl"
    model: str | None = None
    fuse: tuple[str, ...] = ()
    threads: int | None = None
    batch_size: int = 16
    max_pixels: int = MAX_PIXELS
    decoding: dict[str, Any] = field(default_factory=dict)
    frames: int | None = None
    evidence: bool = False
    min_confidence: float | Literal["default"] | None = None
    reword: Callable[[Path, Caption], Caption] | None = None
    wording: str = ""

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            UsageError: they do, or there is no such format.
        """
        if self.evidence and not SINKS.get(self.format).evidence:
            raise UsageError(
                f"{self.format} has no room for evidence: leave it out, or write jsonl or tar"
            )

    def open(self) -> Captioner:
        """The models, loaded.

        Raises:
            UsageError: there is no such model, or an option is wrong.
            NegahError: a model is damaged, or what runs it is not installed.
        """
        captioner = Captioner(
            self.model,
            fuse=self.fuse,
            threads=self.threads,
            batch_size=self.batch_size,
            max_pixels=self.max_pixels,
        )
        captioner.check(**self.decoding)
        if self.min_confidence is not None:
            captioner.least_confidence()
        return captioner

    def described(self, captioner: Captioner) -> dict[str, Any]:
        """What decides what is written, as JSON; two processes at one job must agree on it."""
        backends = (captioner.backend, *captioner.fused)
        models = [{"name": one.identity.name, "sha256": one.identity.sha256} for one in backends]
        return {
            "models": models,
            "format": self.format,
            "batch_size": self.batch_size,
            "max_pixels": self.max_pixels,
            "decoding": self.decoding,
            "frames": self.frames,
            "evidence": self.evidence,
            "min_confidence": self.min_confidence,
            "wording": self.wording,
        }


@dataclass(slots=True)
class Report:
    """What became of one shard: its row of status.

    Attributes:
        shard: its name.
        source: tells it from others of the name.
        state: whether its captions are there.
        captions: how many there are.
        unsure: captions that were left out because the model was not sure enough.
        failed: photos that could not be captioned: ``path`` and ``error`` of each.
        error: why there are no captions at all.
        seconds: that it took.
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
        """Whether every photo was captioned, or left out as unsure."""
        return self.state == "done" and not self.failed


#: Called with the results that have come; what it raises ends the work.
Reached = Callable[[Result], None]


def caption_shard(
    job: ShardJob,
    captioner: Captioner,
    shard: Shard,
    folder: Folder,
    reached: Reached | None = None,
) -> Report:
    """Caption one shard, and write its captions and its status.

    Raises:
        OutputError: they cannot be written.
        MissingExtraError: what reads or writes it is not installed.
    """
    report = Report(shard.name, shard.identity)
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
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _worker() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _rows(
    job: ShardJob, captioner: Captioner, shard: Shard, report: Report, reached: Reached | None
) -> Iterator[dict[str, Any]]:
    """The rows of a shard, in the order of its photos; failures go into its report."""
    places: deque[dict[str, Any]] = deque()

    def photos() -> Iterator[str | LazyPhoto]:
        for name, row, photo in read_shard(shard):
            places.append({"path": name} if row is None else {"path": name, "row": row})
            yield photo

    for result in captioner.caption_many(
        photos(), on_error="report", frames=job.frames, **job.decoding
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
    """The row of a result; None if the model is not sure enough of it.

    Raises:
        MediaError: the photo could not be read, or its caption not be worded.
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


@dataclass(slots=True)
class Job:
    """A job that this process works on.

    Args:
        job: what is made of every shard.
        plan: of all of them.
        captioner: of ``job.open()``.

    Raises:
        UsageError: the folder is of a job of other options, another model or other photos.
    """

    job: ShardJob
    plan: Plan
    captioner: Captioner
    folder: Folder = field(init=False)

    def __post_init__(self) -> None:
        self.job.check()
        self.folder = open_folder(self.job.output)
        self._agree()

    def _agree(self) -> None:
        """Write down what the job is, or compare it with what stands there."""
        own = {**self.job.described(self.captioner), "listed": self.plan.listed}
        content = (to_json({**own, "negah": __version__}, indent=2) + "\n").encode()
        if self.folder.create(JOB, content):
            return
        before = _parsed(self.folder.read(JOB))
        # lists come from JSON where tuples went in
        own = json.loads(to_json(own))
        differs = [name for name in own if before.get(name) != own[name]]
        if differs:
            name = differs[0]
            raise UsageError(
                f"{self.folder.name} holds a job of other {_SAID.get(name, name)} "
                f"({_short(before.get(name))} there, {_short(own[name])} here): name another "
                "folder, give the same options, or begin anew with --restart"
            )
        self._compare()

    def _compare(self) -> None:
        """Refuse shards of other sources under the names of those that are there."""
        names = self.folder.names()
        there = [one for one in self.plan.shards if f"{one.name}{DONE}" in names]
        for shard in there[:: max(1, len(there) // _COMPARED)]:
            source = _parsed(self.folder.read(f"{shard.name}{DONE}")).get("source")
            if source is not None and source != shard.identity:
                raise UsageError(
                    f"{self.folder.name} has captions of {source}, which {shard.identity} would "
                    "be taken for: name another folder"
                )

    def settled(self, shards: Sequence[Shard]) -> dict[str, str]:
        """Of the shards that are done or have failed, by name, the end of their status' name."""
        names = self.folder.names()
        return {
            shard.name: state
            for shard in shards
            for state in (FAILED, DONE)  # both are there for a moment: then it is done
            if f"{shard.name}{state}" in names
        }

    def work(
        self,
        shards: Sequence[Shard],
        *,
        alone: bool = False,
        lease: float = LEASE,
        reached: Reached | None = None,
        waiting: Callable[[int], None] | None = None,
    ) -> Iterator[Report]:
        """Caption the shards that are not settled, until all of them are.

        Args:
            shards: of the plan.
            alone: whether nobody else has these: then no lock files are made.
            lease: seconds after which the claim of a process that gives no sign lapses.
            reached: called with every result; what it raises ends the work.
            waiting: called now and then with the number of shards that others are at; what it
                raises ends the work.

        Raises:
            OutputError: the folder cannot be written.
        """
        claims = None if alone else Claims(self.folder, lease)
        settled = self.settled(shards)
        left = [shard for shard in shards if shard.name not in settled]
        if not alone and left:  # that others do not begin at the same one
            start = random.randrange(len(left))
            left = left[start:] + left[:start]
        while left:
            done: set[str] = set()
            looked = time.monotonic()
            for shard in left:
                if time.monotonic() - looked > _LOOK_AGAIN:
                    settled, looked = self.settled(left), time.monotonic()
                if shard.name in settled:
                    continue
                claim = nullcontext(True) if claims is None else claims.claim(shard.name)
                with claim as is_mine:
                    # another one may have had it since the last look
                    if is_mine and (alone or settled_report(self.folder, shard) is None):
                        yield caption_shard(self.job, self.captioner, shard, self.folder, reached)
                        done.add(shard.name)
            settled = self.settled(left)
            left = [one for one in left if one.name not in settled and one.name not in done]
            if left and not done:
                if waiting is not None:
                    waiting(len(left))
                time.sleep(min(_LONGEST_PAUSE, lease / 4))

    def forget_failures(self, shards: Sequence[Shard]) -> int:
        """Take away the status of shards that failed, or in which photos did; how many there were.

        They are then done anew.
        """
        count = 0
        for name, state in self.settled(shards).items():
            status = f"{name}{state}"
            if state == FAILED or _parsed(self.folder.read(status)).get("failed"):
                self.folder.remove(status)
                count += 1
        return count


def settled_report(folder: Folder, shard: Shard) -> Report | None:
    """The report of a shard that is done or has failed; None if it is neither."""
    for state in (DONE, FAILED):
        row = _parsed(folder.read(f"{shard.name}{state}"))
        if row:
            names = Report.__dataclass_fields__
            return Report(**{name: value for name, value in row.items() if name in names})
    return None


def restart(output: str) -> None:
    """Remove what a job has left in a folder: captions, statuses, locks, and what it is.

    Nothing else is touched, and nothing where no job was.

    Raises:
        OutputError: they cannot be removed.
    """
    folder = open_folder(output)
    job = _parsed(folder.read(JOB))
    if not job:
        return
    suffix = SINKS.get(str(job.get("format"))).suffix
    names = folder.names()
    for name in sorted(names):
        if name.endswith(SUFFIX):
            folder.remove(name)
        elif name.endswith((DONE, FAILED)):
            captions = f"{name.removesuffix(DONE).removesuffix(FAILED)}{suffix}"
            if captions in names:
                folder.remove(captions)
            folder.remove(name)
    folder.remove(JOB)


_SAID = {"models": "models", "listed": "photos", "decoding": "options of decoding"}


def _short(value: Any) -> str:
    text = to_json(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _parsed(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
