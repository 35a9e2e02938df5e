"""Computing frozen features once, into a store that later runs read.

A frozen encoder gives the same feature for the same picture every time, so training
computes each once. Rows are keyed by content: the same picture under two names is
encoded once. A killed run loses at most the batch it was in; the same call goes on.

Axes: N images, 3 colours, H rows, W columns of pixels.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from negah.data.feature_files import (
    FEATURES_FILE,
    INDEX_FILE,
    KEY_FILE,
    LINE_BYTES,
    LOCK_FILE,
    Failure,
    HashCache,
    IndexEntry,
    read_failures,
    write_failures,
)
from negah.data.feature_store import FeatureKey, FeatureStore, HalfArray, check_key
from negah.data.locks import exclusive
from negah.errors import DataError, MediaError, UsageError
from negah.files import write_json
from negah.media.images import open_image

__all__ = ["Encode", "FeatureKey", "FeatureStore", "build_features"]

_log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float32]

#: A frozen encoder: float32 (N, 3, H, W) -> float16 or float32 (N, *shape).
Encode = Callable[[FloatArray], npt.NDArray[np.floating]]

_WORKERS = 2


def build_features(
    paths: Sequence[Path],
    encode: Encode,
    key: FeatureKey,
    root: str | Path,
    *,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureStore:
    """Compute the features that are not stored yet, and open the store.

    Pictures are opened and preprocessed in two threads while ``encode`` runs in this
    one. A picture that cannot be read is recorded in ``store.failures``, and tried
    again by the next call.

    Args:
        paths: picture files; others may be added by a later call with the same key.
        encode: the encoder, in inference mode. Its values must fit float16.
        key: what the features depend on; ``key.shape`` is the shape of one picture's.
        root: the folder of all stores; this one gets ``root / key.folder_name``.
        batch_size: pictures per call of ``encode``; the last call may have fewer.
        progress: called with the numbers of distinct pictures done and wanted; at once,
            then after each batch.

    Raises:
        DataError: the store is damaged or being built by another process, the disk is too
            small, or ``encode`` gives another shape or numbers that float16 cannot hold.
        UsageError: ``batch_size`` is less than 1, or ``root`` cannot be written to.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size {batch_size}: must be 1 or more.")
    folder = Path(root) / key.folder_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: this folder cannot be made: {error.strerror}.") from None
    with exclusive(folder / LOCK_FILE, f"computing features in {folder}"):
        if not check_key(folder, key):
            write_json(folder / KEY_FILE, key.to_dict())
        stored = FeatureStore(root, key).hashes  # opening it looks for damage, too
        _Builder(folder, key, encode, batch_size, progress).build(paths, stored)
    return FeatureStore(root, key)


