"""Whose references are these? Hypotheses and references of the same images, brought together.

Files from different tools call one image by different names: COCO's id, its file name, a path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from negah.data.caption_files import CaptionFile
from negah.errors import DataError
from negah.media.kinds import IMAGE_SUFFIXES
from negah.media.sources import VIDEO_SUFFIXES

#: COCO's file names end in the image's number: COCO_val2014_000000391895.jpg.
_COCO_NUMBER = re.compile(r"(?:^|_)(\d{12})$")
_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES


@dataclass(frozen=True, slots=True)
class Pairs:
    """Hypotheses with their references.

    Attributes:
        hypotheses: one caption for each image, by the name and in the order of the references.
        references: of the same images, in the same order.
        left_out: images with references that are not scored, having no hypothesis.
    """

    hypotheses: Mapping[str, str]
    references: Mapping[str, Sequence[str]]
    left_out: int


def pair(hypotheses: CaptionFile, references: CaptionFile, *, subset: bool = False) -> Pairs:
    """Find the references of every hypothesis.

    An image may be called by its name in the references, by an alias there, by its file name
    without folders or suffix, or by the number in a file name of COCO.

    Args:
        hypotheses: as :func:`read_hypotheses` gives them.
        references: as :func:`read_references` gives them.
        subset: leave out images that have references and no hypothesis.

    Raises:
        DataError: an image lacks references or, without ``subset``, a hypothesis; two hypotheses
            are for one image; or one file goes by line and the other by name.
    """
    theirs = references.captions
    if hypotheses.by_line or references.by_line:
        _check_lines(hypotheses, references)
        names = {name: name for name in theirs}
    else:
        names = _names(hypotheses, references)
    found: dict[str, str] = {}
    for given, name in names.items():
        if name in found:
            raise DataError(
                f"{hypotheses.source}: two captions are for image {name!r:.80} of "
                f"{references.source} (one is called {given!r:.80}). Give one for each image."
            )
        found[name] = hypotheses.captions[given][0]
    missing = [name for name in theirs if name not in found]
    if missing and not subset:
        raise DataError(
            f"{len(missing):,} of the {len(theirs):,} images in {references.source} have no "
            f"caption in {hypotheses.source} ({_some(missing)}). Caption them too, or name one "
            "part of the references with --split, or score those that have one with --subset."
        )
    images = [name for name in theirs if name in found]
    return Pairs(
        {name: found[name] for name in images},
        {name: theirs[name] for name in images},
        len(missing),
    )


def _check_lines(hypotheses: CaptionFile, references: CaptionFile) -> None:
    if hypotheses.by_line != references.by_line:
        plain, named = (hypotheses, references) if hypotheses.by_line else (references, hypotheses)
        raise DataError(
            f"{plain.source} is plain text, which goes by line, and {named.source} names its "
            "images. Give both as plain text, or both with names: JSON, or a table with image and "
            "caption."
        )
    lines = len(hypotheses.captions), len(references.captions)
    if lines[0] != lines[1]:
        raise DataError(
            f"{hypotheses.source} has {lines[0]:,} lines and {references.source} {lines[1]:,}. "
            "Line n of both belongs to image n, so both need as many."
        )


def _names(hypotheses: CaptionFile, references: CaptionFile) -> dict[str, str]:
    """The references' name of each hypothesis's image."""
    others = _other_names(references)
    names: dict[str, str] = {}
    unknown: list[str] = []
    for given in hypotheses.captions:
        spellings = (given, *_spellings(given))
        direct = next((name for name in spellings if name in references.captions), None)
        name = direct or next((others[name] for name in spellings if name in others), None)
        if name is None:
            unknown.append(given)
        else:
            names[given] = name
    if unknown:
        raise DataError(
            f"{len(unknown):,} of the {len(hypotheses.captions):,} images in {hypotheses.source} "
            f"have no references in {references.source} ({_some(unknown)}); there, images are "
            f"called {_some(list(references.captions))}."
        )
    return names


def _other_names(references: CaptionFile) -> dict[str, str]:
    """What the images may be called besides; a name that two images share is none."""
    named = [(other, name) for other, name in references.aliases.items()]
    named += [(other, name) for name in references.captions for other in _spellings(name)]
    found: dict[str, str | None] = {}
    for other, name in named:
        if found.setdefault(other, name) != name:
            found[other] = None
    return {other: name for other, name in found.items() if name is not None}


def coco_number(name: str) -> int | None:
    """The image's number, which COCO's names end in (COCO_val2014_000000391895.jpg); else None."""
    number = _COCO_NUMBER.search(_stem(name))
    return int(number[1]) if number else None


def _spellings(name: str) -> list[str]:
    """Without folders, without suffix, and COCO's number."""
    number = coco_number(name)
    return [_path(name).name, _stem(name), *([] if number is None else [str(number)])]


def _stem(name: str) -> str:
    path = _path(name)
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"{name!r:.80}" for name in names[:3]) + (", ..." if len(names) > 3 else "")
