"""Parsing of tables (CSV, TSV) and of lines with a name, a tab and a sentence.

CSV is RFC 4180, with commas or semicolons. In a TSV a quote is an ordinary character, because
captions quote signs; cells may be quoted only if the column names are. Spreadsheets add a first
line ``sep=;``, empty lines and empty columns.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from negah.data.names import is_media, spelling
from negah.errors import DataError
from negah.media.names import bare
from negah.textfiles import lines

_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons"}
#: Excel's first line that names the delimiter, which it also quotes.
_SEP = re.compile(r'"?sep=([^\w"\r\n])"?[,;\t]*', re.IGNORECASE)
#: Longer than any caption; text after an unclosed quote may be longer.
_LINES_IN_A_CELL = 100
_LONGEST_HEADER = 100_000
_DIGIT = re.compile(r"\d")
_ID = re.compile(r"[\w-]+")
_HEX = re.compile(r"[0-9a-fA-F]+")


class Cells(NamedTuple):
    """A readable row: its position ("line 3"), and its cells by column name."""

    where: str
    cells: Mapping[str, str]


class Malformed(NamedTuple):
    """An unusable row: its position, and the reason."""

    where: str
    reason: str


class Header(NamedTuple):
    """The format of a table.

    Attributes:
        delimiter: between cells.
        quoted: whether cells may be quoted, and may then contain delimiters and line ends.
        line: the line number of the header.
        columns: their names in lower case, "" for one without a name; empty columns at the end are
            dropped.
    """

    delimiter: str
    quoted: bool
    line: int
    columns: tuple[str, ...]


def header_of(text: str, known: Sequence[str] = ()) -> Header | None:
    """The format of a table, from its first line that is not empty; None if there is none.

    Args:
        text: of the whole file.
        known: names of columns; the delimiter is the one that separates the most of these.
    """
    given = None
    for number, line in enumerate(_first_lines(text), start=1):
        sep = _SEP.fullmatch(line.strip(" ")) if given is None else None
        if sep is not None:
            given = sep[1]
        elif line.strip(' \t,;"'):
            if len(line) > _LONGEST_HEADER:  # such as a file of JSON without line ends
                return Header(",", True, number, ())
            found = [_header(line, one, number) for one in ([given] if given else _DELIMITERS)]
            return max(
                found,
                key=lambda one: (len(set(known) & set(one.columns)), line.count(one.delimiter)),
            )
    return None


def table_rows(
    source: str, text: str, header: Header, names: Sequence[str]
) -> Iterator[Cells | Malformed]:
    """The rows below the header; empty lines and rows are skipped.

    Args:
        source: names the file in errors.
        text: of the whole file.
        header: as :func:`header_of` gave it.
        names: the columns that name files. A multi-line cell whose lines look like rows is taken
            for an unclosed quote.

    Raises:
        DataError: a quote opens that does not close, or closes only rows later; a cell is huge; or
            a row names the columns in another order.
    """
    columns = header.columns
    place = next((columns.index(name) for name in names if name in columns), 0)
    reader: Iterator[list[str]] = (
        csv.reader(io.StringIO(text, newline=""), delimiter=header.delimiter, strict=True)
        if header.quoted
        else (line.split(header.delimiter) for line in lines(text))
    )
    end = 0
    while True:
        start = end + 1
        where = f"line {start}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            end = reader.line_num  # type: ignore[attr-defined]
            if "expected after" in str(error) and start == end:
                yield Malformed(where, f"malformed CSV: {error}")
                continue
            raise _malformed(source, where, error) from None
        if row is None:
            return
        end = reader.line_num if header.quoted else start  # type: ignore[attr-defined]
        if start <= header.line or not any(cell.strip() for cell in row):
            continue
        if end > start:
            _check_quote(source, (start, end), row, place, header.delimiter)
        # with an escape character, a quote is an ordinary character
        first = row[0].strip('\ufeff"')
        again = _columns([first, *row[1:]]) if _column(first) in columns else ()
        if again == columns:
            yield Malformed(where, "names the columns again, as the first line does")
            continue
        if again and sorted(again) == sorted(columns):
            raise DataError(
                f"{source}, {where}: names the columns again, in another order. Two tables were "
                "pasted together; make two files of them, or give both the same order."
            )
        beyond = next((n for n in range(len(row), len(columns), -1) if row[n - 1].strip()), 0)
        if beyond:
            yield Malformed(where, _too_many(beyond, header))
            continue
        row += [""] * (len(columns) - len(row))  # Excel leaves out empty cells at the end
        yield Cells(where, {name: row[n] for n, name in enumerate(columns) if name})


def tabbed_lines(text: str) -> Iterator[tuple[int, str, str | None]]:
    """The number, the name, and the text after the first tab of each line that is not empty.

    The text is None if there is no tab.
    """
    for number, line in enumerate(lines(text), start=1):
        if line.strip():
            name, tab, sentence = line.partition("\t")
            yield number, name.strip(), sentence if tab else None


def _first_lines(text: str) -> Iterator[str]:
    start = 0
    for found in re.finditer(r"\r\n|\r|\n", text):
        yield text[start : found.start()]
        start = found.end()
    yield text[start:]


def _header(line: str, delimiter: str, number: int) -> Header:
    quoted = delimiter != "\t" or line.lstrip().startswith('"')
    try:
        cells = next(csv.reader([line], delimiter=delimiter)) if quoted else line.split(delimiter)
    except (csv.Error, StopIteration):
        cells = line.split(delimiter)
    return Header(delimiter, quoted, number, _columns(cells))


def _columns(cells: Sequence[str]) -> tuple[str, ...]:
    columns = [_column(cell) for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    return tuple(columns)


def _column(cell: str) -> str:
    return bare(cell).lower()


def _too_many(count: int, header: Header) -> str:
    delimiter = _DELIMITERS.get(header.delimiter, repr(header.delimiter))
    advice = (
        '; a caption that contains one must be in double quotes: "a dog, running"'
        if header.quoted
        else ""
    )
    return (
        f"{count} cells, but the header has {len(header.columns)}. Cells are separated by "
        f"{delimiter}{advice}"
    )


def _malformed(source: str, where: str, error: csv.Error) -> DataError:
    reason = str(error)
    if "end of data" in reason:
        reason = "a quote that opens here is never closed; write a quote in a cell as two"
    return DataError(f"{source}, {where}: malformed CSV: {reason}.")


def _check_quote(
    source: str, span: tuple[int, int], row: Sequence[str], place: int, delimiter: str
) -> None:
    """Refuse a row of several lines that seems to contain other rows.

    Raises:
        DataError: the row seems to contain other rows.
    """
    named = row[place] if place < len(row) else ""
    for at, cell in enumerate(row):
        count = len(within_cell := lines(cell))
        for number, line in enumerate(within_cell):
            # other cells precede the first line of a cell, and follow its last
            within = line.split(delimiter)
            cells = within if number else [*row[:at], *within]
            names = cells[place : place + 1] if len(within) > 1 and (number or place > at) else ()
            last = number == count - 1
            size = len(cells) + (len(row) - at - 1 if last else 0)
            if number > _LINES_IN_A_CELL or any(
                _alike(named, one, size - len(row)) for one in names
            ):
                raise DataError(
                    f"{source}, line {span[0]}: a quote that opens here closes only in line "
                    f"{span[1]}, with other rows between ({line[:60]!r}). Close it, and "
                    "write a quote in a cell as two."
                )


def _alike(named: str, other: str, more: int) -> bool:
    """Whether ``other``, of a line within a cell, is a name such as ``named``, its row's.

    Ids that are drawn by chance (a3f9, 09be, ffee) share no shape: of these a digit tells, or
    that they are as long as the row's. No word is as a number of its length is, unless it is hex.

    Args:
        named: the name of the row.
        other: what stands in its place in the line.
        more: how many cells the line has more than the row, which may be negative.
    """
    own, theirs = spelling(named), spelling(other.strip('"'))
    if not theirs:
        return False
    if is_media(theirs):
        return True
    if is_media(own):
        return False
    digits = _DIGIT.search(own) is not None
    if digits and _shape(own) == _shape(theirs):
        return True
    if re.search(r"\s", theirs) or more < 0:
        return False
    if _DIGIT.search(theirs):
        return True
    if more == 0 and not digits:
        return True
    kind = _HEX if own.isdecimal() else _ID
    return len(own) == len(theirs) and kind.fullmatch(theirs) is not None


def _shape(name: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", name))
