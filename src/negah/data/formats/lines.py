"""Plain text: line n belongs to image n; tabs separate several references."""

from __future__ import annotations

import re

from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.names import is_media
from negah.data.records import Reading, Record
from negah.data.rows import RowReader
from negah.errors import DataError
from negah.textfiles import check_utf8, lines

_FIRST_CELL = re.compile(r'"?([^\t,;]+?)"?[\t,;]')


class Lines(Format):
    """Captions by line, without image names."""

    last = True
    by_line = True

    def sniff(self, source: Source) -> bool:
        """Any text except JSON; this format is tried last."""
        return not source.is_json

    def read(self, source: Source) -> Reading:
        """Read all lines; an empty one is an image with an empty caption.

        Raises:
            DataError: a caption is too long, or the lines are those of a table without a header.
        """
        given = lines(check_utf8(source.text, source.label))
        firsts = [_FIRST_CELL.match(line) for line in given if line.strip()]
        if all(first is not None and is_media(first[1]) for first in firsts):
            raise headless(source.label)
        reader = RowReader(source.label, source.label)
        records: list[Record] = []
        for number, line in enumerate(given if given[-1] else given[:-1], start=1):
            row = {"image": number, "captions": line.split("\t")}
            record = reader.row(f"line {number}", row)
            assert record is not None, "a line has a number"
            records.append(record)
        return Reading(records, rows=reader.count, by_line=True)


def headless(label: str) -> DataError:
    """The error for a table without a header."""
    return DataError(
        f"{label}: looks like a table without a header line such as image<TAB>caption; add one."
    )


LINES = Lines()
