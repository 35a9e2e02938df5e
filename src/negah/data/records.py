"""What the readers of the different formats have in common: a raw record.

A record is a photo or a clip as a caption file names it, before anyone looked whether the
file is there. Readers give records; :mod:`negah.data.assemble` makes examples of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from negah.data.examples import Problem, Span, with_span
from negah.errors import DataError
from negah.media.kinds import is_clip

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
        rows: how many lines or entries with captions it has, those left out among them.
    """

    records: list[Record]
    folders: list[Path]
    problems: list[Problem] = field(default_factory=list)
    rows: int = 0


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
