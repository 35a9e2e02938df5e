"""Reading captioned data sets in any format of :mod:`negah.data.formats`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from negah.data.assemble import assemble
from negah.data.division import divide
from negah.data.examples import SPLITS, Dataset, Missing
from negah.data.formats import FORMATS, Format, Source, format_named, identify, locate
from negah.data.formats.coco import LAYOUT as COCO
from negah.data.formats.karpathy import LAYOUT as KARPATHY
from negah.data.formats.msrvtt import LAYOUT as MSRVTT
from negah.errors import DataError, UsageError
from negah.split import Division, SplitPolicy

#: Generic file names: the data set is named after the folder instead.
_GENERIC_STEMS = ("Flickr8k.token", "captions", "youtube_video_to_id_mapping", "metadata")


def load_dataset(
    path: str | Path,
    *,
    images: str | Path | None = None,
    format: str | None = None,  # noqa: A002 - the word that users know
    split: SplitPolicy | None = None,
    name: str | None = None,
) -> Dataset:
    """Read one captioned data set.

    Args:
        path: a caption file, a folder that holds one, or shards (``data-{000..009}.tar``).
        images: the folder of the photos or clips; by default ``Images/``, ``clips/`` and similar
            folders next to the caption file.
        format: one of :data:`~negah.data.formats.FORMATS`; by default detected from the content.
        split: how it is split, ``SplitPolicy()`` as in ``negah train``; None keeps the given parts,
            and examples without one are train.
        name: of the data set; by default that of the folder or file.

    Returns:
        the usable pictures, and the problems of the others.

    Raises:
        DataError: the path does not exist, the layout is unknown or malformed, a picture is in two
            parts, or no picture can be used.
        UsageError: an option is invalid.
    """
    return divide([_assembled(Path(path), images, format, name)], split)[0]


def load_each(
    paths: Sequence[str | Path],
    *,
    images: Sequence[str | Path | None] = (),
    split: SplitPolicy | None = None,
) -> list[Dataset]:
    """Read data sets for separate reporting, but split them as if they were one.

    Args:
        paths: as for :func:`load_dataset`.
        images: the folders of their photos or clips, one for each; if empty, all are searched for.
        split: as for :func:`load_dataset`. The part train is divided only where none of the data
            sets has a part dev.

    Raises:
        DataError, UsageError: as :func:`load_dataset`.
    """
    folders = images or [None] * len(paths)
    found = [
        _assembled(Path(path), folder, None, None)
        for path, folder in zip(paths, folders, strict=True)
    ]
    return divide(found, split)


def load_datasets(
    paths: Sequence[str | Path],
    *,
    images: Sequence[str | Path | None] = (),
    split: SplitPolicy | None = None,
    name: str | None = None,
) -> Dataset:
    """Read several data sets as :func:`load_each` does, and join them.

    With more than one, every example's name gets its data set's name in front
    (``coco/000000000009.jpg``), so that equal file names do not collide; two data sets of equal
    name become ``name`` and ``name-2``. :func:`~negah.data.splits.check_no_leak` checks whether
    they share pictures.

    Raises:
        DataError: as :func:`load_dataset`.
        UsageError: ``paths`` is empty, or an option is invalid.
    """
    if not paths:
        raise UsageError("no data set is given; give at least one folder or caption file.")
    parts = load_each(paths, images=images, split=split)
    if len(parts) == 1:
        return parts[0] if name is None else replace(parts[0], name=name)
    return merge(parts, name=name)


def merge(parts: Sequence[Dataset], *, name: str | None = None) -> Dataset:
    """Join data sets as :func:`load_datasets` does; each picture keeps the part that it has."""
    names: list[str] = []
    for part in parts:
        unique, count = part.name, 1
        while unique in names:
            count += 1
            unique = f"{part.name}-{count}"
        names.append(unique)
    labelled = list(zip(names, parts, strict=True))
    examples = [
        replace(example, name=f"{label}/{example.name}")
        for label, part in labelled
        for example in part.examples
    ]
    problems = [
        replace(problem, name=f"{label}/{problem.name}")
        for label, part in labelled
        for problem in part.problems
    ]
    missing = {
        split: Missing(sum(one.files for one in found), sum(one.captions for one in found))
        for split in SPLITS
        if (found := [part.missing[split] for part in parts if split in part.missing])
    }
    joined = "+".join(names) if name is None else name
    divisions = [part.division for part in parts if part.division is not None]
    division = Division.total(divisions) if len(divisions) == len(parts) else None
    rows = sum(part.rows for part in parts)
    files = tuple(path for part in parts for path in part.files)
    return Dataset(joined, tuple(examples), tuple(problems), missing, division, rows, files)


def _assembled(
    given: Path, images: str | Path | None, format_name: str | None, name: str | None
) -> Dataset:
    """One data set, with parts not yet assigned."""
    if format_name is not None:
        FORMATS.get(format_name)
    source = locate(given)
    form = _format(source) if format_name is None else format_named(format_name, source)
    return assemble(
        name if name is not None else _name(given, source),
        source,
        form.read(source),
        images=None if images is None else Path(images),
    )


def _format(source: Source) -> Format:
    """The format of a data set; a file that no format recognises is taken for a table.

    Raises:
        DataError: it is JSON of unknown layout, or not text.
    """
    form = identify(source, by_line=False)
    if form is not None:
        return form
    if source.is_binary:
        raise DataError(
            f"{source.label}: not a data set. Binary files may be tar files of a "
            "webdataset (key.jpg with key.txt or key.json) and Parquet files."
        )
    if not source.is_json or source.is_json_lines:
        return FORMATS.get("table")
    content: Any = source.json
    if isinstance(content, dict):
        raise DataError(
            f"{source.label}: unknown layout. {KARPATHY} {COCO} {MSRVTT} "
            "A table as JSON lines needs one object with image and caption per line."
        )
    kind = "null" if content is None else type(content).__name__
    raise DataError(
        f"{source.label}: holds a JSON {kind}, not an object. For a table, "
        "write one object with image and caption per line (JSON lines)."
    )


def _name(given: Path, source: Source) -> str:
    """``flickr8k`` for the folder, ``photos`` for photos.csv, ``coco`` for coco/captions.csv."""
    resolved = given.resolve()
    if resolved.is_dir():
        return resolved.name
    if len(source.paths) > 1 or resolved.stem in _GENERIC_STEMS:
        return resolved.parent.name
    return resolved.stem
