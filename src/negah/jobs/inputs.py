"""Inputs of a job -> shards: each tar and Parquet file, and all other photos in lists of N.

Inputs are files, folders, globs, ``data-{000..099}.tar``, ``-`` for a list on standard input, and
text files (``.txt``) with one path or address per line, all of them also as fsspec addresses.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, TextIO

from negah.data.formats.source import CONTAINERS, expand_numbers
from negah.errors import DataError, MediaError, UsageError
from negah.jobs.addresses import file_system, is_address, local_path, open_file, protocol_of
from negah.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_media
from negah.media.folders import natural
from negah.textfiles import MAX_BYTES, decode, lines

ShardKind = Literal["tar", "parquet", "list"]

#: Files of a list that make one shard, unless a user says otherwise.
SHARD_SIZE = 1000
_WILDCARD = re.compile(r"[*?\[]")
_LIST = ".txt"


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a job that is processed by one process.

    Attributes:
        name: of its outputs, without suffix; unique.
        kind: tar, Parquet file or list.
        source: the path or address of a tar or Parquet file; of a list, what its files make.
        files: of a list, as given.
        folder: base of relative paths.
    """

    name: str
    kind: ShardKind
    source: str
    files: tuple[str, ...] = ()
    folder: str = ""

    @property
    def identity(self) -> str:
        """Its absolute source, which distinguishes shards of the same name."""
        if self.kind == "list" or is_address(self.source):
            return self.source
        return os.path.abspath(local_path(self.source, self.folder))  # noqa: PTH100 - as named


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The shards of a job.

    Attributes:
        shards: in order.
        listed: for photos in lists, their number, the shard size, and the SHA-256 of their names;
            None without lists.
        left_out: number of unsupported files in folders, by suffix.
        closed: folders that could not be read, with the reason.
    """

    shards: Sequence[Shard]
    listed: Mapping[str, str | int] | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    closed: Sequence[MediaError] = ()


def find_shards(
    paths: Sequence[str],
    *,
    shard_size: int = SHARD_SIZE,
    recursive: bool = False,
    stdin: TextIO | None = None,
    only: Literal["photos", "clips"] | None = None,
) -> ShardPlan:
    """Find the shards in paths and addresses. Only lists are opened.

    Args:
        paths: as in the module's docstring. A folder stands for its tars and Parquet files, or if
            it has none for its photos and clips.
        shard_size: number of photos per shard of a list.
        recursive: also read subfolders.
        stdin: source of the list for ``-``.
        only: photos or clips of local folders, globs and lists; None for both.

    Raises:
        UsageError: a path does not exist or contains no input.
        MissingExtraError: an address is given and fsspec is not installed.
    """
    if shard_size < 1:
        raise UsageError(f"a shard has 1 file or more, not {shard_size}")
    search = _ShardSearch(recursive)
    for path in paths:
        search.add(path)
    here = str(Path.cwd())
    files = search.files(stdin, only)
    if not search.containers and not files and not search.closed:
        raise UsageError("no photos, tars or Parquet files are named")
    shards = [
        Shard(name, "parquet" if source.lower().endswith(".parquet") else "tar", source, (), here)
        for name, source in _unique_names(list(dict.fromkeys(search.containers)))
    ]
    listed: dict[str, str | int] | None = None
    if files:
        every = _digest(files)
        listed = {"files": len(files), "shard_size": shard_size, "sha256": every}
        starts = range(0, len(files), shard_size)
        width = max(5, len(str(len(starts))))
        for number, start in enumerate(starts):
            part = tuple(files[start : start + shard_size])
            name = f"part-{number:0{width}}"
            shards.append(Shard(name, "list", _digest(part), part, here))
    _check_names(shards)
    return ShardPlan(shards, listed, search.left_out, tuple(search.closed))


def _digest(files: Sequence[str]) -> str:
    text = "\0".join(files)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _check_names(shards: Sequence[Shard]) -> None:
    twice = [name for name, count in Counter(one.name for one in shards).items() if count > 1]
    if twice:
        raise UsageError(f"two shards would be called {twice[0]}: name them in jobs of their own")


def _unique_names(sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Shards with unique names: that of the file, with a digest appended to duplicates."""
    stems = [_stem(source) for source in sources]
    counts = Counter(stem.casefold() for stem in stems)
    for stem, source in zip(stems, sources, strict=True):
        yield (stem if counts[stem.casefold()] == 1 else f"{stem}-{_digest([source])[:8]}"), source


def _stem(source: str) -> str:
    name = PurePosixPath(source.replace(os.sep, "/")).name
    suffix = next((end for end in CONTAINERS if name.lower().endswith(end)), "")
    # names of files begin with neither a point nor a dash, whatever an address ends in
    return (
        re.sub(r"[^\w.=+@-]", "_", name.removesuffix(name[-len(suffix) :])).lstrip(".-") or "data"
    )