class _Builder:
    """One run over a list of pictures, in a folder that no one else writes to."""

    def __init__(
        self,
        folder: Path,
        key: FeatureKey,
        encode: Encode,
        batch_size: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._folder = folder
        self._key = key
        self._encode = encode
        self._batch_size = batch_size
        self._progress = progress
        self._failures = read_failures(folder)

    def build(self, paths: Sequence[Path], stored: Sequence[str]) -> None:
        wanted = self._hash(paths)
        present = set(stored)
        todo = [sha256 for sha256 in wanted if sha256 not in present]
        self._check_disk(len(todo))
        done = len(wanted) - len(todo)
        self._report(done, len(wanted))
        if todo:
            _log.info("%s: %d pictures to encode", self._folder, len(todo))
        try:
            with (
                _open_at(self._folder / FEATURES_FILE, len(stored) * self._key.row_bytes) as rows,
                _open_at(self._folder / INDEX_FILE, len(stored) * LINE_BYTES) as index,
            ):
                for hashes, pixels_N3HW, seen in self._batches(todo, wanted):
                    if hashes:
                        self._commit(
                            hashes, self._features(hashes, pixels_N3HW, wanted), rows, index
                        )
                    done += seen
                    self._report(done, len(wanted))
        finally:
            write_failures(self._folder, self._failures.values())

    def _hash(self, paths: Sequence[Path]) -> dict[str, list[Path]]:
        """Content -> the paths that have it, in the order given."""
        cache = HashCache(self._folder)
        wanted: dict[str, list[Path]] = {}
        for path in paths:
            self._failures.pop(str(path), None)
            try:
                wanted.setdefault(cache.sha256(path), []).append(path)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                self._failures[str(path)] = Failure(str(path), None, reason)
        cache.save()
        return wanted

    def _batches(
        self, todo: Sequence[str], wanted: dict[str, list[Path]]
    ) -> Iterator[tuple[list[str], FloatArray, int]]:
        """Full batches of readable pictures: their hashes, pixels, and how many were tried."""
        hashes: list[str] = []
        images: list[FloatArray] = []
        seen = 0
        for sha256, prepared in self._prepared(todo, wanted):
            seen += 1
            if isinstance(prepared, MediaError):
                for path in wanted[sha256]:
                    self._failures[str(path)] = Failure(str(path), sha256, prepared.reason)
                _log.warning("left out: %s", prepared)
            else:
                hashes.append(sha256)
                images.append(prepared)
            if len(images) == self._batch_size:
                yield hashes, np.stack(images), seen
                hashes, images, seen = [], [], 0
        if seen:
            pixels_N3HW = np.stack(images) if images else np.empty((0,), dtype=np.float32)
            yield hashes, pixels_N3HW, seen

    def _prepared(
        self, todo: Sequence[str], wanted: dict[str, list[Path]]
    ) -> Iterator[tuple[str, FloatArray | MediaError]]:
        """Pixels (3, H, W) of each picture in turn, prepared at most two batches ahead."""
        executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="negah-pixels")
        waiting: deque[tuple[str, Future[FloatArray | MediaError]]] = deque()
        try:
            for sha256 in todo:
                waiting.append((sha256, executor.submit(self._prepare, wanted[sha256][0])))
                if len(waiting) > 2 * self._batch_size:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            executor.shutdown(cancel_futures=True)

    def _prepare(self, path: Path) -> FloatArray | MediaError:
        try:
            # The target size lets large JPEGs be decoded small, as they are at run time.
            image = open_image(path, target_size=self._key.preprocessing.size)
            pixels_3HW = self._key.preprocessing.apply(image)
        except MediaError as error:
            return error
        if self._key.view == "flip":
            pixels_3HW = np.ascontiguousarray(pixels_3HW[..., ::-1])
        return pixels_3HW

    def _features(
        self, hashes: Sequence[str], pixels_N3HW: FloatArray, wanted: dict[str, list[Path]]
    ) -> HalfArray:
        encoded = np.asarray(self._encode(pixels_N3HW))
        expected = (len(hashes), *self._key.shape)
        if encoded.shape != expected:
            raise DataError(
                f"encoder {self._key.encoder} gave features of shape {encoded.shape} for "
                f"{len(hashes)} pictures; its key says {expected}."
            )
        with np.errstate(over="ignore"):
            features = np.ascontiguousarray(encoded, dtype=np.dtype("<f2"))
        finite_N = np.isfinite(features).reshape(len(hashes), -1).all(axis=1)
        if not finite_N.all():
            path = wanted[hashes[int(np.argmin(finite_N))]][0]
            raise DataError(
                f"encoder {self._key.encoder} gave numbers for {path} that float16 cannot hold "
                "(beyond 65504, infinite or not a number). Check its weights and preprocessing."
            )
        return features

    def _commit(
        self, hashes: Sequence[str], features: HalfArray, rows: BinaryIO, index: BinaryIO
    ) -> None:
        # The order is what makes kill -9 and power cuts harmless: a row is on the disk
        # before the line that makes it count.
        rows.write(features.tobytes())
        _sync(rows)
        entries = zip(hashes, features, strict=True)
        index.writelines(IndexEntry(sha256, zlib.crc32(row)).to_line() for sha256, row in entries)
        _sync(index)

    def _check_disk(self, rows: int) -> None:
        needed = rows * self._key.row_bytes
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise DataError(
                f"{self._folder}: the features of {rows} pictures need {needed / 1e9:.1f} GB, "
                f"{free / 1e9:.1f} GB are free. Free some space or choose another folder."
            )

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


def _open_at(path: Path, size: int) -> BinaryIO:
    """Open for writing at ``size``, dropping what a killed run left beyond it."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
