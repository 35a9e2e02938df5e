"""A job by shards, shared among processes: captions of each in a file, beside its status.

    captions/job.json             what captions: model, options, format; another one is refused
    captions/data-000.jsonl       the captions of a shard, whole or not there
    captions/data-000.done.json   its status, written after it: photos, failures, seconds
    captions/data-001.failed.json why there are no captions of another
    captions/data-002.lock        somebody is at it; see claims

Which shards are done is read from what is there, so any number of processes and machines with the
folder in common work on one job without a server. Two that do the same shard write the same bytes.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from negah.errors import UsageError
from negah.files import TEMPORARY_SUFFIX, to_json
from negah.jobs.claims import LEASE, SUFFIX, Claims
from negah.jobs.folders import Folder, open_folder
from negah.jobs.identity import merge_facts
from negah.jobs.inputs import Plan, Shard
from negah.jobs.shards import DONE, FAILED, Reached, Report, ShardJob, caption_shard
from negah.jobs.sinks import SINKS
from negah.runtime import Captioner

JOB = "job.json"
#: Longest pause between two looks for shards that others have left.
_LONGEST_PAUSE = 2.0
#: Seconds after which a process looks again which shards others have done meanwhile.
_LOOK_AGAIN = 15.0
#: Shards of earlier runs whose sources are compared with those of this one.
_COMPARED = 20


@dataclass(slots=True)
class SharedJob:
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
        facts = self.job.facts(self.captioner, self.plan)
        facts = json.loads(to_json(facts))  # lists come from JSON where tuples went in
        if self.folder.create(JOB, (to_json(facts, indent=2) + "\n").encode()):
            return
        before = _parsed(self.folder.read(JOB))
        merge_facts(before, facts, f"the job in {self.folder.name}", option="--shards")
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
    options = job.get("options")
    form = options.get("--format") if isinstance(options, dict) else None
    suffix = SINKS.get(str(form)).suffix
    names = folder.names()
    for name in sorted(names):
        if name.endswith((SUFFIX, TEMPORARY_SUFFIX)):
            folder.remove(name)
        elif name.endswith((DONE, FAILED)):
            captions = f"{name.removesuffix(DONE).removesuffix(FAILED)}{suffix}"
            if captions in names:
                folder.remove(captions)
            folder.remove(name)
    folder.remove(JOB)


def _parsed(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
