"""A list of paths with little memory: a ``Path`` takes half a kilobyte, and an archive may have a
million."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload


class PathList(Sequence[Path]):
    """A sequence of paths, each created on access.

    Args:
        paths: stored as strings where that preserves them.
    """

    __slots__ = ("_texts",)

    def __init__(self, paths: Iterable[str | os.PathLike[str]] = ()) -> None:
        if isinstance(paths, PathList):
            self._texts: list[str] = paths._texts  # never changed
        else:
            self._texts = [os.fspath(path) for path in paths]

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self._texts)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> PathList: ...
    def __getitem__(self, index: int | slice) -> Path | PathList:
        found = self._texts[index]
        return Path(found) if isinstance(found, str) else PathList(found)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | PathList):
            return NotImplemented
        return len(self) == len(other) and all(map(Path.__eq__, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PathList({self._texts!r})"
