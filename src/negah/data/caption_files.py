"""Files of captions without pictures: what a model said, and what people said, to be scored.

What a file holds and its suffix decide how it is read:

    COCO        results ([{image_id, caption}]) and annotations ({images, annotations})
    Karpathy    dataset_*.json
    Flickr8k    <image>#<number><TAB><caption>, as in Flickr8k.token.txt
    MSVD        sents_*_lc_nopunc.txt with the list of clips beside it, or video_corpus.csv
    MSR-VTT     *_videodatainfo.json
    table       CSV, TSV or JSON lines with image and caption, as `negah caption` writes them too
    plain text  line n is image n; tabs separate several references

A file may come from anyone: it is checked before a caption of it is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from negah.data.annotations import read_karpathy
from negah.data.caption_rows import (
    IMAGE_KEYS,
    STDIN,
    Row,
    is_table_header,
    json_lines,
    plain_lines,
    read_bounded,
    row_of,
    table_rows,
)
from negah.data.examples import SPLITS, split_name
from negah.data.flickr import official_splits, read_flickr8k
from negah.data.msvd import is_msvd, read_msvd
from negah.data.records import Reading, Record, parse_json
from negah.errors import DataError, UnknownNameError

_LAYOUTS = (
    "Allowed are COCO's results ([{image_id, caption}, ...]) and annotations ({annotations: "
    "[...]}), Karpathy's dataset, JSON lines, CSV or TSV with image and caption, and plain text."
)
_TABLE_SUFFIXES = (".csv", ".tsv")
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_LOOKS_LIKE_JSON = re.compile(r"\s*(?:\{\s*\"|\[\s*[{\]])")
_LOOKS_LIKE_FLICKR = re.compile(r"\S+#\d+\t")


@dataclass(frozen=True, slots=True)
class CaptionFile:
    """The captions of one file, or of several that were joined.

    Attributes:
        source: what was read, for messages.
        captions: of each image, in order of first appearance.
        by_line: plain text, where image n is line n and is called ``str(n)``.
        splits: the part of each image that has one.
        aliases: other names of images, such as COCO's file names where ids are the names.
    """

    source: str
    captions: Mapping[str, Sequence[str]]
    by_line: bool = False
    splits: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


def read_hypotheses(path: str | Path) -> CaptionFile:
    """One caption for each image, in any layout.

    Args:
        path: the file; ``-`` is standard input.

    Raises:
        DataError: it cannot be read, is malformed, or has two captions of one image.
    """
    return _read(Path(path), single=True)


def read_references(paths: Sequence[str | Path], *, split: str | None = None) -> CaptionFile:
    """The captions that people gave each image, in any layout.

    Args:
        paths: files, which are joined: line by line where they are plain text (an empty line is
            no reference), by image otherwise.
        split: keep the images of this part; None keeps all.

    Raises:
        DataError: a file cannot be read or is malformed, or they do not fit together.
        UnknownNameError: ``split`` is no name of a part.
    """
    if not paths:
        raise DataError("no references are named; name at least one file")
    files = [_read(Path(path), single=False) for path in paths]
    joined = files[0] if len(files) == 1 else _join(files)
    empty = [name for name, captions in joined.captions.items() if not captions]
    if empty:
        image = f"line {empty[0]}" if joined.by_line else f"image {empty[0]!r:.80}"
        raise DataError(
            f"{joined.source}: {len(empty)} images have no reference (the first: {image}); each "
            "needs at least one."
        )
    return joined if split is None else _part(joined, split)


def _part(file: CaptionFile, split: str) -> CaptionFile:
    wanted = split_name(split)
    if wanted is None:
        raise UnknownNameError("split", split, SPLITS)
    kept = {name: given for name, given in file.captions.items() if file.splits.get(name) == wanted}
    if not kept:
        parts = ", ".join(sorted(set(file.splits.values()))) or "it names none"
        raise DataError(f"{file.source}: no image is in the part {wanted!r} (its parts: {parts}).")
    return replace(file, captions=kept)


def _join(files: Sequence[CaptionFile]) -> CaptionFile:
    source = " + ".join(file.source for file in files)
    by_line = files[0].by_line
    if any(file.by_line != by_line for file in files):
        raise DataError(
            f"{source}: some are plain text, which goes by line, and others name their images; "
            "give references of one kind."
        )
    sizes = [len(file.captions) for file in files]
    if by_line and len(set(sizes)) > 1:
        raise DataError(
            f"{source}: {', '.join(map(str, sizes))} lines. Line n of each belongs to image n, so "
            "all need as many; leave a line empty where an image has fewer references."
        )
    rows = [
        Row(file.source, name, captions, file.splits.get(name))
        for file in files
        for name, captions in file.captions.items()
    ]
    aliases = {other: name for file in files for other, name in file.aliases.items()}
    return replace(_gather(source, rows, single=False), by_line=by_line, aliases=aliases)


def _read(path: Path, *, single: bool) -> CaptionFile:
    source = "standard input" if path == STDIN else str(path)
    text = read_bounded(path, source)
    if not text.strip():
        raise DataError(f"{source}: the file is empty. {_LAYOUTS}")
    if path != STDIN and is_msvd(path):
        found = _of_reading(source, path, read_msvd(path), single=single)
        numbers = {Path(other).stem: name for other, name in found.aliases.items()}
        return replace(found, aliases={**found.aliases, **numbers})
    suffix = path.suffix.lower()
    first_line = text.lstrip("\n").partition("\n")[0]
    if suffix in _TABLE_SUFFIXES or (suffix not in _JSON_SUFFIXES and is_table_header(first_line)):
        found = _gather(source, table_rows(source, text), single=single)
        return replace(found, splits=found.splits or official_splits(path.parent))
    if suffix in _JSON_SUFFIXES or _LOOKS_LIKE_JSON.match(text):
        return _read_json(path, source, text, single=single)
    if path != STDIN and _LOOKS_LIKE_FLICKR.match(first_line):
        return _of_reading(source, path, read_flickr8k(path), single=single)
    found = _gather(source, plain_lines(source, text, single=single), single=single)
    return replace(found, by_line=True)


def _read_json(path: Path, source: str, text: str, *, single: bool) -> CaptionFile:
    first, _, rest = text.lstrip().partition("\n")
    if first.startswith("{") and first.rstrip().endswith("}") and rest.strip():
        return _gather(source, json_lines(source, text), single=single)
    content = parse_json(text, source)
    if isinstance(content, list):
        rows = (row_of(entry, source, f"entry {n}") for n, entry in enumerate(content, start=1))
        return _gather(source, rows, single=single)
    if not isinstance(content, dict):
        raise DataError(f"{source}: holds a JSON {type(content).__name__}. {_LAYOUTS}")
    images = content.get("images")
    images = images if isinstance(images, list) else []
    for key in ("annotations", "sentences"):  # COCO's and MSR-VTT's
        if isinstance(content.get(key), list):
            rows = (row_of(one, source, f"{key}[{n}]") for n, one in enumerate(content[key]))
            return replace(_gather(source, rows, single=single), aliases=_file_names(images))
    if images and isinstance(images[0], dict) and "sentences" in images[0]:
        return _of_records(source, read_karpathy(path, content).records, single=single)
    if any(key in content for key in IMAGE_KEYS):
        return _gather(source, json_lines(source, text), single=single)
    keys = ", ".join(map(repr, list(content)[:10])) or "nothing in it"
    raise DataError(f"{source}: unknown layout, an object with {keys:.200}. {_LAYOUTS}")


def _file_names(images: Sequence[Any]) -> dict[str, str]:
    """COCO's file names, as other names of the ids."""
    return {
        image["file_name"]: str(image["id"])
        for image in images
        if isinstance(image, dict)
        and isinstance(image.get("file_name"), str)
        and isinstance(image.get("id"), int | str)
    }


