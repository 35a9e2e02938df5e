"""Matching of hypotheses and references of the same images.

Files from different tools name the same image differently: COCO's id, its file name, a path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from negah.data.caption_files import CaptionFile
from negah.data.image_names import ImageNames
from negah.errors import DataError


@dataclass(frozen=True, slots=True)
class Pairs:
    """Hypotheses with their references.

    Attributes:
        hypotheses: one caption for each image, by the name and in the order of the references.
        references: of the same images, in the same order.
        left_out: images with references but without a hypothesis, which are not scored.
        names: the names in the hypotheses of images that the references name differently.
    """

    hypotheses: Mapping[str, str]
    references: Mapping[str, Sequence[str]]
    left_out: int
    names: Mapping[str, str] = field(default_factory=dict)


def pair(hypotheses: CaptionFile, references: CaptionFile, *, subset: bool = False) -> Pairs:
    """Find the references of every hypothesis.

    Images are found as :class:`~negah.data.image_names.ImageNames` finds them.

    Args:
        hypotheses: as :func:`read_hypotheses` gives them.
        references: as :func:`read_references` gives them.
        subset: leave out images that have references and no hypothesis.

    Raises:
        DataError: an image lacks references or, without ``subset``, a hypothesis; two hypotheses
            are for one image; or one file is matched by line and the other by name.
    """
    theirs = references.captions
    if hypotheses.by_line or references.by_line:
        _check_lines(hypotheses, references)
        names = {name: name for name in theirs}
    else:
        names = _names(hypotheses, references)
    found: dict[str, str] = {}
    called: dict[str, str] = {}
    for given, name in names.items():
        if name in found:
            raise DataError(
                f"{hypotheses.source}: two captions are for image {name!r:.80} of "
                f"{references.source} (one is called {given!r:.80}). Give one for each image."
            )
        found[name] = hypotheses.captions[given][0]
        called[name] = given
    missing = [name for name in theirs if name not in found]
    if missing and not subset:
        raise DataError(
            f"{len(missing):,} of the {len(theirs):,} images in {references.source} have no "
            f"caption in {hypotheses.source} ({_abridged(missing)}). Caption them too, or name one "
            "part of the references with --split, or score those that have one with --subset."
        )
    images = [name for name in theirs if name in found]
    return Pairs(
        {name: found[name] for name in images},
        {name: theirs[name] for name in images},
        len(missing),
        {name: called[name] for name in images if called[name] != name},
    )


def _check_lines(hypotheses: CaptionFile, references: CaptionFile) -> None:
    if hypotheses.by_line != references.by_line:
        plain, named = (hypotheses, references) if hypotheses.by_line else (references, hypotheses)
        raise DataError(
            f"{plain.source} is plain text, matched by line, and {named.source} names its images. "
            f"Give both as plain text, or both with names: JSON, or a table with image and "
            "caption."
        )
    lines = len(hypotheses.captions), len(references.captions)
    if lines[0] != lines[1]:
        raise DataError(
            f"{hypotheses.source} has {lines[0]:,} lines and {references.source} {lines[1]:,}. "
            "Line n of both belongs to image n, so both need the same number of lines."
        )


def _names(hypotheses: CaptionFile, references: CaptionFile) -> dict[str, str]:
    """The name in the references of each hypothesis's image."""
    theirs = ImageNames(references.captions, references.aliases)
    aliases: dict[str, list[str]] = {}
    for alias, image in hypotheses.aliases.items():
        if image is not None:
            aliases.setdefault(image, []).append(alias)
    names: dict[str, str] = {}
    unknown: list[str] = []
    for given in hypotheses.captions:
        name = theirs.find([given, *aliases.get(given, ())])
        if name is None or name not in references.captions:  # COCO lists images without captions
            unknown.append(given)
        else:
            names[given] = name
    if unknown:
        raise DataError(
            f"{len(unknown):,} of the {len(hypotheses.captions):,} images in {hypotheses.source} "
            f"have no references in {references.source} ({_abridged(unknown)}); there, images are "
            f"called {_abridged(list(references.captions))}."
        )
    return names


def _abridged(names: Sequence[str]) -> str:
    return ", ".join(f"{name!r:.80}" for name in names[:3]) + (", ..." if len(names) > 3 else "")
