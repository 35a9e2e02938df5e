"""Computation of frozen features into a store that later runs reuse.

A frozen encoder gives the same feature for the same picture every time, so training computes each
once. Rows are keyed by content: the same picture under two names is encoded once, and every span of
a clip separately. A killed run loses at most the current batch; the same call continues.

Axes: N pictures or clips, F frames of a clip, 3 colours, H rows, W columns of pixels.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray, FloatArray, HalfArray
from negah.data.feature_files import (
    FEATURES_FILE,
    INDEX_FILE,
    KEY_FILE,
    LINE_BYTES,
    LOCK_FILE,
    TIMES_FILE,
    Failure,
    HashCache,
    IndexEntry,
    read_failures,
    write_failures,
)
from negah.data.feature_store import TIMES_DTYPE, FeatureKey, FeatureStore, check_key, checksum
from negah.data.media_items import ItemPictures, MediaItem, read_pictures
from negah.errors import DataError, MediaError, UsageError
from negah.files import write_json
from negah.locks import exclusive
from negah.media import MAX_PIXELS
from negah.pipeline import map_ahead

__all__ = [
    "Encode",
    "FeatureKey",
    "FeatureStore",
    "build_features",
    "gather_features",
    "open_store",
]

_log = logging.getLogger(__name__)


#: A frozen encoder: float32 (N, 3, H, W) -> float16 or float32 (N, *shape).
Encode = Callable[[FloatArray], npt.NDArray[np.floating]]

_WORKERS = 2

#: Seconds to wait for another process. A process that finds all features only reads the photos'
#: hashes, so two trainings started together both continue.
PATIENCE = 30.0


def build_features(
    items: Sequence[Path | MediaItem],
    encode: Encode,
    key: FeatureKey,
    root: str | Path,
    *,
    batch_size: int = 32,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureStore:
    """Compute the missing features, and open the store.

    Pictures are opened and preprocessed in two threads while ``encode`` runs in the calling thread.
    A picture that cannot be read is recorded in ``store.failures``, and tried again by the next
    call.

    Args:
        items: picture or clip files, or spans of clips; later calls with the same key may add
            others. In a store of pictures (``key.frames`` is None), the middle frame of a clip is
            encoded.
        encode: the encoder, in inference mode. Its values must fit float16.
        key: describes the features; ``key.shape`` is the shape of one picture's feature.
        root: the folder of all stores; this store is ``root / key.folder_name``.
        batch_size: pictures per call of ``encode``; some calls may have fewer.
        max_pixels: larger pictures are refused.
        progress: called with the number of distinct pictures or clips done and their total; at the
            start, then after each batch.

    Raises:
        DataError: the store is damaged, the disk is too small, or ``encode`` returns another shape
            or values that do not fit float16.
        LockedError: another process is building the store and has not finished within half a
            minute.
        UsageError: ``batch_size`` is less than 1, or ``root`` cannot be written to.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size {batch_size}: must be 1 or more.")
    folder = Path(root) / key.folder_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: this folder cannot be made: {error.strerror}.") from None
    with exclusive(folder / LOCK_FILE, f"computing features in {folder}", PATIENCE):
        if not check_key(folder, key):
            write_json(folder / KEY_FILE, key.to_dict())
        stored = FeatureStore(root, key).hashes  # opening it also checks for damage
        _Builder(folder, key, encode, batch_size, max_pixels, progress).build(
            [item if isinstance(item, MediaItem) else MediaItem(item) for item in items], stored
        )
    return FeatureStore(root, key)


def open_store(root: Path, key: FeatureKey) -> FeatureStore | None:
    """The store of a key; None if nothing is stored yet."""
    return FeatureStore(root, key) if check_key(root / key.folder_name, key) else None


def gather_features(key: FeatureKey, root: Path, others: Sequence[Path]) -> None:
    """Merge other stores of the same key into the one in ``root``, and delete them.

    Killing the process loses nothing: a store is deleted only after all its rows are copied.

    Args:
        key: of all.
        root: the folder of all stores.
        others: other such folders; those without a store of this key are left unchanged.

    Raises:
        DataError: a store is damaged, or the disk is too small.
        LockedError: another process is building one of them and has not finished within half a
            minute.
    """
    stores = [store for other in others if (store := open_store(other, key))]
    if not stores:
        return
    folder = root / key.folder_name
    build_features([], _encode_nothing, key, root)  # creates it if it does not exist yet
    with exclusive(folder / LOCK_FILE, f"gathering features in {folder}", PATIENCE):
        for other in stores:
            with exclusive(other.folder / LOCK_FILE, f"computing {other.folder}", PATIENCE):
                stored = FeatureStore(root, key).hashes
                _Builder(folder, key, _encode_nothing, 1, MAX_PIXELS, None).copy(other, stored)
                shutil.rmtree(other.folder)


