"""Files by local path or by address (``s3://bucket/key``), opened for reading.

Addresses are those of fsspec, with a file system for each protocol.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
from pathlib import Path
from typing import IO, Any

from negah.errors import MediaError, MissingExtraError, UsageError

_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:::|://)")
_FILE = "file://"
#: Protocols of the web.
WEB = frozenset({"http", "https"})
_BUFFER = 2**20
#: The most bytes of one photo: what cameras write has less, and several are held at a time.
MAX_PHOTO_BYTES = 128 * 2**20


def is_address(name: str) -> bool:
    """Whether a name is an address and not a local path."""
    return _PROTOCOL.match(name) is not None and not name.startswith(_FILE)


def protocol_of(name: str) -> str:
    """The protocol of an address, in lower case; empty for a local path."""
    found = _PROTOCOL.match(name) if is_address(name) else None
    return "" if found is None else found[1].lower()


def local_path(name: str, folder: str = "") -> Path:
    """The path of a local name, relative to a folder."""
    return Path(folder, name.removeprefix(_FILE))


def file_system(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it.

    Raises:
        MissingExtraError: fsspec is not installed.
        UsageError: no file system has this protocol, or its package is not installed.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError("fsspec", f"reading {address}", extra="remote") from None
    try:
        system, path = url_to_fs(address)
    except Exception as error:  # the packages behind protocols raise whatever they like
        raise UsageError(f"{address}: cannot be opened: {error}") from None
    return system, str(path)


def open_file(name: str, folder: str = "") -> IO[bytes]:
    """Open a file for reading bytes, with seeking.

    A file from the web is first copied to a temporary file, because not every server supports
    partial reads.

    Args:
        name: a path, or an address.
        folder: base of relative paths.

    Raises:
        OSError: it cannot be opened or, later, read.
    """
    if not is_address(name):
        return local_path(name, folder).open("rb")
    system, path = file_system(name)
    try:
        if protocol_of(name) not in WEB:
            return io.BufferedReader(_Remote(system.open(path, "rb")), _BUFFER)
        whole = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            system.get_file(path, whole)
            whole.seek(0)
        except BaseException:
            whole.close()
            raise
        return whole
    except Exception as error:
        raise as_os_error(error) from error


def read_photo(name: str, folder: str = "") -> bytes:
    """Read the file of a photo.

    Raises:
        MediaError: it cannot be read, or is larger than any photo.
        MissingExtraError: it is at an address, and fsspec is not installed.
    """
    try:
        if is_address(name):
            system, path = file_system(name)
            stream: IO[bytes] = io.BufferedReader(_Remote(system.open(path, "rb")), _BUFFER)
        else:
            stream = local_path(name, folder).open("rb")
        with stream as file:
            content = file.read(MAX_PHOTO_BYTES + 1)
    except MissingExtraError:
        raise
    except UsageError as error:
        raise MediaError(name, f"cannot be read: {error}") from None
    except Exception as error:  # the packages behind protocols raise whatever they like
        error = as_os_error(error)
        raise MediaError(name, f"cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_PHOTO_BYTES:
        raise MediaError(name, too_large())
    return content


def too_large(size: int | None = None) -> str:
    """The reason why a photo with so many bytes is not read."""
    what = "larger than" if size is None else f"{size:,} bytes, and a photo in a shard has at most"
    return f"is {what} {MAX_PHOTO_BYTES:,} bytes"


def as_os_error(error: Exception) -> OSError:
    """An exception of a file system package as an OSError."""
    if isinstance(error, FileNotFoundError) and error.strerror is None:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if isinstance(error, OSError):
        return error
    return OSError(None, " ".join(str(error).split())[:200] or type(error).__name__)


class _Remote(io.RawIOBase):
    """A file of fsspec whose exceptions are converted to OSError."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._stream.read(len(buffer))
        except Exception as error:
            raise as_os_error(error) from error
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            self._stream.seek(offset, whence)
            return int(self._stream.tell())
        except Exception as error:
            raise as_os_error(error) from error

    def tell(self) -> int:
        return int(self._stream.tell())

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
