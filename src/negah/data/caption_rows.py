"""The text of a caption file -> rows, each checked: an image's name and its captions.

Tables here name the image by any of the usual words, and ids may be numbers, because these
files come from many tools; :mod:`negah.data.tables` reads data sets, which have pictures too.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from negah.data.cells import delimiter_of, span_of, table_cells
from negah.data.examples import SPLITS, split_name, with_span
from negah.data.records import parse_json
from negah.errors import DataError
from negah.media.sources import is_clip

#: Stands for standard input where a file is named.
STDIN = Path("-")
#: Larger files are refused; COCO's training captions have 64 MB.
MAX_BYTES = 512 * 2**20
#: Longer captions are refused: no sentence is so long, and the time to score grows with it.
MAX_CHARACTERS = 10_000

IMAGE_KEYS = ("image_id", "image", "video_id", "video", "clip", "path")
CAPTION_KEYS = ("caption", "captions")
NEEDED = "image (or image_id, video_id, video, clip, path) and caption"

_SURROGATE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """One line or entry of a file: where it is, its image, its captions, its part if it has one."""

    where: str
    image: str
    captions: Sequence[str]
    split: str | None = None


def read_bounded(path: Path, source: str) -> str:
    """The text of a file or of standard input, all line ends as ``\\n``; ``source`` names it.

    Raises:
        DataError: it cannot be read, is too large or empty, or is not UTF-8.
    """
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{source}: larger than {MAX_BYTES // 2**20} MiB, the most that is read.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: not UTF-8 text (byte {error.start}). Save the file with UTF-8 encoding."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_table_header(line: str) -> bool:
    """Whether a line names the columns of a table of captions."""
    return _named(_cells(line, delimiter_of(line))) is not None


def table_rows(source: str, text: str) -> Iterator[Row]:
    """The rows of a CSV or TSV with a header line.

    Raises:
        DataError: a column is missing or named twice, or a line is malformed.
    """
    for where, cells in table_cells(source, text, lambda header: _columns(source, header)):
        yield row_of(cells, source, where)


def json_lines(source: str, text: str) -> Iterator[Row]:
    """The rows of a file with one JSON object a line.

    Raises:
        DataError: a line is malformed.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"line {number}"
            yield row_of(parse_json(line, f"{source}, {where}"), source, where)


def plain_lines(source: str, text: str, *, single: bool) -> Iterator[Row]:
    """The rows of plain text: line n is image n. An empty line without ``single`` is no caption.

    Raises:
        DataError: there is a tab in a line that is one caption, a caption is too long, or the
            lines are those of a table without a header.
    """
    lines = text.removesuffix("\n").split("\n")
    if not single and _is_headless_table(lines):
        raise DataError(
            f"{source}: looks like a table without a first line that names its columns, such as "
            "image<TAB>caption; add one."
        )
    for number, line in enumerate(lines, start=1):
        where = f"line {number}"
        if single and "\t" in line:
            raise DataError(
                f"{source}, {where}: holds a tab. In plain text each line is one caption; a table "
                f"needs a first line that names its columns, {NEEDED}."
            )
        cells = [line] if single else [cell for cell in line.split("\t") if cell.strip()]
        yield Row(where, str(number), [checked_caption(cell, source, where) for cell in cells])


def row_of(entry: Any, source: str, where: str) -> Row:
    """Check what a parser gave for one row; of a clip, each span counts as one to caption.

    Raises:
        DataError: it is no object with an image and captions, or one of these is absurd.
    """
    if not isinstance(entry, dict):
        raise DataError(
            f"{source}, {where}: must be an object with {NEEDED} (given: {entry!r:.80})."
        )
    image = next((entry[key] for key in IMAGE_KEYS if key in entry), None)
    given = next((entry[key] for key in CAPTION_KEYS if key in entry), None)
    if image is None or given is None:
        found = ", ".join(map(repr, list(entry)[:10])) or "nothing"
        raise DataError(f"{source}, {where}: needs {NEEDED} (found: {found:.200}).")
    captions = given if isinstance(given, list) else [given]
    name = checked_name(image, source, where)
    if is_clip(name):
        name = with_span(name, span_of(f"{source}, {where}", name, entry))
    return Row(
        where,
        name,
        [checked_caption(caption, source, where) for caption in captions],
        _split(entry.get("split"), source, where),
    )


def checked_name(image: Any, source: str, where: str) -> str:
    """The name of an image, from a text or a whole number.

    Raises:
        DataError: it is something else, empty, or longer than any name.
    """
    if isinstance(image, bool) or not isinstance(image, int | str):
        raise DataError(
            f"{source}, {where}: an image is named by a whole number or a text (given: "
            f"{image!r:.80})."
        )
    name = _SURROGATE.sub("\ufffd", str(image)).strip()
    if not name or len(name) > MAX_CHARACTERS:
        raise DataError(
            f"{source}, {where}: the name of an image has 1 to {MAX_CHARACTERS:,} characters "
            f"(given: {len(name):,})."
        )
    return name


def checked_caption(caption: Any, source: str, where: str) -> str:
    """A caption as it is, lone surrogates replaced so that it can be written as UTF-8.

    Raises:
        DataError: it is no text, or absurdly long.
    """
    if not isinstance(caption, str):
        raise DataError(f"{source}, {where}: a caption must be text (given: {caption!r:.80}).")
    if len(caption) > MAX_CHARACTERS:
        raise DataError(
            f"{source}, {where}: a caption of {len(caption):,} characters; at most "
            f"{MAX_CHARACTERS:,} are allowed."
        )
    return _SURROGATE.sub("\ufffd", caption)


def _is_headless_table(lines: Sequence[str]) -> bool:
    """Whether lines read ``<name><TAB><caption>``, names coming again: not two references each."""
    names = [line.partition("\t")[0] for line in lines]
    in_two = all(line.count("\t") == 1 for line in lines)
    return in_two and not any(" " in name for name in names) and len(set(names)) < len(names)


def _split(given: Any, source: str, where: str) -> str | None:
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    split = split_name(given) if isinstance(given, str) else None
    if split is None:
        raise DataError(
            f"{source}, {where}: unknown part {given!r:.80}. Allowed: {', '.join(SPLITS)}."
        )
    return split


def _columns(source: str, header: Sequence[str]) -> list[str]:
    columns = _named(header)
    if columns is None:
        raise DataError(
            f"{source}: the first line must name the columns {NEEDED}, each once; found: "
            f"{', '.join(map(repr, header[:20])):.200}."
        )
    return columns


def _named(header: Sequence[str]) -> list[str] | None:
    """The column names in lower case; None if they are not those of a table of captions."""
    columns = [cell.strip().lower() for cell in header]
    complete = "caption" in columns and any(key in columns for key in IMAGE_KEYS)
    return columns if complete and len(set(columns)) == len(columns) else None


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
