"""Captioning on Ray: actors that load a model once, for Ray Data data sets and for shards.

Placement of actors, retries and prefetching are left to Ray Data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import numpy as np

from negah.errors import MissingExtraError, NegahError, UsageError
from negah.jobs.addresses import MAX_PHOTO_BYTES
from negah.jobs.folders import open_folder
from negah.jobs.inputs import Shard
from negah.jobs.shards import ShardJob, ShardStatus, caption_shard
from negah.jobs.sharing import settled_report
from negah.json_layout import to_json
from negah.runtime import CaptionerSpec, Photo

#: More blocks than this cost Ray more than they win; each is then several shards.
_MOST_BLOCKS = 10_000


class RayCaptioner:
    """Captions the rows of a data set of Ray Data, in its actors::

        dataset.map_batches(RayCaptioner, concurrency=4, batch_size=64)

    An actor loads the model when it starts. It adds the columns ``caption``, ``score`` (nats),
    ``confidence`` (NaN for models that are not calibrated) and ``error`` (null if there is a
    caption) to a batch.

    Args:
        model: as in :class:`~negah.runtime.Captioner`.
        column: the photos: file contents, paths, structs of ``bytes`` and ``path`` as written by
            Hugging Face, or arrays uint8 (H, W, 3) or (H, W).
        fuse: models that are fused with it, as there.
        frames: number of frames of clips given as paths.
        options: fields of :class:`~negah.runtime.RuntimeOptions`, such as ``language`` or
            ``threads`` (1; give Ray the same number as ``num_cpus``), and decoding options that
            replace those of the model.

    Raises:
        UsageError: there is no such model, or an option is wrong.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        column: str = "image",
        fuse: Sequence[str] = (),
        frames: int | None = None,
        **options: Any,
    ) -> None:
        spec = CaptionerSpec.of(model, fuse=tuple(fuse), frames=frames, **{"threads": 1, **options})
        self._spec, self._column = spec, column
        self._captioner = spec.open()
        spec.check(self._captioner, clips=frames is not None)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch of N rows with the columns added.

        Raises:
            UsageError: the batch has no such column.
        """
        if self._column not in batch:
            raise UsageError(
                f"no column {self._column!r} in the data set, which has {', '.join(batch)}: name "
                "it, as in fn_constructor_kwargs={'column': 'image'}"
            )
        photos = [_photo(value) for value in batch[self._column]]
        spec = self._spec
        results = list(
            self._captioner.caption_many(
                photos, on_error="report", frames=spec.frames, **spec.decoding
            )
        )
        captions = [result.caption for result in results]
        scores = [np.nan if one is None else one.score for one in captions]
        sure = [
            np.nan if one is None or one.confidence is None else one.confidence for one in captions
        ]
        errors = [None if one.error is None else one.error.reason for one in results]
        return {
            **batch,
            "caption": np.array([one and one.text for one in captions], dtype=object),
            "score": np.array(scores, dtype=np.float64),
            "confidence": np.array(sure, dtype=np.float64),
            "error": np.array(errors, dtype=object),
        }


def _photo(value: Any) -> Photo:
    """The photo in a cell of Ray Data."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path") or b""
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, bytes | memoryview | bytearray):
        return bytes(value) if len(value) <= MAX_PHOTO_BYTES else b""
    return b"" if value is None else cast(Photo, value)


class ShardActor:
    """Captions shards in an actor of Ray Data; see :func:`run_on_ray`.

    Args:
        job: what is made of every shard.
    """

    def __init__(self, job: ShardJob) -> None:
        self._job = job
        self._captioner = job.open()
        self._folder = open_folder(job.output)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The reports of a batch of shards; one that is settled already is not done again."""
        reports = []
        for text in batch["shard"]:
            values = json.loads(str(text))
            shard = Shard(**{**values, "files": tuple(values["files"])})
            report = settled_report(self._folder, shard)
            if report is None:
                report = caption_shard(self._job, self._captioner, shard, self._folder)
            reports.append(to_json(asdict(report)))
        return {"report": np.array(reports, dtype=object)}


def run_on_ray(
    job: ShardJob, shards: Sequence[Shard], *, gpus: float = 0.0
) -> Iterator[ShardStatus]:
    """Caption shards in the actors of a Ray cluster; yields the reports as shards are done.

    The cluster is that of ``RAY_ADDRESS``, otherwise one is started on this machine. If an actor
    dies, Ray gives its shard to another; its captions appear once.

    Args:
        job: what is made of every shard; ``spec.run.threads`` is the number of cores of an actor,
            1 if None.
        shards: to be captioned; no other process works on them.
        gpus: per actor.

    Raises:
        MissingExtraError: Ray is not installed.
        NegahError: an actor cannot continue, for example because the disk is full.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingExtraError("ray", "--engine ray", extra="ray") from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    threads = job.spec.run.threads or 1
    cluster = ray.cluster_resources()
    actors = int(cluster.get("CPU", 1) // threads)
    if gpus:
        actors = min(actors, int(cluster.get("GPU", 0) // gpus))
    if not actors:
        raise UsageError(
            f"the Ray cluster has {cluster.get('CPU', 0):g} cores and {cluster.get('GPU', 0):g} "
            f"GPUs, and an actor would take {threads} and {gpus:g}: ask for fewer"
        )
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [{"shard": to_json(asdict(shard))} for shard in shards]
    blocks = min(len(rows), _MOST_BLOCKS)
    dataset = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        ShardActor,
        fn_constructor_kwargs={"job": replace(job, spec=job.spec.with_run(threads=threads))},
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(actors, len(rows))),
        num_cpus=threads,
        num_gpus=gpus or None,
    )
    try:
        for row in dataset.iter_rows():
            yield ShardStatus(**json.loads(row["report"]))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        raise cause if isinstance(cause, NegahError) else NegahError(f"Ray: {error}") from error