class _ShardSearch:
    """One call of :func:`find_shards`."""

    def __init__(self, recursive: bool) -> None:
        self._recursive = recursive
        self._loose: list[str] = []
        self._listed: list[str] = []
        self.containers: list[str] = []
        self.left_out: Mapping[str, int] = {}
        self.closed: Sequence[MediaError] = ()

    def add(self, given: str) -> None:
        """Add the files of one input."""
        if is_address(given):
            return self._add_address(given)
        path = local_path(given)
        if given == "-" or path.is_file():
            return self._add_file(given)
        if path.is_dir():
            return self._add_folder(path)
        names = expand_numbers(given)
        if len(names) > 1:
            if not any(local_path(name).exists() for name in names):
                raise UsageError(f"no such file: {names[0]}, nor any other of {given}")
            for name in names:  # one that is missing is a shard that fails
                self._add_file(name)
        elif _WILDCARD.search(given) and given.lower().endswith(CONTAINERS):
            found = sorted(glob.glob(given, recursive=True), key=natural)  # noqa: PTH207 - as named
            if not found:
                raise UsageError(f"nothing matches {given!r}; check the folder and the pattern")
            self.containers += found
        else:
            self._loose.append(given)
        return None

    def _add_file(self, name: str) -> None:
        if name.lower().endswith(CONTAINERS):
            self.containers.append(name)
        elif name.lower().endswith(_LIST):
            self._listed += read_list(name)
        else:
            self._loose.append(name)

    def _add_folder(self, folder: Path) -> None:
        found = sorted(
            (
                str(path)
                for path in (folder.rglob("*") if self._recursive else folder.iterdir())
                if path.name.lower().endswith(CONTAINERS) and not path.name.startswith(".")
            ),
            key=natural,
        )
        # an imagefolder may have its table in Parquet, beside the photos
        found = [one for one in found if Path(one).name != "metadata.parquet"]
        if found:
            self.containers += found
        else:
            self._loose.append(str(folder))

    def _add_address(self, address: str) -> None:
        lower = address.lower()
        if not _WILDCARD.search(address) and lower.endswith((*CONTAINERS, _LIST)):
            for name in expand_numbers(address):
                self._add_file(name)
            return
        if not _WILDCARD.search(address) and lower.endswith(_MEDIA):
            self._listed.append(address)
            return
        found = sorted(self._listing(address), key=natural)
        containers = [one for one in found if one.lower().endswith(CONTAINERS)]
        photos = [one for one in found if one.lower().endswith(_MEDIA)]
        if not containers and not photos:
            raise UsageError(f"{address} has no photos, tars or Parquet files")
        self.containers += containers
        self._listed += [] if containers else photos

    def _listing(self, address: str) -> list[str]:
        """The addresses of the files of a folder or glob."""
        system, path = file_system(address)
        try:
            if _WILDCARD.search(path):
                found = system.glob(path)
            else:
                found = system.find(path, maxdepth=None if self._recursive else 1)
        except Exception as error:  # the packages behind protocols raise whatever they like
            raise UsageError(f"{address}: cannot be looked into: {error}") from None
        # what file systems leave out of their paths: the protocol, and of some the host
        given, path = address.rstrip("/"), path.rstrip("/")
        prefix = given.removesuffix(path) if given.endswith(path) else f"{protocol_of(address)}://"
        return [name if is_address(name) else f"{prefix}{name}" for name in map(str, found)]

    def files(self, stdin: TextIO | None, only: Literal["photos", "clips"] | None) -> list[str]:
        """The photos and clips, each once."""
        local: list[str] = []
        if self._loose:
            media = find_media(self._loose, recursive=self._recursive, stdin=stdin, only=only)
            local = [str(path) for path in media.files]
            self.left_out, self.closed = media.left_out, media.closed
        return list(dict.fromkeys([*local, *self._listed]))


_MEDIA = tuple(IMAGE_SUFFIXES | VIDEO_SUFFIXES)


def read_list(name: str) -> list[str]:
    """The paths and addresses in a text file, one per line.

    Relative paths start from the current folder; in a list at an address, from the list.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    try:
        with open_file(name) as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UsageError(f"{name}: larger than {MAX_BYTES // 2**20} MiB: divide the list")
        text = decode(content, name)
    except (OSError, DataError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"{name}: cannot be read: {reason}") from None
    found = [line for line in lines(text.removeprefix("\ufeff")) if line.strip()]
    if not found:
        raise UsageError(f"{name}: the list is empty; write a path or an address a line")
    if is_address(name):
        above = name.rpartition("/")[0]
        return [one if is_address(one) else f"{above}/{one}" for one in found]
    return found