def _encode_nothing(pixels_N3HW: FloatArray) -> npt.NDArray[np.floating]:
    raise AssertionError("there is nothing to encode")


class _Builder:
    """One run over a list of pictures or clips, with exclusive access to the folder."""

    #: Number of rows copied at a time.
    _COPIED = 64

    def __init__(
        self,
        folder: Path,
        key: FeatureKey,
        encode: Encode,
        batch_size: int,
        max_pixels: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._folder = folder
        self._key = key
        self._encode = encode
        self._most_pictures = batch_size
        self._batch_size = max(1, batch_size // (key.frames or 1))
        self._max_pixels = max_pixels
        self._progress = progress
        self._failures = read_failures(folder)

    def build(self, items: Sequence[MediaItem], stored: Sequence[str]) -> None:
        wanted = self._hash(items)
        present = set(stored)
        todo = [sha256 for sha256 in wanted if sha256 not in present]
        self._check_disk(len(todo))
        done = len(wanted) - len(todo)
        self._report(done, len(wanted))
        if todo:
            _log.info("%s: %d to encode", self._folder, len(todo))
        try:
            with self._open(len(stored)) as files:
                for hashes, pictures, seen in self._batches(todo, wanted):
                    if hashes:
                        features = self._features(hashes, pictures, wanted)
                        self._commit(hashes, features, self._times(pictures), *files)
                    done += seen
                    self._report(done, len(wanted))
        finally:
            write_failures(self._folder, self._failures.values())

    def copy(self, other: FeatureStore, stored: Sequence[str]) -> None:
        """Add the missing rows of another store, its failures and its hashes."""
        present = set(stored)
        todo = [name for name in dict.fromkeys(other.hashes) if name not in present]
        self._check_disk(len(todo))
        with self._open(len(stored)) as files:
            for first in range(0, len(todo), self._COPIED):
                hashes = todo[first : first + self._COPIED]
                rows = other.rows(hashes)
                self._commit(hashes, other.read(rows), other.times(rows), *files)
        hashes_known = HashCache(self._folder)
        hashes_known.learn(HashCache(other.folder))
        hashes_known.save()
        failures = {failure.path: failure for failure in other.failures}
        write_failures(self._folder, (self._failures | failures).values())

    @contextmanager
    def _open(self, stored: int) -> Iterator[tuple[BinaryIO, BinaryIO | None, BinaryIO]]:
        """Open rows, times and index for appending."""
        with (
            _open_at(self._folder / FEATURES_FILE, stored * self._key.row_bytes) as rows,
            self._open_times(stored) as times,
            _open_at(self._folder / INDEX_FILE, stored * LINE_BYTES) as index,
        ):
            yield rows, times, index

    def _open_times(self, stored: int) -> AbstractContextManager[BinaryIO | None]:
        if self._key.frames is None:
            return nullcontext()
        return _open_at(self._folder / TIMES_FILE, stored * self._key.times_bytes)

    def _hash(self, items: Sequence[MediaItem]) -> dict[str, list[MediaItem]]:
        """SHA-256 of a row -> the items with that hash, in the order given."""
        cache = HashCache(self._folder)
        wanted: dict[str, list[MediaItem]] = {}
        for item in items:
            self._failures.pop(str(item), None)
            try:
                wanted.setdefault(item.row_sha256(cache.sha256(item.path)), []).append(item)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                self._failures[str(item)] = Failure(str(item), None, reason)
        cache.save()
        return wanted

    def _batches(
        self, todo: Sequence[str], wanted: dict[str, list[MediaItem]]
    ) -> Iterator[tuple[list[str], list[ItemPictures], int]]:
        """Full batches of readable items: hashes, pixels, and the number of items tried."""
        hashes: list[str] = []
        pictures: list[ItemPictures] = []
        seen = 0
        for sha256, prepared in self._prepared(todo, wanted):
            seen += 1
            if isinstance(prepared, MediaError):
                for item in wanted[sha256]:
                    self._failures[str(item)] = Failure(str(item), sha256, prepared.reason)
                _log.warning("left out: %s", prepared)
            else:
                for warning in prepared.warnings:
                    _log.warning("%s: %s", wanted[sha256][0], warning)
                hashes.append(sha256)
                pictures.append(prepared)
            if len(pictures) == self._batch_size:
                yield hashes, pictures, seen
                hashes, pictures, seen = [], [], 0
        if seen:
            yield hashes, pictures, seen

    def _prepared(
        self, todo: Sequence[str], wanted: dict[str, list[MediaItem]]
    ) -> Iterator[tuple[str, ItemPictures | MediaError]]:
        """Pixels of each picture or clip in order, prepared at most two batches ahead."""
        ahead = 2 * self._batch_size
        items = (wanted[sha256][0] for sha256 in todo)
        with closing(map_ahead(self._prepare, items, threads=_WORKERS, ahead=ahead)) as prepared:
            yield from zip(todo, prepared, strict=True)

    def _prepare(self, item: MediaItem) -> ItemPictures | MediaError:
        key = self._key
        try:
            return read_pictures(
                item,
                key.preprocessing,
                key.view,
                key.frames,
                key.motion_step,
                max_pixels=self._max_pixels,
            )
        except MediaError as error:
            return error

    def _features(
        self,
        hashes: Sequence[str],
        pictures: Sequence[ItemPictures],
        wanted: dict[str, list[MediaItem]],
    ) -> HalfArray:
        """Rows, float16 (N, *row_shape)."""
        owners = np.repeat(np.arange(len(hashes)), [len(p.pixels_F3HW) for p in pictures])
        pixels_X3HW = np.concatenate([p.pixels_F3HW for p in pictures])
        encoded = np.concatenate(
            [
                np.asarray(self._encode(pixels_X3HW[first : first + self._most_pictures]))
                for first in range(0, len(pixels_X3HW), self._most_pictures)
            ]
        )
        expected = (len(pixels_X3HW), *self._key.shape)
        if encoded.shape != expected:
            raise DataError(
                f"encoder {self._key.encoder} returned features of shape {encoded.shape} for "
                f"{len(pixels_X3HW)} pictures; its key expects {expected}."
            )
        with np.errstate(over="ignore"):
            features = np.ascontiguousarray(encoded, dtype=np.dtype("<f2"))
        finite_X = np.isfinite(features).reshape(len(features), -1).all(axis=1)
        if not finite_X.all():
            item = wanted[hashes[owners[int(np.argmin(finite_X))]]][0]
            raise DataError(
                f"encoder {self._key.encoder} returned values for {item} that float16 cannot hold "
                f"(beyond 65504, infinite or NaN). Check its weights and preprocessing."
            )
        if self._key.frames is None:
            return features
        rows = np.zeros((len(hashes), *self._key.row_shape), dtype=features.dtype)
        for number, row in enumerate(rows):
            own = features[owners == number]
            row[: len(own)] = own
        return rows

    def _times(self, pictures: Sequence[ItemPictures]) -> DoubleArray:
        """Seconds, float64 (N, F); F is 0 for pictures."""
        frames = self._key.frames or 0
        times_NF = np.full((len(pictures), frames), np.nan, dtype=TIMES_DTYPE)
        for row_F, prepared in zip(times_NF, pictures, strict=True):
            shown = prepared.times[:frames]
            row_F[: len(shown)] = shown
        return times_NF

    def _commit(
        self,
        hashes: Sequence[str],
        features: HalfArray,
        times_NF: DoubleArray,
        rows: BinaryIO,
        times: BinaryIO | None,
        index: BinaryIO,
    ) -> None:
        # This order makes kill -9 and power cuts harmless: a row is on disk before the index line
        # that makes it valid.
        rows.write(features.tobytes())
        _sync(rows)
        if times is not None:
            times.write(times_NF.tobytes())
            _sync(times)
        entries = zip(hashes, features, times_NF, strict=True)
        index.writelines(IndexEntry(name, checksum(row, at)).to_line() for name, row, at in entries)
        _sync(index)

    def _check_disk(self, rows: int) -> None:
        needed = rows * self._key.row_bytes
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise DataError(
                f"{self._folder}: {rows} pictures or clips need {needed / 1e9:.1f} GB of "
                f"features, {free / 1e9:.1f} GB are free. Free some space or choose another folder."
            )

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


def _open_at(path: Path, size: int) -> BinaryIO:
    """Open for writing at ``size``, discarding incomplete data of a killed run."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    file.seek(size)
    return file


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
