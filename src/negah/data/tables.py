"""Plain tables of people's own data: CSV, TSV or JSON lines with ``image`` and ``caption``.

A ``split`` column is optional. The widespread CSV layout of Flickr8k is such a table;
where the official lists of parts lie beside it, they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from negah.data.cells import table_cells
from negah.data.examples import Problem, split_name
from negah.data.flickr import image_folders, official_splits, unknown_names
from negah.data.records import Reading, RecordTable, parse_json, read_utf8
from negah.errors import DataError

_NEEDED = "image and caption, and may have split"

#: A row before it is understood: where it is, and its cells by lower-case column name.
Row = tuple[str, Mapping[str, Any]]


def read_table(path: Path) -> Reading:
    """Read a CSV or TSV with a header line, or JSON lines.

    Several rows may name the same picture; their captions come together. In JSON
    lines ``captions`` may hold a list instead of one ``caption``.

    Raises:
        DataError: a column is missing, a part is unknown, a line is malformed, or one
            picture is in two parts.
    """
    text = read_utf8(path)
    table = RecordTable(path)
    problems: list[Problem] = []
    rows = _json_rows(path, text) if text.lstrip().startswith("{") else _csv_rows(path, text)
    has_splits = False
    for where, cells in rows:
        name = cells["image"]
        if not isinstance(name, str) or not name.strip():
            problems.append(Problem("malformed line", f"{path.name}, {where}", "no image is named"))
            continue
        split = _split(path, where, cells.get("split"))
        has_splits = has_splits or split is not None
        table.add(name.strip(), _captions(path, where, cells), split, where)
    records = table.records()
    official = {} if has_splits else official_splits(path.parent)
    if official:
        for record in records:
            record.split = official.get(record.names[0], "none")
        problems.extend(unknown_names(official, {record.names[0] for record in records}))
    return Reading(records, image_folders(path.parent), problems)


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
    missing = [name for name in ("image", "caption") if name not in columns]
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
        if "image" not in value or ("caption" not in value and "captions" not in value):
            raise DataError(
                f"{path}, {where}: an object must have image and caption (or captions, a list), "
                f"and may have split; found: {', '.join(map(repr, list(value)[:20]))}."
            )
        yield where, value
