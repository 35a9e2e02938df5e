"""Plain tables of people's own data: CSV, TSV, JSON lines, or a JSON list.

They name an ``image``, or a ``video`` or ``clip``, and its ``caption``, in the columns that
:mod:`negah.data.rows` knows. A ``split`` is
optional, and so is the part of a clip that is meant: from ``start`` to ``end``, in seconds.
The widespread CSV layout of Flickr8k is such a table; where the official lists of parts lie
beside it, they are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from negah.data.flickr import image_folders, official_splits, unknown_names
from negah.data.names import spelling
from negah.data.records import Reading, RecordTable, clip_folders
from negah.data.rows import RowReader


def read_table(path: Path, text: str, entries: Sequence[Any] | None = None) -> Reading:
    """Read a CSV or TSV with a header line, JSON lines, or a JSON list of objects.

    Several rows may name the same file and span; their captions come together. In JSON
    ``captions`` may hold a list instead of one ``caption``.

    Args:
        path: of the table.
        text: its content.
        entries: its JSON list, parsed, if it is one.

    Raises:
        DataError: a column is missing, a part is unknown, a span is impossible, a line is
            no JSON, a quote does not close, or one picture is in two parts.
    """
    reader = RowReader(str(path), path.name)
    if entries is not None:
        rows = reader.entries(entries, "entry {n1}")
    else:
        rows = reader.json_lines(text) if text.lstrip().startswith("{") else reader.table(text)
    table = RecordTable(path)
    for row in rows:
        captions = reader.without_empty(row)
        name, *_ = row.names
        table.add(name, captions, row.split, row.where, span=row.span, names=row.names)
    records = table.records()
    problems = reader.problems
    official = {} if any(record.split for record in records) else official_splits(path.parent)
    if official:
        for record in records:
            record.split = official.get(spelling(record.names[0]), "none")
        problems.extend(unknown_names(official, {record.names[0] for record in records}))
    folders = [*image_folders(path.parent), *clip_folders(path.parent)]
    return Reading(records, list(dict.fromkeys(folders)), problems, reader.count)
