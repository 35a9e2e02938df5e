"""Tables as text -> rows of cells by column: what every reader of CSV and TSV here shares."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from negah.errors import DataError

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
