"""The summary of a job's run: results, failures with reasons, and speed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from negah.errors import MediaError
from negah.jobs.job import Job
from negah.jobs.journal import Status

#: Failures that are named; all are counted.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Begun:
    """The state at the start of a run of a job.

    Attributes:
        facts: that determine the rows.
        made: of the job.
        seconds: likewise.
        left_out: number of unsupported files in folders, by suffix.
        closed: folders that could not be read.
    """

    facts: Mapping[str, Any]
    made: int
    seconds: float
    left_out: Mapping[str, int]
    closed: Sequence[MediaError]


def summary(job: Job, begun: Begun, *, complete: bool) -> dict[str, Any]:
    """The results of all files of a job; JSON-ready.

    Args:
        job: after a run.
        begun: the state at the start of the run.
        complete: whether the output contains all finished files.

    Returns:
        the number of ``files``, and of those ``done``, ``failed``, ``unsure`` and ``not_done``;
        ``same_as_another``, the number with the captions of another file; ``seconds`` and
        ``photos_per_second`` of all runs and of this one, without loading models; ``failures``, the
        first 10,000 with their reasons.
    """
    failures = [
        {"path": entry.path, "reason": entry.reason}
        for entry, _ in itertools.islice(job.entries(Status.FAILED), _MOST)
    ]
    return {
        "complete": complete,
        "files": len(job.files),
        "done": job.count(Status.DONE),
        "failed": job.count(Status.FAILED),
        "unsure": job.count(Status.UNSURE),
        "not_done": job.count(None),
        "same_as_another": job.copies,
        "left_out": dict(begun.left_out),
        **_speed(job.made, job.seconds),
        "this_run": {
            "files": job.made - begun.made,
            **_speed(job.made - begun.made, job.seconds - begun.seconds),
        },
        "job": dict(begun.facts),
        "folders_not_read": [{"path": one.path, "reason": one.reason} for one in begun.closed],
        "failures": failures,
    }


def _speed(files: int, seconds: float) -> dict[str, float]:
    rate = files / seconds if seconds else 0.0
    return {"seconds": round(seconds, 3), "photos_per_second": round(rate, 3)}
