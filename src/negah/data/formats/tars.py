"""Safe reading of untrusted tar files, member by member.

Nothing is extracted: no path of a member is used, no link is followed, no device is created. Sizes
are bounded, and a truncated or damaged file yields the members before the damage.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from negah.data.formats.unpacked import MAX_RATIO, MIN_LIMIT, DamagedPicture
from negah.errors import DataError

#: Exceptions of tarfile, gzip and zlib for damaged files.
DAMAGE = (
    tarfile.TarError, OSError, EOFError, zlib.error,
    ValueError, OverflowError, IndexError, KeyError, RecursionError,
)  # fmt: skip

_CHUNK = 2**20
#: Maximum size of headers (with long names, for instance), which tarfile reads as a whole.
_MAX_READ = 2**24


class _Member(tarfile.TarInfo):
    """A header that reports to its archive where the end was found."""

    @classmethod
    def fromtarfile(cls, archive: _Archive) -> _Member:  # type: ignore[override]
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            archive.ended = True
            raise


class _Archive(tarfile.TarFile):
    tarinfo = _Member
    members: list[tarfile.TarInfo]
    ended = False


class _Plain(io.RawIOBase):
    """A file wrapper that limits how much tarfile reads for a header, whatever size the header
    claims."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._stream.read(size)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Unpacked(_Plain):
    """A compressed file with a limit on its uncompressed size, counted in actual bytes, whatever
    its headers claim.
    """

    def __init__(self, path: Path | str, file: IO[bytes]) -> None:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        super().__init__(gzip.GzipFile(fileobj=file))
        self._file = file
        self._path = path
        self._limit = MIN_LIMIT + MAX_RATIO * size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a compressed file can only be read from its start")
        if offset < self.tell():
            return self._stream.seek(offset)
        while self.tell() < offset and self.read(min(offset - self.tell(), _CHUNK)):
            pass
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        content = super().read(size)
        if self.tell() > self._limit:
            raise DataError(
                f"{self._path}: unpacks to more than {self._limit:,} bytes, over {MAX_RATIO} "
                "times its size, which is not plausible for photos."
            )
        return content

    def close(self) -> None:
        super().close()
        self._file.close()


class Tar:
    """A tar file, plain or gzip, that is read once.

    Args:
        path: of the file, or the address that names it in errors.
        opener: opens it as a seekable binary file if it is not a local file.

    Attributes:
        loss: after reading, why the file could not be read completely, in a clause; else None.
    """

    def __init__(self, path: Path | str, opener: Callable[[], IO[bytes]] | None = None) -> None:
        self._path = path
        self._opener = opener
        self._stream: _Plain | None = None
        self.loss: str | None = None

    def members(self) -> Iterator[tarfile.TarInfo]:
        """The members in order; call :meth:`read` on each before the next.

        Raises:
            DataError: the uncompressed size is implausible.
        """
        try:
            file = (
                Path(self._path).open("rb")  # noqa: SIM115 - closed with the stream
                if self._opener is None
                else self._opener()
            )
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            self._stream = _Unpacked(self._path, file) if packed else _Plain(file)
        except OSError as error:
            self.loss = f"cannot be read: {error.strerror or error}"
            return
        assert self._stream is not None
        with self._stream:
            yield from self._walk(self._stream)

    def _walk(self, stream: _Plain) -> Iterator[tarfile.TarInfo]:
        before = -1
        try:
            archive = _Archive(fileobj=stream, encoding="utf-8", errors="surrogateescape")
        except DAMAGE as error:
            self.loss = f"not a tar file ({error})"
            return
        while True:
            try:
                member = archive.next()
            except DAMAGE as error:
                self.loss = f"truncated or damaged ({error})"
                return
            archive.members.clear()
            if member is None:
                break
            if member.size < 0 or archive.offset <= before:
                self.loss = "damaged (a member of impossible size)"
                return
            before = archive.offset
            yield member
        if not archive.ended:
            self.loss = "truncated or damaged (it has no end marker)"

    def read(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        """The content of a member, in pieces of a megabyte.

        Raises:
            DamagedPicture: the file is truncated or damaged here.
            DataError: as :meth:`members`.
        """
        assert self._stream is not None
        left = member.size
        try:
            self._stream.seek(member.offset_data)
            while left:
                chunk = self._stream.read(min(left, _CHUNK))
                if not chunk:
                    raise DamagedPicture("unexpected end of data")
                left -= len(chunk)
                yield chunk
        except DAMAGE as error:
            raise DamagedPicture(str(error)) from error


def is_tar(head: bytes) -> bool:
    """Whether a file with this (uncompressed) beginning is a tar file."""
    if head[257:262] == b"ustar":
        return True
    with suppress(*DAMAGE):  # the oldest format has no magic bytes, but a checksum
        header = tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
        return bool(header.name)
    return False


def is_plain(member: tarfile.TarInfo) -> bool:
    """Whether a member is a regular file with all its bytes in the archive: no link, device or
    sparse file."""
    return member.isreg() and not member.issparse()