def _of_reading(source: str, path: Path, reading: Reading, *, single: bool) -> CaptionFile:
    for problem in reading.problems:
        if problem.kind == "malformed line":
            raise DataError(f"{path.parent / problem.name}: {problem.message}.")
    return _of_records(source, reading.records, single=single)


def _of_records(source: str, records: Iterable[Record], *, single: bool) -> CaptionFile:
    rows, aliases = [], {}
    for record in records:
        name, *others = record.names
        entry = {"image": name, "captions": record.captions, "split": record.split}
        rows.append(row_of(entry, source, f"image {name!r:.80}"))
        aliases.update(dict.fromkeys(others, name))
    return replace(_gather(source, rows, single=single), aliases=aliases)


def _gather(source: str, rows: Iterable[Row], *, single: bool) -> CaptionFile:
    """Bring the captions of each image together.

    Raises:
        DataError: there are none, an image has two parts or, with ``single``, two captions.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, str] = {}
    places: dict[str, str] = {}
    for where, name, given, split in rows:
        if single and (name in captions or len(given) != 1):
            count = "a second caption" if name in captions else f"{len(given)} captions"
            first = f" (the first: {places[name]})" if name in captions else ""
            raise DataError(
                f"{source}, {where}: image {name!r:.80} has {count}{first}. Give one caption for "
                "each image; only references may be several."
            )
        places.setdefault(name, where)
        captions.setdefault(name, []).extend(given)
        if split is not None and splits.setdefault(name, split) != split:
            raise DataError(
                f"{source}, {where}: image {name!r:.80} is in two parts, {splits[name]} and "
                f"{split}."
            )
    if not captions:
        raise DataError(f"{source}: holds no captions. {_LAYOUTS}")
    return CaptionFile(source, captions, splits=splits)
