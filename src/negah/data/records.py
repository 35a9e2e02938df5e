"""Raw records: the common result of all data set formats.

A record is a line or entry about a photo or clip, before its file is looked up.
:mod:`negah.data.assemble` turns records into examples, and :mod:`negah.data.caption_files` into
captions for scoring.
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
        name: of the photo or clip in the data set. Records of equal name and span are about the
            same one, and their captions are joined in order.
        captions: as given; an empty one is left out and reported. An empty list only lists the
            photo or clip.
        files: paths below the folder of the pictures under which to look for it, best first, with
            ``/``; by default the name. Empty if no file is known.
        split: its part, one of :data:`~negah.data.examples.SPLITS`; None leaves it open.
        span: from, to, in seconds, of a clip; None for all of it, and for photos.
        where: its position, for messages ("line 3").
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
        """The files, or the name if no file is known."""
        return self.files or (self.name,)


@dataclass(slots=True)
class Reading:
    """The result of reading one data set.

    Attributes:
        records: in the order of the data set.
        folders: where the photos and clips may be, best guess first.
        problems: what was left out, with :data:`~negah.data.examples.LEFT_OUT` kinds for lines
            and entries that could not be used.
        rows: number of captions, including those left out.
        by_line: whether line n belongs to image n and names have no meaning.
        unpack: for a data set with embedded pictures: writes them to files, once, and returns their
            folder. Called only if pictures are needed.
    """

    records: list[Record]
    folders: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows: int = 0
    by_line: bool = False
    unpack: Callable[[], Path] | None = None


def noun(name: str) -> str:
    """The noun for a file in messages: "clip" or, with any other suffix, "image"."""
    return "clip" if is_clip(name) else "image"
