"""Tables as text -> rows of cells by column, and spans of clips: what the readers here share."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from negah.data.examples import Span
from negah.errors import DataError
from negah.media.sources import is_clip

_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons"}


def delimiter_of(header: str) -> str:
    """What separates the cells of a header line: a comma, a tab or a semicolon."""
    return max(_DELIMITERS, key=header.count)


def table_cells(
    source: str, text: str, columns_of: Callable[[Sequence[str]], list[str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands ("line 3"), and its cells by column; empty lines do not count.

    Args:
        source: names the file in errors.
        text: of the whole file; line ends are kept, since cells may hold them.
        columns_of: from the cells of the header line to the names of the columns; refuses a
            header that does not name what is needed.

    Raises:
        DataError: a row has more or fewer cells than the header, or the quoting is wrong.
    """
    # splitlines() would also break lines inside captions, at Unicode separators
    delimiter = delimiter_of(text.lstrip("\n").partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = columns_of(cells)
                continue
            where = f"line {reader.line_num}"
            if len(cells) != len(columns):
                raise DataError(
                    f"{source}, {where}: {len(cells)} cells, but the header has {len(columns)}. "
                    f"Cells are separated by {_DELIMITERS[delimiter]}; a caption that holds "
                    'one must stand in double quotes: "a dog, running".'
                )
            yield where, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{source}, line {reader.line_num}: malformed CSV: {error}.") from None


def span_of(where: str, name: str, cells: Mapping[str, Any]) -> Span:
    """The part of clip ``name`` that a row is about: its cells ``start`` and ``end``, in seconds.

    Raises:
        DataError: one of them is missing, no number, or absurd, or ``name`` is no clip.
    """
    given = [cells.get(key) for key in ("start", "end")]
    if all(value is None or (isinstance(value, str) and not value.strip()) for value in given):
        return None
    start, end = map(_seconds, given)
    if start is None or end is None or not 0 <= start < end:
        raise DataError(
            f"{where}: start {given[0]!r:.40} and end {given[1]!r:.40} must be seconds, such as "
            "12.5, the start 0 or more and the end after it. Leave both empty for all of the clip."
        )
    if not is_clip(name):
        raise DataError(
            f"{where}: start and end are of a clip, but {name!r:.80} is none by its suffix. Leave "
            "both empty."
        )
    return start, end


def _seconds(given: object) -> float | None:
    """A finite number, or None if it is something else."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        seconds = float(given)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None
