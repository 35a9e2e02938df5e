"""Captioned data sets in memory: examples, and problems found when reading.

A data set is a list of pictures, photos or clips, each with all its captions and its part. The unit
is the picture, not the caption, so captions of one picture are never in different parts. A span of
a clip can also be a unit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from negah.errors import UnknownNameError, UsageError
from negah.media.kinds import is_clip
from negah.split import Division

#: The span of a clip that the captions are about: start and end in seconds; ``None`` is the whole
#: clip.
Span: TypeAlias = tuple[float, float] | None

#: The parts of a data set. ``none`` holds pictures that the official lists leave out.
SPLITS = ("train", "dev", "test", "none")
#: Placeholder until :mod:`negah.data.division` assigns a part.
OPEN = ""

#: Kinds of problems of the caption file itself, as opposed to missing files.
LEFT_OUT = ("malformed line", "empty caption", "unsafe name", "unknown name", "unreadable name")

#: Maximum number of problems listed in one line.
_NAMED = 5

_SYNONYMS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "restval": "train",  # Karpathy's name for the COCO val pictures that are used for training
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
    """The part that a data set calls ``given`` ("val" is dev), or None for an unknown name."""
    return _SYNONYMS.get(given.strip().lower())


def with_span(name: str, span: Span) -> str:
    """``name`` with its span in seconds as a W3C media fragment: ``day.mp4#t=10,25.5``."""
    return name if span is None else f"{name}#t={span[0]:.15g},{span[1]:.15g}"


def nouns(examples: Sequence[Example], photo: str = "image") -> str:
    """The plural noun for some examples: "images", "clips", or "images and clips"."""
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
        """Whether the file is a clip, judged by its suffix; otherwise it is a photo."""
        return is_clip(self.path)


def common_folder(examples: Sequence[Example]) -> Path:
    """The folder that all files are below, links followed.

    Raises:
        UsageError: they are on different drives.
    """
    try:
        return Path(os.path.commonpath([example.path.resolve().parent for example in examples]))
    except ValueError:
        raise UsageError("the photos are on different drives: put them on one") from None


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in a data set whose picture or line was left out.

    Attributes:
        kind: ``missing image``, ``missing clip``, ``unsafe name``, ``empty caption``,
            ``no caption``, ``malformed line`` or ``unknown name``.
        name: the picture or line concerned.
        message: what is wrong, in a clause.
        rows: number of captions lost.
    """

    kind: str
    name: str
    message: str
    rows: int = 1

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}: {self.message}"


def left_out_line(problems: Sequence[Problem], rows: int) -> str:
    """One line on what was left out: the number of rows, and the names of the first few."""
    count = sum(problem.rows for problem in problems)
    named = "; ".join(f"{problem.name}: {problem.message}" for problem in problems[:_NAMED])
    more = f"; and {len(problems) - _NAMED:,} more" if len(problems) > _NAMED else ""
    return f"left out: {count:,} of {rows:,} rows: {named}{more}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Files of one part that a caption file lists but that do not exist.

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
        name: for reports. examples: the pictures that can be used; every file was there when it was
            read.
        problems: what was left out, and why.
        missing: by part, captioned files that do not exist; parts without missing files, and
            pictures without a part, are absent.
        division: how it was split; None if all pictures without a part were assigned to train and
            nothing was held out.
        rows: number of lines or entries with captions that were read, including those left out.
        files: the caption file, or the shards.
    """

    name: str
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...] = ()
    missing: Mapping[str, Missing] = field(default_factory=dict)
    division: Division | None = None
    rows: int = 0
    files: tuple[Path, ...] = ()

    @property
    def left_out(self) -> tuple[Problem, ...]:
        """Problems of the caption file itself, other than missing files."""
        return tuple(problem for problem in self.problems if problem.kind in LEFT_OUT)

    def __len__(self) -> int:
        return len(self.examples)

    def split(self, name: str) -> list[Example]:
        """The examples of one part, in order; ``val`` and other synonyms are understood.

        Raises:
            UnknownNameError: ``name`` is not a part.
        """
        part = split_name(name)
        if part is None:
            raise UnknownNameError("split", name, SPLITS)
        return [example for example in self.examples if example.split == part]

    def captions(self, split: str) -> list[str]:
        """All captions of one part, picture by picture."""
        return [caption for example in self.split(split) for caption in example.captions]
