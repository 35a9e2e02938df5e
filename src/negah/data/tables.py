"""Plain tables of people's own data: CSV, TSV or JSON lines.

They name an ``image``, or a ``video`` or ``clip``, and its ``caption``. A ``split`` is
optional, and so is the part of a clip that is meant: from ``start`` to ``end``, in seconds.
The widespread CSV layout of Flickr8k is such a table; where the official lists of parts lie
beside it, they are used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from negah.data.cells import span_of, table_cells
from negah.data.examples import Problem, split_name
from negah.data.flickr import image_folders, official_splits, unknown_names
from negah.data.records import Reading, RecordTable, clip_folders, parse_json, read_utf8
from negah.errors import DataError

_FILES = ("image", "video", "clip")
_NEEDED = (
    "image (or video, or clip) and caption, and may have split and, for clips, start and end "
    "in seconds"
)

#: A row before it is understood: where it is, and its cells by lower-case column name.
Row = tuple[str, Mapping[str, Any]]


def read_table(path: Path) -> Reading:
    """Read a CSV or TSV with a header line, or JSON lines.

    Several rows may name the same file and span; their captions come together. In JSON
    lines ``captions`` may hold a list instead of one ``caption``.

    Raises:
        DataError: a column is missing, a part is unknown, a span is impossible, a line is
            malformed, or one picture is in two parts.
    """
    text = read_utf8(path)
    table = RecordTable(path)
    problems: list[Problem] = []
    rows = _json_rows(path, text) if text.lstrip().startswith("{") else _csv_rows(path, text)
    has_splits = False
    for where, cells in rows:
        name = next(cells[key] for key in _FILES if key in cells)
        if not isinstance(name, str) or not name.strip():
            problems.append(Problem("malformed line", f"{path.name}, {where}", "no file is named"))
            continue
        split = _split(path, where, cells.get("split"))
        has_splits = has_splits or split is not None
        span = span_of(f"{path}, {where}", name.strip(), cells)
        table.add(name.strip(), _captions(path, where, cells), split, where, span=span)
    records = table.records()
    official = {} if has_splits else official_splits(path.parent)
    if official:
        for record in records:
            record.split = official.get(record.names[0], "none")
        problems.extend(unknown_names(official, {record.names[0] for record in records}))
    folders = [*image_folders(path.parent), *clip_folders(path.parent)]
    return Reading(records, list(dict.fromkeys(folders)), problems)


def _split(path: Path, where: str, given: object) -> str | None:
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    split = split_name(given) if isinstance(given, str) else None
    if split is None:
        raise DataError(
            f"{path}, {where}: unknown split {given!r}. "
            "Allowed: train, dev (or val, valid), test, none, or an empty cell."
        )
    return split


def _captions(path: Path, where: str, cells: Mapping[str, Any]) -> list[str]:
    given = cells["caption"] if "caption" in cells else cells["captions"]
    captions = given if isinstance(given, list) else [given]
    for caption in captions:
        if not isinstance(caption, str):
            raise DataError(f"{path}, {where}: a caption must be text (given: {caption!r}).")
    return captions


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    if not text.strip():
        raise DataError(f"{path}: the file is empty. A table must have the columns {_NEEDED}.")
    yield from table_cells(str(path), text, lambda header: _columns(path, header))


def _columns(path: Path, header: Sequence[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in header]
    _one_file(str(path), columns)
    missing = [] if any(name in columns for name in _FILES) else ["image"]
    missing += [] if "caption" in columns else ["caption"]
    if missing:
        raise DataError(
            f"{path}: no column {' and no column '.join(map(repr, missing))}. The first line names "
            f"the columns; found: {', '.join(map(repr, header[:20]))}. "
            f"A table must have the columns {_NEEDED}."
        )
    return columns


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        value = parse_json(line, f"{path}, {where}")
        if not isinstance(value, dict):
            raise DataError(f"{path}, {where}: each line must be a JSON object (given: {value!r}).")
        named = any(name in value for name in _FILES)
        if not named or ("caption" not in value and "captions" not in value):
            raise DataError(
                f"{path}, {where}: an object must have {_NEEDED}; captions may hold a list; found: "
                f"{', '.join(map(repr, list(value)[:20]))}."
            )
        _one_file(f"{path}, {where}", value)
        yield where, value


def _one_file(where: str, names: Collection[str]) -> None:
    named = [name for name in _FILES if name in names]
    if len(named) > 1:
        raise DataError(
            f"{where}: {' and '.join(named)} both name a file. Keep the one that is captioned."
        )
