"""Features that were computed once, read from a memory-mapped file.

A store is a folder named after its key; see :mod:`negah.data.feature_files` for the
small files in it. ``features.f16`` holds the rows one after another as little-endian
float16, without a header, so that rows can be added.

Axes: N images, then the feature's own axes, say R regions and C channels.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from negah.data.feature_files import (
    FEATURES_FILE,
    INDEX_FILE,
    Failure,
    HashCache,
    damaged,
    read_failures,
    read_index,
    read_key,
)
from negah.errors import DataError
from negah.media.preprocess import Preprocessing
from negah.options import Options

HalfArray = npt.NDArray[np.float16]

_FORMAT = 1
_DTYPE = np.dtype("<f2")
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: A crash damages the end of a file; so many of the last rows are checked on opening.
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
    view: Literal["plain", "flip"] = Field(
        default="plain", description="flip: the preprocessed pixels mirrored left to right."
    )
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        description="Shape of one picture's feature, such as (regions, channels)."
    )

    @property
    def folder_name(self) -> str:
        """``<encoder>-<8 hexadecimal digits>``: readable, and different for every key."""
        canonical = json.dumps(self.to_dict(), sort_keys=True).encode("utf-8")
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", self.encoder).strip(".-")[:64]
        return f"{readable}-{hashlib.sha256(canonical).hexdigest()[:8]}"

    @property
    def row_bytes(self) -> int:
        """Bytes of one picture's feature."""
        return _DTYPE.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def to_dict(self) -> dict[str, Any]:
        """What ``key.json`` holds."""
        return {"format": _FORMAT, "dtype": _DTYPE.str, **self.model_dump(mode="json")}


class FeatureStore:
    """The features of many pictures under one key, on disk, read at random.

    Opening is cheap and reads no features. Rows that are added later are seen by
    stores opened later.

    Args:
        root: the folder that holds stores, one folder each.
        key: which of them.

    Raises:
        DataError: there is no such store, or it is damaged.
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
        self._features = _map(self.folder, key, len(self._entries))
        self._check_rows(range(max(0, len(self) - _CHECKED_ROWS), len(self)))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._entries)

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each row's picture, in row order."""
        return tuple(entry.sha256 for entry in self._entries)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Pictures that could not be read when features were last computed for them."""
        return tuple(
            failure for failure in self._failures.values() if failure.sha256 not in self._rows
        )

    def row(self, picture: Path | str) -> int | None:
        """Row of one picture, or None.

        Args:
            picture: a Path, whose content is hashed; or a string, the SHA-256 itself.

        Raises:
            DataError: the string is no SHA-256.
        """
        if isinstance(picture, Path):
            try:
                return self._rows.get(self._hashes.sha256(picture))
            except OSError:
                return None
        if not _SHA256.fullmatch(picture):
            raise DataError(f"{picture!r} is no SHA-256. Give a file as a pathlib.Path.")
        return self._rows.get(picture)

    def rows(self, pictures: Sequence[Path | str]) -> npt.NDArray[np.int64]:
        """Rows of pictures, each a Path or a SHA-256 string.

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
            float16 (N, ...), a contiguous copy.

        Raises:
            DataError: a row is out of range.
        """
        wanted_N = np.asarray(rows, dtype=np.int64)
        if wanted_N.size and not (wanted_N.min() >= 0 and wanted_N.max() < len(self)):
            raise DataError(
                f"{self.folder}: rows {wanted_N.min()} to {wanted_N.max()} were asked for; "
                f"the store has rows 0 to {len(self) - 1}."
            )
        return np.ascontiguousarray(self._features[wanted_N], dtype=np.float16)

    def verify(self) -> Self:
        """Read every row and compare it with its checksum.

        Raises:
            DataError: a row is not what was written.
        """
        self._check_rows(range(len(self)))
        return self

    def _check_rows(self, rows: range) -> None:
        for row in rows:
            if zlib.crc32(self._features[row].tobytes()) != self._entries[row].crc32:
                raise damaged(self.folder, f"row {row} of {FEATURES_FILE} is not what was written")

    def _describe(self, picture: Path | str) -> str:
        for failure in self._failures.values():
            if str(picture) in (failure.path, failure.sha256):
                return f"{picture} ({failure.reason})"
        return str(picture)


def check_key(folder: Path, key: FeatureKey) -> bool:
    """Whether ``folder`` is a store of ``key``; False where nothing was stored yet.

    Raises:
        DataError: it is a store of something else, or its key is lost.
    """
    found = read_key(folder)
    if found is None:
        if (folder / INDEX_FILE).exists():
            raise damaged(folder, "key.json is missing")
        return False
    if found != key.to_dict():
        raise damaged(folder, "key.json does not fit the folder's name")
    return True


def _map(folder: Path, key: FeatureKey, rows: int) -> HalfArray:
    path = folder / FEATURES_FILE
    size = path.stat().st_size if path.exists() else 0
    if size < rows * key.row_bytes:
        raise damaged(
            folder, f"{FEATURES_FILE} has {size} bytes, {rows} rows need {rows * key.row_bytes}"
        )
    shape = (rows, *key.shape)
    if rows == 0:  # an empty file cannot be mapped
        return np.empty(shape, dtype=_DTYPE)
    return np.memmap(path, dtype=_DTYPE, mode="r", shape=shape)
