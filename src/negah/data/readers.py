"""Reading captioned data sets, in whatever layout they come.

``load_dataset`` looks at what a path is and picks the reader:

    flickr8k   Flickr8k.token.txt with the official lists, or the folder that holds it
    table      CSV, TSV, JSON lines or a JSON list with image (or video, clip, path, file_name or an
               id), caption and optional split, start and end; as `negah caption` writes them too
    karpathy   dataset_*.json
    coco       captions_*.json
    msvd       sents_*_lc_nopunc.txt with youtube_video_to_id_mapping.txt, or video_corpus.csv
    msrvtt     *_videodatainfo.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from negah.data.annotations import read_coco, read_karpathy
from negah.data.assemble import assemble
from negah.data.division import divide
from negah.data.examples import SPLITS, Dataset, Missing
from negah.data.flickr import TOKEN_FILE, read_flickr8k
from negah.data.msrvtt import is_msrvtt, read_msrvtt
from negah.data.msvd import MAPPING_FILE, SENTENCE_FILES, is_msvd, read_msvd
from negah.data.records import Reading
from negah.data.rows import NAME_KEYS, is_json_lines, parse_json
from negah.data.tables import read_table
from negah.errors import DataError, UnknownNameError, UsageError
from negah.split import Division, SplitPolicy
from negah.textfiles import check_utf8, read_text

FORMATS = ("coco", "flickr8k", "karpathy", "msrvtt", "msvd", "table")

_TABLE_NAMES = tuple(f"captions.{suffix}" for suffix in ("txt", "csv", "tsv", "jsonl"))
_PATTERNS = (
    *("dataset_*.json", "captions_*.json", "annotations/captions_*.json"),
    *("*videodatainfo*.json", SENTENCE_FILES, "video_corpus*.csv"),
)

#: Patterns of the files of a folder that a data set may be read from.
CAPTION_FILES = (TOKEN_FILE, *_TABLE_NAMES, MAPPING_FILE, *_PATTERNS, "Flickr_8k.*Images.txt")

_LAYOUTS = {
    "karpathy": "Karpathy's layout has images, each with filename, sentences and split.",
    "coco": "COCO's layout has images with file_name and annotations with captions.",
    "msrvtt": "MSR-VTT's layout has videos with video_id and split, and sentences with captions.",
}


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
        path: a caption file, or a folder that holds one.
        images: the folder of the photos or clips; by default they are looked for beside the
            caption file, in ``Images/``, ``clips/`` and the like.
        format: one of :data:`FORMATS`; by default found from the content.
        split: how it is divided, ``SplitPolicy()`` as ``negah train`` does; None leaves the parts
            as they are given, and what has none is train.
        name: what to call the data set; by default the name of the folder or file.

    Returns:
        the pictures that can be used, and the problems of those that cannot.

    Raises:
        DataError: nothing is there, the layout is unknown or malformed, one picture is
            in two parts, or no picture can be used.
        UsageError: an option is impossible.
    """
    return divide([_assembled(Path(path), images, format, name)], split)[0]


def load_each(
    paths: Sequence[str | Path],
    *,
    images: Sequence[str | Path | None] = (),
    split: SplitPolicy | None = None,
) -> list[Dataset]:
    """Read data sets that a report shall show one by one, divided as if they were one.

    Args:
        paths: as for :func:`load_dataset`.
        images: the folders of their photos or clips, one for each; empty looks for all of them.
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
    (``coco/000000000009.jpg``), so that equal file names do not collide; two data sets
    of equal name become ``name`` and ``name-2``. Whether they share pictures is for
    :func:`~negah.data.splits.check_no_leak` to say.

    Raises:
        DataError: as :func:`load_dataset`.
        UsageError: ``paths`` is empty, or an option is impossible.
    """
    if not paths:
        raise UsageError("no data set is named; name at least one folder or caption file.")
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
    return Dataset(joined, tuple(examples), tuple(problems), missing, division, rows)


def _assembled(
    given: Path, images: str | Path | None, format_name: str | None, name: str | None
) -> Dataset:
    """One data set, with pictures whose part is open."""
    if format_name is not None and format_name not in FORMATS:
        raise UnknownNameError("data format", format_name, FORMATS)
    source = _caption_file(given) if given.is_dir() else given
    if not source.is_file():
        raise DataError(f"{given}: no such file or folder.")
    return assemble(
        name if name is not None else _name(given),
        source,
        _read(source, format_name),
        images=None if images is None else Path(images),
    )


def _read(source: Path, format_name: str | None) -> Reading:
    if format_name is None and source.name == TOKEN_FILE:
        format_name = "flickr8k"
    if format_name == "flickr8k":
        return read_flickr8k(source)
    text = read_text(source)
    if format_name == "msvd" or (format_name is None and is_msvd(source, text)):
        return read_msvd(source)
    content = None
    if format_name not in (None, "table") or source.suffix == ".json" or text.lstrip()[:1] == "[":
        content = _json(source, text)
    if format_name == "table" or isinstance(content, list):
        return read_table(source, text, content if isinstance(content, list) else None)
    found = _json_format(content)
    if format_name is not None and found != format_name:
        raise DataError(f"{source}: {_LAYOUTS[format_name]}")
    if content is not None and found == "karpathy":
        return read_karpathy(source, content)
    if content is not None and found == "coco":
        return read_coco(source, content)
    if content is not None and found == "msrvtt":
        return read_msrvtt(source, content)
    if content is not None and not set(NAME_KEYS) & content.keys():
        layouts = " ".join(_LAYOUTS.values())
        raise DataError(
            f"{source}: unknown layout. {layouts} "
            "A table as JSON lines needs one object with image and caption per line."
        )
    return read_table(source, text, None if content is None else [content])


def _json(source: Path, text: str) -> dict[str, Any] | list[Any] | None:
    """The object or list that a JSON file holds; None if it may be JSON lines."""
    if is_json_lines(text):
        return None
    content = parse_json(check_utf8(text, str(source)), str(source))
    if not isinstance(content, dict | list):
        raise DataError(
            f"{source}: holds a JSON {type(content).__name__}, not an object. For a table, write "
            "one object with image and caption per line (JSON lines)."
        )
    return content


def _json_format(content: dict[str, Any] | None) -> str | None:
    if content is not None and is_msrvtt(content):
        return "msrvtt"
    if content is None or not isinstance(content.get("images"), list):
        return None
    if "annotations" in content:
        return "coco"
    images = content["images"]
    first = images[0] if images else None
    return "karpathy" if isinstance(first, dict) and "sentences" in first else None


def _caption_file(folder: Path) -> Path:
    for file_name in (TOKEN_FILE, *_TABLE_NAMES, MAPPING_FILE):
        if (folder / file_name).is_file():
            return folder / file_name
    for pattern in _PATTERNS:
        found = sorted(folder.glob(pattern))
        if len(found) > 1:
            names = ", ".join(path.name for path in found[:10])
            raise DataError(f"{folder}: holds several data sets: {names}. Name the one to read.")
        if found:
            return found[0]
    wanted = ", ".join((TOKEN_FILE, *_TABLE_NAMES, MAPPING_FILE, *_PATTERNS))
    raise DataError(f"{folder}: no caption file in this folder. Looked for: {wanted}.")


def _name(given: Path) -> str:
    """``flickr8k`` for the folder, ``photos`` for photos.csv, ``coco`` for coco/captions.csv."""
    resolved = given.resolve()
    if resolved.is_dir():
        return resolved.name
    generic = resolved.name in (TOKEN_FILE, *_TABLE_NAMES, MAPPING_FILE)
    return resolved.parent.name if generic else resolved.stem
