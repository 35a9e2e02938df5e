"""A job by shards, shared among processes: a file of captions and a status for each shard.

    captions/job.json             model, options, format; a different job is refused
    captions/data-000.jsonl       the captions of a shard, complete or absent
    captions/data-000.done.json   its status, written after it: photos, failures, seconds
    captions/data-001.failed.json reason why a shard has no captions
    captions/data-002.lock        a process is working on it; see claims

The files show which shards are done, so any number of processes and machines that share the folder
can work on one job without a server. Two processes with the same shard write the same bytes.
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
from negah.files import TEMPORARY_SUFFIX
from negah.jobs.claims import LEASE, SUFFIX, Claims
from negah.jobs.folders import Folder, open_folder
from negah.jobs.identity import merge_facts
from negah.jobs.inputs import Shard, ShardPlan
from negah.jobs.shards import DONE, FAILED, Reached, ShardJob, ShardStatus, caption_shard
from negah.jobs.sinks import SINKS
from negah.json_layout import indented_json, to_json
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
    """A job on which this process works.

    Args:
        job: the settings for every shard.
        plan: all shards.
        captioner: returned by ``job.open()``.

    Raises:
        UsageError: the folder contains a job with other options, another model or other photos.
    """

    job: ShardJob
    plan: ShardPlan
    captioner: Captioner
    folder: Folder = field(init=False)

    def __post_init__(self) -> None:
        self.job.check()
        self.folder = open_folder(self.job.output)
        self._agree()

    def _agree(self) -> None:
        """Write the facts of the job, or compare them with the existing ones."""
        facts = self.job.facts(self.captioner, self.plan)
        facts = json.loads(to_json(facts))  # lists come from JSON where tuples went in
        if self.folder.create(JOB, (indented_json(facts) + "\n").encode()):
            return
        before = _parsed(self.folder.read(JOB))
        merge_facts(before, facts, f"the job in {self.folder.name}", option="--shards")
        self._compare()

    def _compare(self) -> None:
        """Refuse shards with the names of existing shards from other sources."""
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
        """The suffix of the status file of each shard that is done or has failed, by name."""
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
    ) -> Iterator[ShardStatus]:
        """Caption the remaining shards until all are done or have failed.

        Args:
            shards: of the plan.
            alone: whether no other process has these shards; then no lock files are created.
            lease: seconds after which a claim that is not renewed expires.
            reached: called with every result; its exceptions end the work.
            waiting: called from time to time with the number of shards claimed by others; its
                exceptions end the work.

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
        """Remove the status of shards that failed or in which photos failed; returns their number.

        These shards are then repeated.
        """
        count = 0
        for name, state in self.settled(shards).items():
            status = f"{name}{state}"
            if state == FAILED or _parsed(self.folder.read(status)).get("failed"):
                self.folder.remove(status)
                count += 1
        return count


def settled_report(folder: Folder, shard: Shard) -> ShardStatus | None:
    """The report of a shard that is done or has failed; otherwise None."""
    for state in (DONE, FAILED):
        row = _parsed(folder.read(f"{shard.name}{state}"))
        if row:
            names = ShardStatus.__dataclass_fields__
            return ShardStatus(**{name: value for name, value in row.items() if name in names})
    return None


def restart(output: str) -> None:
    """Remove the files of a job from a folder: captions, statuses, locks and ``job.json``.

    Other files are kept, and a folder without a job is not changed.

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
