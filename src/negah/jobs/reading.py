"""The photos of a shard, in order and one at a time; shards are never held in memory completely.

Shards are untrusted: tars are not extracted, no path in a Parquet file leads out of its folder
unless it is absolute and the file is local, sizes are bounded, and an invalid photo is an error of
this photo only. A truncated or damaged shard fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from negah.data.formats.parquet import columns_of, opened, picture_column
from negah.data.formats.tars import Tar
from negah.data.formats.unpacked import DamagedPicture
from negah.data.formats.webdataset import parts_of, why_not
from negah.data.names import is_media, is_safe
from negah.data.rows import NAME_KEYS
from negah.errors import DataError, MediaError
from negah.jobs.addresses import (
    MAX_PHOTO_BYTES,
    is_address,
    local_path,
    open_file,
    protocol_of,
    read_photo,
    too_large,
)
from negah.jobs.inputs import Shard
from negah.media import is_clip
from negah.runtime import LazyPhoto

_PHOTOS_TOGETHER, _PATHS_TOGETHER = 16, 1024
#: Stores that a path in a Parquet file may name, wherever the file is; who may read them is decided
#: by keys. Web addresses are asked for only by files that came from the web.
_STORES = frozenset({"abfs", "abfss", "az", "gcs", "gs", "hf", "s3", "s3a"})


class ShardPhoto(NamedTuple):
    """A photo or clip of a shard.

    Attributes:
        name: in the shard, or as given.
        row: in a Parquet file, from 0; otherwise None.
        photo: the path of a local file, or a function that returns the content.
    """

    name: str
    row: int | None
    photo: str | LazyPhoto


def read_shard(shard: Shard) -> Iterator[ShardPhoto]:
    """The photos of a shard; an unreadable one raises a MediaError when it is fetched.

    Raises:
        DataError: the shard is missing, truncated or damaged; raised when this is found.
        MissingExtraError: it is a Parquet file and pyarrow is not installed, or it is at an
            address and fsspec is not.
    """
    if shard.kind == "tar":
        return _of_tar(shard)
    return _of_parquet(shard) if shard.kind == "parquet" else _of_list(shard)


def open_tar(shard: Shard) -> Tar:
    """Open the tar file of a shard for a single pass."""
    return Tar(shard.source, lambda: open_file(shard.source, shard.folder))


def _of_list(shard: Shard) -> Iterator[ShardPhoto]:
    for name in shard.files:
        yield ShardPhoto(name, None, _at(name, shard.folder))


def _of_tar(shard: Shard) -> Iterator[ShardPhoto]:
    tar = open_tar(shard)
    keys: set[str] = set()
    for member in tar.members():
        key, _, name = parts_of(member)
        if not key or key in keys or not is_media(name):
            continue
        keys.add(key)
        reason = why_not(member, name, text=False)
        if reason is None and is_clip(name):
            reason = "is a clip, and of a tar only photos are captioned; name clips as files"
        if reason is None and member.size > MAX_PHOTO_BYTES:
            reason = too_large(member.size)
        if reason is not None:
            yield ShardPhoto(name, None, _failed(name, reason))
            continue
        try:
            content = b"".join(tar.read(member))
        except DamagedPicture:
            break  # the walk has ended, too
        yield ShardPhoto(name, None, _held(name, content))
    else:
        if tar.loss is None:
            return
    raise DataError(
        f"{shard.source}: {tar.loss or 'truncated or damaged (unexpected end of data)'}"
    )


def _of_parquet(shard: Shard) -> Iterator[ShardPhoto]:
    try:
        stream = open_file(shard.source, shard.folder)
    except OSError as error:
        raise DataError(f"{shard.source}: cannot be read: {error.strerror or error}") from None
    with stream, opened(shard.source, stream) as file:
        column = picture_column(file)
        size = _PATHS_TOGETHER if column is None else _PHOTOS_TOGETHER
        column = column or _path_column(shard, file)
        row = 0
        for batch in file.iter_batches(size, columns=[column], use_threads=False):
            for value in batch.column(0):
                yield _of_row(shard, row, value.as_py())
                row += 1


def _path_column(shard: Shard, file: Any) -> str:
    """The column with paths of photos: text, or a struct with a path."""
    kinds = {name: str(kind) for name, kind in columns_of(file).items()}
    for name in NAME_KEYS:
        kind = kinds.get(name, "")
        if kind in ("string", "large_string", "string_view") or "path: string" in kind:
            return name
    found = ", ".join(f"{name} ({kind})" for name, kind in list(kinds.items())[:10])
    raise DataError(
        f"{shard.source}: no column with pictures or their paths (found: {found:.300}); one called "
        "image, or another of " + ", ".join(NAME_KEYS)
    )


def _of_row(shard: Shard, row: int, value: Any) -> ShardPhoto:
    content, path = value, None
    if isinstance(value, dict):
        content, path = value.get("bytes"), value.get("path")
    if isinstance(content, str):
        content, path = None, content
    if content:
        name = PurePosixPath(str(path or "").replace("\\", "/")).name or f"row {row}"
        if len(content) > MAX_PHOTO_BYTES:
            return ShardPhoto(name, row, _failed(name, too_large(len(content))))
        return ShardPhoto(name, row, _held(name, content))
    if not path:
        name = f"row {row}"
        return ShardPhoto(name, row, _failed(name, "neither a picture nor a path"))
    return ShardPhoto(path, row, _of_path(shard, path))


def _of_path(shard: Shard, path: str) -> str | LazyPhoto:
    """The photo at a path in a Parquet file, relative to the file's folder."""
    own = protocol_of(shard.source)
    if is_address(path):
        protocol = protocol_of(path)
        if "::" not in path and (protocol == own or protocol in _STORES):
            return _at(path, shard.folder)
        return _failed(path, f"a {protocol} address in a file that did not come from there")
    if not own and Path(path).is_absolute():
        return path
    if path.startswith("file:") or not is_safe(path):
        return _failed(path, "a path that leads out of the folder of its Parquet file")
    if own:
        return _at(f"{shard.source.rpartition('/')[0]}/{path}", shard.folder)
    return str(local_path(shard.source, shard.folder).parent / path)


def _at(name: str, folder: str) -> str | LazyPhoto:
    """The photo or clip at a path or an address."""
    if not is_address(name):
        return os.path.join(folder, local_path(name))  # noqa: PTH118 - text, for many
    if is_clip(name):
        return _failed(name, "is a clip at an address, and of those only photos are captioned")
    return LazyPhoto(name, lambda: read_photo(name))


def _held(name: str, content: bytes) -> LazyPhoto:
    held = [content]
    # let go of here as well, so that it is kept only as long as it is decoded
    return LazyPhoto(name, held.pop)


def _failed(name: str, reason: str) -> LazyPhoto:
    return LazyPhoto(name, _raising(name, reason))


def _raising(name: str, reason: str) -> Callable[[], bytes]:
    def fetch() -> bytes:
        raise MediaError(name, reason)

    return fetch
