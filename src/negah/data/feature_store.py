"""Stores of precomputed features, read from a memory-mapped file.

A store is a folder named after its key; see :mod:`negah.data.feature_files` for the small files in
it. ``features.f16`` holds the rows one after another as little-endian float16, without a header, so
that rows can be added. The row of a clip is the concatenation of its frames, padded with zeros if
it has fewer than the others; ``times.f64`` shows which frames are real.

Axes: N pictures or clips, F frames of a clip, then the feature's own axes, say R regions and C
channels.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from negah.arrays import DoubleArray, HalfArray
from negah.data.feature_files import (
    FEATURES_FILE,
    INDEX_FILE,
    TIMES_FILE,
    Failure,
    HashCache,
    damaged,
    read_failures,
    read_index,
    read_key,
)
from negah.data.media_items import VIEW_PATTERN, MediaItem
from negah.errors import DataError
from negah.media.preprocess import Preprocessing
from negah.options import Options

#: A key of a row: a file, a span of one, or the row's SHA-256.
RowKey = Path | MediaItem | str

_FORMAT = 1
_DTYPE = np.dtype("<f2")
TIMES_DTYPE = np.dtype("<f8")
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: A crash damages the end of a file; this number of last rows is checked on opening.
_CHECKED_ROWS = 32


class FeatureKey(Options):
    """Everything that a feature depends on besides the picture's content."""

    encoder: str = Field(
        min_length=1, description="Name of the encoder, with the layer it ends at."
    )
    weights_sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the encoder's weights."
    )
    preprocessing: Preprocessing = Field(description="How a picture becomes the encoder's pixels.")
    view: str = Field(
        default="plain",
        pattern=VIEW_PATTERN,
        description="flip: the preprocessed pixels mirrored left to right; zoom-1 to zoom-8: a "
        "part of the picture; flip-zoom-1 to flip-zoom-8: that part mirrored.",
    )
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="Shape of one picture's feature, such as (regions, channels)."
    )
    frames: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of frames of a clip; None for single pictures.",
    )
    motion_step: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Seconds between the two frames whose difference is encoded; None for frames "
        "as they are.",
    )

    @model_validator(mode="after")
    def _motion_takes_clips(self) -> Self:
        if self.motion_step is not None and self.frames is None:
            raise ValueError("single pictures have no motion: motion_step needs frames")
        return self

    @property
    def folder_name(self) -> str:
        """``<encoder>-<8 hexadecimal digits>``: readable and unique for every key."""
        canonical = json.dumps(self.to_dict(), sort_keys=True).encode("utf-8")
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", self.encoder).strip(".-")[:64]
        return f"{readable}-{hashlib.sha256(canonical).hexdigest()[:8]}"

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of a row: of a picture's feature, or of F of them."""
        return self.shape if self.frames is None else (self.frames, *self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return _DTYPE.itemsize * int(np.prod(self.row_shape, dtype=np.int64))

    @property
    def times_bytes(self) -> int:
        """Bytes of one clip's times; 0 for pictures."""
        return TIMES_DTYPE.itemsize * (self.frames or 0)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``key.json``; keys on frames and on motion only if they apply."""
        values = self.model_dump(mode="json")
        for name in ("frames", "motion_step"):
            if values[name] is None:
                del values[name]
        return {"format": _FORMAT, "dtype": _DTYPE.str, **values}


class FeatureStore:
    """The features of many pictures under one key, on disk, with random access.

    Opening is cheap and reads no features. Rows added later are visible to stores opened later.

    Args:
        root: the folder that holds stores, one folder each.
        key: which of them.

    Raises:
        DataError: the store does not exist or is damaged.
    """

    def __init__(self, root: str | Path, key: FeatureKey) -> None:
        self.key = key
        self.folder = Path(root) / key.folder_name
        if not check_key(self.folder, key):
            raise DataError(f"{self.folder}: no such feature store. Compute the features first.")
        self._entries = read_index(self.folder)
        self._rows: dict[str, int] = {}
        for row, entry in enumerate(self._entries):
            self._rows.setdefault(entry.sha256, row)
        self._hashes = HashCache(self.folder)
        self._failures = read_failures(self.folder)
        rows = len(self._entries)
        self._features = _map(self.folder / FEATURES_FILE, _DTYPE, (rows, *key.row_shape))
        self._times = _map(self.folder / TIMES_FILE, TIMES_DTYPE, (rows, key.frames or 0))
        self._check_rows(range(max(0, len(self) - _CHECKED_ROWS), len(self)))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._entries)

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each row's picture or part of a clip, in row order."""
        return tuple(entry.sha256 for entry in self._entries)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Pictures that could not be read when features were last computed for them."""
        return tuple(
            failure for failure in self._failures.values() if failure.sha256 not in self._rows
        )

    def row(self, picture: RowKey) -> int | None:
        """Row of one picture or clip, or None.

        Args:
            picture: a Path, whose content is hashed; a part of a file; or a string, the SHA-256
                itself.

        Raises:
            DataError: the string is not a SHA-256.
        """
        if isinstance(picture, str):
            if not _SHA256.fullmatch(picture):
                raise DataError(f"{picture!r} is not a SHA-256. Give a file as a pathlib.Path.")
            return self._rows.get(picture)
        item = picture if isinstance(picture, MediaItem) else MediaItem(picture)
        try:
            return self._rows.get(item.row_sha256(self._hashes.sha256(item.path)))
        except OSError:
            return None

    def rows(self, pictures: Sequence[RowKey]) -> npt.NDArray[np.int64]:
        """Rows of pictures or clips, each as :meth:`row` takes it.

        Returns:
            int64 (N,).

        Raises:
            DataError: some have no features; names the first few, with the reason if known.
        """
        found = [self.row(picture) for picture in pictures]
        absent = [picture for picture, row in zip(pictures, found, strict=True) if row is None]
        if absent:
            shown = ", ".join(self._describe(picture) for picture in absent[:5])
            raise DataError(
                f"{self.folder}: {len(absent)} of {len(pictures)} pictures have no features: "
                f"{shown}. Compute the features for them, or leave them out."
            )
        return np.array(found, dtype=np.int64)

    def read(self, rows: npt.ArrayLike) -> HalfArray:
        """Features of some rows, in the order asked for, repeats allowed.

        Args:
            rows: int (N,), each from 0 to ``len(self) - 1``.

        Returns:
            float16 (N, ...), a contiguous copy; of clips (N, F, ...).

        Raises:
            DataError: a row is out of range.
        """
        return np.ascontiguousarray(self._features[self._checked(rows)], dtype=np.float16)

    def times(self, rows: npt.ArrayLike) -> DoubleArray:
        """The times of the frames of some clips.

        Args:
            rows: as for :meth:`read`.

        Returns:
            float64 (N, F), seconds, ascending; NaN after the last frame of a clip that has fewer. F
            is 0 in a store of pictures.

        Raises:
            DataError: a row is out of range.
        """
        return np.ascontiguousarray(self._times[self._checked(rows)], dtype=np.float64)

    def _checked(self, rows: npt.ArrayLike) -> npt.NDArray[np.int64]:
        wanted_N = np.asarray(rows, dtype=np.int64)
        if wanted_N.size and not (wanted_N.min() >= 0 and wanted_N.max() < len(self)):
            raise DataError(
                f"{self.folder}: rows {wanted_N.min()} to {wanted_N.max()} were requested; the "
                f"store has rows 0 to {len(self) - 1}."
            )
        return wanted_N

    def verify(self) -> Self:
        """Read every row and compare it with its checksum.

        Raises:
            DataError: a row is not what was written.
        """
        self._check_rows(range(len(self)))
        return self

    def _check_rows(self, rows: range) -> None:
        for row in rows:
            if checksum(self._features[row], self._times[row]) != self._entries[row].crc32:
                files = FEATURES_FILE if self.key.frames is None else f"{FEATURES_FILE} or times"
                raise damaged(self.folder, f"row {row} of {files} is not what was written")

    def _describe(self, picture: RowKey) -> str:
        for failure in self._failures.values():
            if str(picture) in (failure.path, failure.sha256):
                return f"{picture} ({failure.reason})"
        return str(picture)


def check_key(folder: Path, key: FeatureKey) -> bool:
    """Whether ``folder`` is a store of ``key``; False if nothing is stored yet.

    Raises:
        DataError: it is a store of another key, or its key is missing.
    """
    found = read_key(folder)
    if found is None:
        if (folder / INDEX_FILE).exists():
            raise damaged(folder, "key.json is missing")
        return False
    if found != key.to_dict():
        raise damaged(folder, "key.json does not match the name of the folder")
    return True


def checksum(row: HalfArray, times: DoubleArray) -> int:
    """CRC-32 of a row's bytes and then those of its times."""
    return zlib.crc32(times.tobytes(), zlib.crc32(row.tobytes()))


def _map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    size = path.stat().st_size if path.exists() else 0
    needed = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if size < needed:
        raise damaged(path.parent, f"{path.name} has {size} bytes, {shape[0]} rows need {needed}")
    if needed == 0:  # an empty file cannot be mapped
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=shape)
