"""What a captioned data set is once it has been read: examples, and what was wrong.

A data set is a list of pictures, photos or clips, each with all its captions and the
one part it belongs to. The unit is the picture, never the caption: no reader can put two
captions of one picture into different parts. Of a clip, a span of time can be a unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from negah.errors import UnknownNameError
from negah.media.kinds import is_clip
from negah.split import Division

#: Where in a clip the captions belong: from, to, in seconds; ``None`` is all of it.
Span: TypeAlias = tuple[float, float] | None

#: The parts of a data set. ``none`` holds pictures that the official lists leave out.
SPLITS = ("train", "dev", "test", "none")
#: In place of a part, until :mod:`negah.data.division` gives one.
OPEN = ""

#: Kinds of problems that are the caption file's own; files that are not there are no fault of it.
LEFT_OUT = ("malformed line", "empty caption", "unsafe name", "unknown name", "unreadable name")

#: So many problems are named in one line.
_NAMED = 5

_SYNONYMS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "restval": "train",  # Karpathy's name for the COCO val pictures that one may train on
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "validate": "dev",  # MSR-VTT
    "test": "test",
    "testing": "test",
    "none": "none",
}


def split_name(given: str) -> str | None:
    """The part that a data set calls ``given`` ("val" is dev), or None for an unknown word."""
    return _SYNONYMS.get(given.strip().lower())


def with_span(name: str, span: Span) -> str:
    """``name`` with its span in seconds as a W3C media fragment: ``day.mp4#t=10,25.5``."""
    return name if span is None else f"{name}#t={span[0]:.15g},{span[1]:.15g}"


def nouns(examples: Sequence[Example], photo: str = "image") -> str:
    """What they are, in the plural: "images", "clips", or "images and clips"."""
    kinds = {example.is_clip for example in examples}
    return {frozenset({True}): "clips", frozenset({True, False}): f"{photo}s and clips"}.get(
        frozenset(kinds), f"{photo}s"
    )


@dataclass(frozen=True, slots=True)
class Example:
    """One photo or clip, or a span of a clip, with its captions.

    Attributes:
        name: unique in its data set: the file's path below the images folder, with ``/``,
            and the span if there is one (``day.mp4#t=10,25``).
        path: the file.
        captions: as written by people, stripped of outer white space; never empty.
        split: ``train``, ``dev``, ``test`` or ``none``.
        span: the part of a clip that the captions are about, in seconds; None for all of it.
    """

    name: str
    path: Path
    captions: tuple[str, ...]
    split: str
    span: Span = None

    @property
    def is_clip(self) -> bool:
        """Whether the file is a clip, by its suffix; else it is a photo."""
        return is_clip(self.path)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a data set and was worked around by leaving it out.

    Attributes:
        kind: ``missing image``, ``missing clip``, ``unsafe name``, ``empty caption``,
            ``no caption``, ``malformed line`` or ``unknown name``.
        name: the picture or line concerned.
        message: what is wrong, in a clause.
        rows: how many captions it costs.
    """

    kind: str
    name: str
    message: str
    rows: int = 1

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}: {self.message}"


def left_out_line(problems: Sequence[Problem], rows: int) -> str:
    """One line on what was left out: how much of how much, and the first few by name."""
    count = sum(problem.rows for problem in problems)
    named = "; ".join(f"{problem.name}: {problem.message}" for problem in problems[:_NAMED])
    more = f"; and {len(problems) - _NAMED:,} more" if len(problems) > _NAMED else ""
    return f"left out: {count:,} of {rows:,} rows: {named}{more}"


@dataclass(frozen=True, slots=True)
class Missing:
    """What a caption file lists of one part without the files being there.

    Attributes:
        files: photos, clips or spans of clips.
        captions: of these.
    """

    files: int
    captions: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Captioned pictures, in the order in which they were read.

    Attributes:
        name: what to call it in reports.
        examples: the pictures that can be used; every file was there when it was read.
        problems: what was left out, and why.
        missing: by part, what is captioned but not there; parts of which nothing is missing, and
            pictures without a part, are absent.
        division: how it was divided; None where pictures without a part were all taken for train,
            and the part train as a whole.
        rows: how many lines or entries with captions were read, those left out among them.
    """

    name: str
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...] = ()
    missing: Mapping[str, Missing] = field(default_factory=dict)
    division: Division | None = None
    rows: int = 0

    @property
    def left_out(self) -> tuple[Problem, ...]:
        """What could not be read, other than files that are not there: a table to be mended."""
        return tuple(problem for problem in self.problems if problem.kind in LEFT_OUT)

    def __len__(self) -> int:
        return len(self.examples)

    def split(self, name: str) -> list[Example]:
        """The examples of one part, in order; ``val`` and other synonyms are understood.

        Raises:
            UnknownNameError: ``name`` is no part.
        """
        part = split_name(name)
        if part is None:
            raise UnknownNameError("split", name, SPLITS)
        return [example for example in self.examples if example.split == part]

    def captions(self, split: str) -> list[str]:
        """All captions of one part, picture by picture."""
        return [caption for example in self.split(split) for caption in example.captions]
