"""Pictures embedded in shards, unpacked to files in the cache once.

Readers of photos and clips need files. Shards are unpacked below ``pictures/`` of the cache folder
(:func:`negah.files.cache_folder`), under a name derived from their paths, sizes and modification
times: changed data is unpacked again, and old folders may be removed at any time. A killed run
continues where it stopped; a second one waits for the first.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from negah.data.formats.source import Source
from negah.data.names import is_safe
from negah.errors import DataError, OutputError
from negah.files import atomic_path, cache_folder, write_json
from negah.locks import exclusive

_log = logging.getLogger(__name__)

#: Maximum ratio of uncompressed to compressed size, against decompression bombs: photos and clips
#: are compressed already.
MAX_RATIO = 100
MIN_LIMIT = 64 * 2**20

#: Part of the fingerprint; to be incremented when the naming of pictures changes.
_VERSION = 2
#: Seconds to wait for another process that unpacks the same data.
_PATIENCE = 3600.0
_SECONDS_BETWEEN_MESSAGES = 10.0
#: Errors of a single name, whose picture is then missing.
_BAD_NAME = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ}

#: A picture's path below the folder, and its bytes in pieces.
PictureBytes = tuple[str, Iterable[bytes]]


class DamagedPicture(Exception):  # noqa: N818 - it ends a picture, not the run
    """The bytes of a picture cannot be read, or end too early."""


def size_limit(paths: Iterable[Path]) -> int:
    """The maximum uncompressed size of files in bytes."""
    return MIN_LIMIT + MAX_RATIO * sum(path.stat().st_size for path in paths)


def unpack(source: Source, pictures: Callable[[], Iterator[PictureBytes]]) -> Path:
    """The folder of a data set's pictures, which are unpacked if necessary.

    Args:
        source: the files that hold the pictures.
        pictures: yields all pictures.

    Raises:
        DataError: they are much larger than the files, or another process has been unpacking them
            for hours.
        OutputError: they cannot be written.
    """
    folder = cache_folder() / "pictures" / f"{_stem(source)}-{_fingerprint(source)}"
    done, files = folder / "complete.json", folder / "files"
    if done.is_file():
        return files
    try:
        files.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot(folder, error) from error
    with exclusive(folder / "lock", f"unpacking {source.label}", _PATIENCE):
        if not done.is_file():
            count = _write(source, files, pictures())
            write_json(done, {"files": [str(path) for path in source.paths], "pictures": count})
    return files


def _write(source: Source, files: Path, pictures: Iterator[PictureBytes]) -> int:
    _log.info("%s: unpacking its pictures into %s, once", source.label, files)
    limit, started = size_limit(source.paths), time.monotonic()
    last_message, count, total = started, 0, 0
    for name, chunks in pictures:
        if not is_safe(name):
            continue  # reported when it was read
        path = files / name
        try:
            if not path.is_file():
                with atomic_path(path) as temporary, temporary.open("wb") as file:
                    for chunk in chunks:
                        total += len(chunk)
                        if total > limit:
                            raise DataError(
                                f"{source.label}: unpacks to more than {limit:,} bytes, over "
                                f"{MAX_RATIO} times its size, which is not plausible for photos."
                            )
                        file.write(chunk)
            count += 1
        except DamagedPicture as error:
            _log.warning("%s: %s is damaged: %s", source.label, name, error)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in _BAD_NAME:
                raise _cannot(files, error) from error
            _log.warning("%s: %r is not a valid file name", source.label, name[:80])
        if time.monotonic() - last_message > _SECONDS_BETWEEN_MESSAGES:
            last_message = time.monotonic()
            _log.info("%s: %d pictures unpacked", source.label, count)
    _log.info("%s: %d pictures in %.0f s", source.label, count, time.monotonic() - started)
    return count


def _stem(source: Source) -> str:
    name = source.path.name if len(source.paths) == 1 else Path(source.label).resolve().name
    return name.partition(".")[0][:40] or "data"


def _fingerprint(source: Source) -> str:
    digest = hashlib.sha256(str(_VERSION).encode())
    for path in source.paths:
        found = path.stat()
        about = f"\0{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}"
        digest.update(about.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _cannot(folder: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(folder, f"{reason}; set NEGAH_CACHE to a folder with enough space")
