"""What the formats of data sets have in common: a raw record, and what one data set gave.

A record is a line or entry about a photo or clip, before anyone looked whether the file is there.
Formats give records; :mod:`negah.data.assemble` makes examples of them, and
:mod:`negah.data.caption_files` captions to be scored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from negah.data.examples import Problem, Span
from negah.media.kinds import is_clip


@dataclass(slots=True)
class Record:
    """One line or entry: captions of a photo, of a clip, or of a span of a clip.

    Attributes:
        name: what the data set calls the photo or clip. Records of equal name and span are about
            the same one, and their captions are joined in order.
        captions: as they stand; an empty one is left out and reported. None at all only lists
            the photo or clip.
        files: paths below the folder of the pictures under which to look for it, best first, with
            ``/``; by default the name. Empty where no file is known of it.
        split: its part, one of :data:`~negah.data.examples.SPLITS`; None leaves it open.
        span: from, to, in seconds, of a clip; None for all of it, and for photos.
        where: it stands, for messages ("line 3").
    """

    name: str
    captions: Sequence[str]
    files: Sequence[str] | None = None
    split: str | None = None
    span: Span = None
    where: str = ""

    def __post_init__(self) -> None:
        if self.files is None:
            self.files = (self.name,)

    @property
    def names(self) -> Sequence[str]:
        """The files, or the name where no file is known."""
        return self.files or (self.name,)


@dataclass(slots=True)
class Reading:
    """What one data set gave.

    Attributes:
        records: in the order of the data set.
        folders: where the photos and clips may be, best guess first.
        problems: what was left out, with :data:`~negah.data.examples.LEFT_OUT` kinds for lines
            and entries that could not be used.
        rows: how many captions it has, those left out among them.
        by_line: line n is image n, so that names mean nothing.
        unpack: of a data set that holds its pictures: writes them as files, once, and gives their
            folder. Called only where pictures are needed.
    """

    records: list[Record]
    folders: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows: int = 0
    by_line: bool = False
    unpack: Callable[[], Path] | None = None


def noun(name: str) -> str:
    """What a file is called in messages: "clip" or, with any other suffix, "image"."""
    return "clip" if is_clip(name) else "image"
