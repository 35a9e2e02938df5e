"""What the readers of the different formats have in common: a raw record, and text files.

A record is a picture as a caption file names it, before anyone looked whether the
file is there. Readers give records; :mod:`negah.data.assemble` makes examples of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from negah.data.examples import Problem
from negah.errors import DataError


@dataclass(slots=True)
class Record:
    """One picture as a caption file has it.

    Attributes:
        names: paths below the images folder under which to look for it, best first.
        captions: as in the file.
        split: one of :data:`~negah.data.examples.SPLITS`; None where the file leaves it open.
    """

    names: Sequence[str]
    captions: list[str]
    split: str | None = None


@dataclass(slots=True)
class Reading:
    """What one caption file gave.

    Attributes:
        records: one per picture name, in order of first appearance.
        folders: where the pictures may be, best guess first.
        problems: what was left out.
    """

    records: list[Record]
    folders: list[Path]
    problems: list[Problem] = field(default_factory=list)


class RecordTable:
    """Gathers captions that come one by one into one record per picture."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._records: dict[str, Record] = {}

    def add(self, name: str, captions: Sequence[str], split: str | None, where: str) -> None:
        """Add captions to picture ``name``.

        Raises:
            DataError: ``split`` contradicts what an earlier line said of the same picture.
        """
        record = self._records.setdefault(name, Record((name,), [], split))
        if record.split is None:
            record.split = split
        elif split is not None and split != record.split:
            raise DataError(
                f"{self._source}, {where}: image {name!r} is in two parts, {record.split} and "
                f"{split}. All captions of one image must be in one part."
            )
        record.captions.extend(captions)

    def records(self) -> list[Record]:
        """In order of first appearance."""
        return list(self._records.values())


def read_utf8(path: Path) -> str:
    """The text of a file, with or without a byte order mark, all line ends as ``\\n``.

    Raises:
        DataError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 text (byte {error.start}). Save the file with UTF-8 encoding."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


def parse_json(text: str, where: str) -> Any:
    """Parse JSON from a file that anyone may have written.

    Raises:
        DataError: not JSON, or nested or sized absurdly. ``where`` leads the message.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not usable JSON: {error}.") from None
