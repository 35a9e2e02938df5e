"""What the readers of the different formats have in common: a raw record, and text files.

A record is a photo or a clip as a caption file names it, before anyone looked whether the
file is there. Readers give records; :mod:`negah.data.assemble` makes examples of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from negah.data.examples import Problem, Span, with_span
from negah.errors import DataError
from negah.media.sources import is_clip

#: How the files of MSVD and MSR-VTT end, whose caption files do not tell.
CLIP_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv")

_CLIP_FOLDERS = (
    *("clips", "videos", "Videos", "videos/all"),
    "YouTubeClips",  # MSVD's archive
    *("TrainValVideo", "TestVideo"),  # MSR-VTT's archives
)


@dataclass(slots=True)
class Record:
    """One photo, clip, or span of a clip as a caption file has it.

    Attributes:
        names: paths below the images folder under which to look for it, best first.
        captions: as in the file.
        split: one of :data:`~negah.data.examples.SPLITS`; None where the file leaves it open.
        span: from, to, in seconds; None for all of it.
    """

    names: Sequence[str]
    captions: list[str]
    split: str | None = None
    span: Span = None


@dataclass(slots=True)
class Reading:
    """What one caption file gave.

    Attributes:
        records: one per name and span, in order of first appearance.
        folders: where the pictures may be, best guess first.
        problems: what was left out.
    """

    records: list[Record]
    folders: list[Path]
    problems: list[Problem] = field(default_factory=list)


class RecordTable:
    """Gathers captions that come one by one into one record per picture or span."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._records: dict[tuple[str, Span], Record] = {}

    def add(
        self,
        name: str,
        captions: Sequence[str],
        split: str | None,
        where: str,
        *,
        span: Span = None,
        names: Sequence[str] = (),
    ) -> None:
        """Add captions to picture ``name``, or to a span of it.

        Args:
            name: what the caption file calls it.
            captions: as in the file.
            split: its part; None where the file leaves it open.
            where: the line or entry, for messages.
            span: from, to, in seconds; None for all of it.
            names: paths under which to look for it, best first; default: ``name`` alone.

        Raises:
            DataError: ``split`` contradicts what an earlier line said of the same picture.
        """
        record = self._records.get((name, span))
        if record is None:
            record = self._records[name, span] = Record(names or (name,), [], split, span)
        if record.split is None:
            record.split = split
        elif split is not None and split != record.split:
            thing = noun(record.names[0])
            raise DataError(
                f"{self._source}, {where}: {thing} {with_span(name, span)!r} is in two parts, "
                f"{record.split} and {split}. All captions of one {thing} must be in one part."
            )
        record.captions.extend(captions)

    def records(self) -> list[Record]:
        """In order of first appearance."""
        return list(self._records.values())


def clip_names(stems: Sequence[str], suffixes: Sequence[str] = CLIP_SUFFIXES) -> tuple[str, ...]:
    """The names that the file of a clip may have of which a caption file gives no suffix."""
    return tuple(f"{stem}{suffix}" for stem in stems for suffix in suffixes)


def clip_folders(folder: Path) -> list[Path]:
    """Where the clips of a caption file in ``folder`` may be, the usual names first."""
    near = [folder / name for name in _CLIP_FOLDERS]
    return [*near, folder, *(folder.parent / name for name in _CLIP_FOLDERS)]


def noun(name: str) -> str:
    """What a file is called in messages: "clip" or, with any other suffix, "image"."""
    return "clip" if is_clip(name) else "image"


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
