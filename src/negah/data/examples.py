"""What a captioned data set is once it has been read: examples, and what was wrong.

A data set is a list of pictures, each with all its captions and the one part it
belongs to. The unit is the picture, never the caption: no reader can put two
captions of one picture into different parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from negah.errors import UnknownNameError

#: The parts of a data set. ``none`` holds pictures that the official lists leave out.
SPLITS = ("train", "dev", "test", "none")

_SYNONYMS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "restval": "train",  # Karpathy's name for the COCO val pictures that one may train on
    "dev": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
    "none": "none",
}


def split_name(given: str) -> str | None:
    """The part that a data set calls ``given`` ("val" is dev), or None for an unknown word."""
    return _SYNONYMS.get(given.strip().lower())


@dataclass(frozen=True, slots=True)
class Example:
    """One picture with its captions.

    Attributes:
        name: unique in its data set: the picture's path below the images folder, with ``/``.
        path: the file.
        captions: as written by people, stripped of outer white space; never empty.
        split: ``train``, ``dev``, ``test`` or ``none``.
    """

    name: str
    path: Path
    captions: tuple[str, ...]
    split: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a data set and was worked around by leaving it out.

    Attributes:
        kind: ``missing image``, ``unsafe name``, ``empty caption``, ``no caption``,
            ``malformed line`` or ``unknown name``.
        name: the picture or line concerned.
        message: what is wrong, in a clause.
    """

    kind: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}: {self.message}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Captioned pictures, in the order in which they were read.

    Attributes:
        name: what to call it in reports.
        examples: the pictures that can be used; every file was there when it was read.
        problems: what was left out, and why.
    """

    name: str
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...] = ()

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
