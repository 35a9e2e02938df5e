"""The output folder of a job: local, or at an fsspec address.

Every file appears completely or not at all. Local files are renamed into place; in an object store
a file is uploaded in a single put; elsewhere it is written under a temporary name and moved.
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from negah.errors import OutputError, UsageError
from negah.files import atomic_path, create_file, remove_file, sync_file
from negah.jobs.addresses import as_os_error, file_system, is_address, local_path, protocol_of

_Returned = TypeVar("_Returned")

#: Stores in which an object appears when all of it has come.
_OBJECT_STORES = frozenset(
    {"abfs", "abfss", "adl", "az", "gcs", "gs", "hf", "memory", "oci", "oss", "r2", "s3", "s3a"}
)
#: Protocols that nothing can be written to.
_READ_ONLY = frozenset({"http", "https", "data", "github", "zip", "tar"})


class Folder(ABC):
    """The folder of a job's outputs.

    Attributes:
        name: as given by the user.
    """

    name: str

    @abstractmethod
    def names(self) -> set[str]:
        """The names of its files; empty if the folder does not exist yet."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The content of a small file; None if it does not exist."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Create a small file; False if it exists already."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[Path]:
        """A temporary path to write to, which replaces the file if the block succeeds."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if it exists."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a small file, replacing an existing one."""
        with self.writing(name) as temporary:
            temporary.write_bytes(content)


class LocalFolder(Folder):
    """A local folder, possibly shared by several machines.

    Args:
        name: its path; the folder is created when something is written.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._path = local_path(name).absolute()

    def names(self) -> set[str]:
        """See :meth:`Folder.names`."""
        try:
            return {entry.name for entry in os.scandir(self._path)}
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise OutputError(self.name, error) from error

    def read(self, name: str) -> bytes | None:
        """See :meth:`Folder.read`."""
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(self._path / name, error) from error

    def create(self, name: str, content: bytes) -> bool:
        """See :meth:`Folder.create`."""
        try:
            return create_file(self._path / name, content)
        except OSError as error:
            raise OutputError(self._path / name, error) from error

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See :meth:`Folder.writing`."""
        try:
            with atomic_path(self._path / name) as temporary:
                yield temporary
                sync_file(temporary)
        except OSError as error:
            raise OutputError(self._path / name, error) from error

    def remove(self, name: str) -> None:
        """See :meth:`Folder.remove`."""
        try:
            remove_file(self._path / name)
        except OSError as error:
            raise OutputError(self._path / name, error) from error


class RemoteFolder(Folder):
    """A folder at an address of fsspec, such as ``s3://bucket/captions``.

    Args:
        name: the address.

    Raises:
        UsageError: it is not writable, or the protocol is unknown.
        MissingExtraError: fsspec is not installed.
    """

    def __init__(self, name: str) -> None:
        protocol = protocol_of(name)
        if protocol in _READ_ONLY:
            raise UsageError(
                f"{name}: nothing can be written to {protocol} addresses; name a folder or a "
                "bucket (s3://, gs://, az://)"
            )
        self.name = name.rstrip("/")
        self._system, root = file_system(name)
        self._root = root.rstrip("/")
        self._puts_whole = protocol in _OBJECT_STORES

    def names(self) -> set[str]:
        """See :meth:`Folder.names`."""

        def listed() -> set[str]:
            self._system.invalidate_cache(self._root)
            found = self._system.ls(self._root, detail=False)
            return {str(path).rstrip("/").rpartition("/")[2] for path in found}

        try:
            return self._do("", listed)
        except FileNotFoundError:
            return set()

    def read(self, name: str) -> bytes | None:
        """See :meth:`Folder.read`."""
        try:
            return self._do(name, lambda: bytes(self._system.cat_file(self._at(name))))
        except FileNotFoundError:
            return None

    def create(self, name: str, content: bytes) -> bool:
        """See :meth:`Folder.create`.

        If a file system cannot do this in one step, two processes may both succeed.
        """

        def put() -> bool:
            path = self._at(name)
            try:
                self._make_folder()
                self._system.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
            except (NotImplementedError, TypeError):
                self._system.invalidate_cache(self._root)
                if self._system.exists(path):
                    return False
                self._system.pipe_file(path, content)
            return True

        return self._do(name, put)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See :meth:`Folder.writing`."""
        with TemporaryDirectory(prefix="negah-") as folder:
            temporary = Path(folder) / "output"
            temporary.touch()
            yield temporary
            self._do(name, lambda: self._put(temporary, self._at(name)))

    def _put(self, source: Path, path: str) -> None:
        self._make_folder()
        if self._puts_whole:
            self._system.put_file(str(source), path)
            return
        part = f"{path}.{secrets.token_hex(4)}.negah.tmp"
        self._system.put_file(str(source), part)
        self._system.mv(part, path)

    def _make_folder(self) -> None:
        if not self._puts_whole:
            self._system.makedirs(self._root, exist_ok=True)

    def remove(self, name: str) -> None:
        """See :meth:`Folder.remove`."""
        try:
            self._do(name, lambda: self._system.rm_file(self._at(name)))
        except FileNotFoundError:
            return

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _do(self, name: str, action: Callable[[], _Returned]) -> _Returned:
        """Call an action, keeping FileNotFoundError and converting other errors."""
        try:
            return action()
        except FileNotFoundError:
            raise
        except Exception as error:  # the packages behind protocols raise whatever they like
            address = f"{self.name}/{name}" if name else self.name
            raise OutputError(address, as_os_error(error)) from error


def open_folder(name: str) -> Folder:
    """The folder behind a local path or an address.

    Raises:
        UsageError: it is not writable, or the protocol is unknown.
        MissingExtraError: fsspec is not installed.
    """
    return RemoteFolder(name) if is_address(name) else LocalFolder(name)
