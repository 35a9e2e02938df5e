"""The file or shards of a data set, opened and parsed once."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from negah.data.examples import split_name
from negah.data.rows import is_json_lines, parse_json
from negah.errors import DataError, UsageError
from negah.textfiles import STDIN, check_utf8, is_text, read_text

#: Number of bytes at the start that identify a file.
HEAD_BYTES = 4096
_LINES_SUFFIXES = (".jsonl", ".ndjson")
#: Suffixes of text files, even if a caption contains a zero byte.
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".json", *_LINES_SUFFIXES)
#: Suffixes of binary files.
CONTAINERS = (".tar", ".tar.gz", ".tgz", ".parquet")
_LOOKS_LIKE_JSON = re.compile(r"\s*(?:\{\s*\"|\[\s*[{\]])")
_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_SHARDS = 100_000


class Source:
    """The input of a format.

    Args:
        paths: one file or, for formats of shards, several; ``-`` is standard input.
        root: the folder, if it was named instead of its files; by default that of the file.

    Attributes:
        paths: in order.
        label: names it in errors: the path as it was given, or "standard input".
        short: names it in problems: only the file name.
    """

    def __init__(self, paths: Sequence[Path], root: Path | None = None) -> None:
        if not paths:
            raise UsageError("no file is given")
        self.paths = tuple(paths)
        self._root = root
        self.label = "standard input" if self.is_stdin else str(self.path)
        self.short = "standard input" if self.is_stdin else self.path.name
        if len(self.paths) > 1:
            self.label = str(root or self.path.parent)
            self.short = Path(self.label).name

    @property
    def path(self) -> Path:
        """The file, or the first of the shards."""
        return self.paths[0]

    @property
    def is_stdin(self) -> bool:
        """Whether the source is standard input, which has neither name nor folder."""
        return self.path == STDIN

    @property
    def folder(self) -> Path | None:
        """The named folder, or that of the file; None for standard input."""
        return None if self.is_stdin else self._root or self.path.parent

    @property
    def suffix(self) -> str:
        """Of the file, in lower case."""
        return self.path.suffix.lower()

    @cached_property
    def head(self) -> bytes:
        """The first 4,096 bytes, decompressed if the file is gzip; empty for standard input.

        Raises:
            DataError: the file cannot be read.
        """
        if self.is_stdin:
            return b""
        try:
            with self.path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError as error:
            raise DataError(f"{self.label}: cannot be read: {error.strerror}.") from None
        if head.startswith(b"\x1f\x8b"):
            try:
                with gzip.open(self.path) as unpacked:
                    return unpacked.read(HEAD_BYTES)
            except (OSError, EOFError, zlib.error):
                return head
        return head

    @cached_property
    def is_binary(self) -> bool:
        """Whether it is binary, by its name or its first bytes."""
        if self.path.name.lower().endswith(CONTAINERS):
            return True
        return self.suffix not in _TEXT_SUFFIXES and not is_text(self.head)

    @cached_property
    def text(self) -> str:
        """The text of the file, with bytes that are not UTF-8 escaped
        (:func:`negah.textfiles.read_text`).

        Raises:
            DataError: it cannot be read, or is too large.
        """
        return read_text(self.path, self.label)

    @property
    def is_json(self) -> bool:
        """Whether it is JSON or JSON lines, by its suffix or its first characters."""
        if self.suffix == ".json" or _LOOKS_LIKE_JSON.match(self.text):
            return True
        return self.suffix in _LINES_SUFFIXES and self.text.lstrip()[:1] in ("{", "[")

    @property
    def is_json_lines(self) -> bool:
        """Whether it is one JSON object a line; a single one counts as JSON."""
        return self.is_json and is_json_lines(self.text)

    @cached_property
    def json(self) -> Any:
        """The content of a JSON file; None for JSON lines and other text.

        Raises:
            DataError: it looks like JSON but cannot be parsed.
        """
        if not self.is_json or self.is_json_lines:
            return None
        return parse_json(check_utf8(self.text, self.label), self.label)

    def json_has(self, key: str) -> bool:
        """Whether it is a JSON object with a list under ``key``."""
        return isinstance(self.json, dict) and isinstance(self.json.get(key), list)

    def split_of(self, path: Path) -> str | None:
        """The part named at the start of a file name or, below the named folder, by its folder.

        ``train-00000-of-00002.parquet``, ``validation.tar``, ``test/metadata.csv``.
        """
        split = split_name(re.split(r"[-_.]", path.name)[0])
        if split is None and self._root is not None and path.parent != self._root:
            split = split_name(path.parent.name)
        return split

    def prefix_of(self, path: Path) -> str:
        """A folder prefix for the pictures of a shard, so that equal names do not collide:
        ``data/train-000/`` for ``data/train-000.tar`` in the named folder; empty for a single
        shard.

        Prefixes are unique.
        """
        return "" if len(self.paths) == 1 else self._prefixes[path]

    @cached_property
    def _prefixes(self) -> Mapping[Path, str]:
        """For each shard its path without the suffix, or with it if two would be equal."""
        absolute = [Path(os.path.abspath(path)) for path in self.paths]  # noqa: PTH100 - no ".."
        folders = [path.parent for path in absolute]
        if self._root is not None:
            folders.append(Path(os.path.abspath(self._root)))  # noqa: PTH100
        below = [path.relative_to(os.path.commonpath(folders)) for path in absolute]
        short = [path.with_name(_without_suffix(path.name)) for path in below]
        names = short if len(set(short)) == len(short) else below
        return {path: f"{name.as_posix()}/" for path, name in zip(self.paths, names, strict=True)}


def _without_suffix(name: str) -> str:
    """The name of a shard without ``.tar.gz`` and the like; the whole name if nothing would be
    left."""
    for suffix in CONTAINERS:
        if name.lower().endswith(suffix) and name[: -len(suffix)].strip("."):
            return name[: -len(suffix)]
    return name


def expand_braces(path: Path) -> list[Path]:
    """Expand ``data-{000..009}.tar`` to the paths of shards; a path without braces is returned as
    it is.

    Raises:
        UsageError: they are more than 100,000, or count backwards.
    """
    if path.exists():
        return [path]
    return [Path(name) for name in expand_numbers(str(path))]


def expand_numbers(name: str) -> list[str]:
    """Expand ``{000..009}`` in a name; a name without it is returned as it is.

    Raises:
        UsageError: they are more than 100,000, or count backwards.
    """
    match = _BRACES.search(name)
    if match is None:
        return [name]
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < _MAX_SHARDS:
        raise UsageError(
            f"{name}: {match[0]} must count upwards, to at most {_MAX_SHARDS:,} files."
        )
    width = len(match[1])
    return [
        f"{name[: match.start()]}{number:0{width}}{name[match.end() :]}"
        for number in range(first, last + 1)
    ]
