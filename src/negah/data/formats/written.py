"""Helpers shared by the writers of formats."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from negah.data.examples import Example, with_span
from negah.errors import DataError


def file_name(example: Example, folder: Path) -> str:
    """The file's path below ``folder``, links followed, with ``/``."""
    return example.path.resolve().relative_to(folder).as_posix()


def media_name(example: Example) -> str:
    """The example's name without the span, with the suffix of its file."""
    suffix = with_span("", example.span)
    return example.name.removesuffix(suffix) if suffix else example.name


def read_media(example: Example) -> bytes:
    """The bytes of its file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return example.path.read_bytes()
    except OSError as error:
        raise DataError(f"{example.path}: cannot be read: {error.strerror}.") from None


def plain_row(example: Example) -> dict[str, Any]:
    """Captions, part and span as a JSON row."""
    row: dict[str, Any] = {"captions": list(example.captions), "split": example.split}
    if example.span is not None:
        row["start"], row["end"] = example.span
    return row


class UniqueNames:
    """Unique names: a repeated name gets ``-2`` before its suffix.

    Args:
        taken: names that must not be used.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.casefold() for name in taken}
        self._last_numbers: dict[str, int] = {}

    def of(self, wanted: str) -> str:
        """The requested name, or a variant if it is taken (ignoring case)."""
        path = PurePosixPath(wanted)
        key = wanted.casefold()
        name, number = wanted, self._last_numbers.get(key, 1)
        while name.casefold() in self._taken:
            number += 1
            name = str(path.with_name(f"{path.stem}-{number}{path.suffix}"))
        self._taken.add(name.casefold())
        self._last_numbers[key] = number
        return name
