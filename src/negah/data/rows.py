"""Validated rows of tables and JSON: the names of a file, its captions, part and span.

All commands read tables with this reader: data sets, captions to be scored, and references.
Unusable rows are left out and recorded.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from negah.data.cells import Cells, Header, header_of, table_rows
from negah.data.examples import Problem, Span, split_name
from negah.data.names import is_media
from negah.data.records import Record
from negah.errors import DataError
from negah.media import IMAGE_SUFFIXES, is_clip
from negah.textfiles import check_utf8, is_escaped, lines, not_utf8, writable

#: The columns that name a file, by preference: paths, then ids.
NAME_KEYS = (
    *("path", "file_name", "filename", "image", "video", "clip"),
    *("image_id", "video_id", "clip_id"),
)
_CAPTION_KEYS = ("caption", "captions")
_KNOWN = (*NAME_KEYS, "caption", "split", "start", "end")
#: A row may use only one of these: each names the captioned file.
_FILES = ("image", "video", "clip")
_CLIPS = ("video", "clip", "video_id", "clip_id")
#: Longer captions are refused: they are not sentences, and the time for scoring grows with length.
MAX_CHARACTERS = 10_000

NEEDED = (
    "image (or path, file_name, video, clip, image_id, video_id) and caption, and may have split "
    "and, for clips, start and end in seconds"
)


@dataclass(slots=True)
class RowReader:
    """Reads the rows of one file.

    Attributes:
        source: names the file in errors.
        label: names it in problems.
        text_column: whether a caption may be called ``text``, as on the Hugging Face Hub, where
            nothing is called ``caption`` or ``captions``.
        problems: what was left out so far.
        count: number of captions so far, including those left out.
    """

    source: str
    label: str
    text_column: bool = False
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def table(self, text: str) -> Iterator[Record]:
        """The rows of a CSV or TSV with a header.

        Raises:
            DataError: a column is missing or named twice, a quote does not close, or a cell is
                implausibly long.
        """
        header = header_of(text, (*_KNOWN, "text") if self.text_column else _KNOWN)
        if header is None:
            raise DataError(
                f"{self.source}: the file is empty. A table must have the columns {NEEDED}."
            )
        self._check_columns(header)
        plain = not is_escaped(text) and not {"start", "end"} & set(header.columns)
        for row in table_rows(self.source, text, header, NAME_KEYS):
            if not isinstance(row, Cells):
                self.count += 1
                self.leave_out("malformed line", row.where, row.reason)
                continue
            cells = row.cells if plain else _utf8_cells(self.source, row, header)
            if (made := self.row(row.where, cells)) is not None:
                yield made

    def json_lines(self, text: str) -> Iterator[Record]:
        """The rows of a file with one JSON object a line.

        Raises:
            DataError: a line is not a JSON object with a name and captions.
        """
        for number, line in enumerate(lines(check_utf8(text, self.source)), start=1):
            if line.strip():
                where = f"line {number}"
                value = parse_json(line.removeprefix("\ufeff"), f"{self.source}, {where}")
                if not isinstance(value, dict):
                    raise DataError(
                        f"{self.source}, {where}: each line must be a JSON object (given: "
                        f"{value!r:.80})."
                    )
                if (made := self.row(where, value)) is not None:
                    yield made

    def entries(self, entries: Iterable[Any], where: str) -> Iterator[Record]:
        """The rows of a JSON list.

        Args:
            entries: of the list.
            where: position of an entry, with ``{n}`` for its index from 0 or ``{n1}`` for that from
                1.

        Raises:
            DataError: one is not an object with a name and captions.
        """
        for number, entry in enumerate(entries):
            if (made := self.row(where.format(n=number, n1=number + 1), entry)) is not None:
                yield made

    def row(self, where: str, entry: Any) -> Record | None:
        """Validate one row; None, with a problem recorded, if it names no file.

        Raises:
            DataError: it is not an object with a name and captions, or a value is implausible.
        """
        place = f"{self.source}, {where}"
        if not isinstance(entry, Mapping):
            raise DataError(f"{place}: must be an object with {NEEDED} (given: {entry!r:.80}).")
        keys = [key for key in NAME_KEYS if key in entry]
        said = [entry[key] for key in _CAPTION_KEYS if key in entry]
        if not said and self.text_column and "text" in entry:
            said = [entry["text"]]
        if not keys or not said:
            found = ", ".join(map(repr, list(entry)[:10])) or "nothing"
            raise DataError(f"{place}: needs {NEEDED} (found: {found:.200}).")
        _check_one_file(place, keys)
        given = [one for one in said if not _is_empty(one)]
        if len(given) > 1:
            raise DataError(f"{place}: caption and captions are both given. Keep one of them.")
        first = (given or said)[0]
        captions = first if isinstance(first, list) and first else ["" if first == [] else first]
        self.count += len(captions)
        named = {key: name for key in keys if (name := _name(entry[key], place)).strip()}
        if not named:
            self.leave_out("malformed line", where, "no file is given", len(captions))
            return None
        names = tuple(dict.fromkeys(named.values()))
        return Record(
            names[0],
            [_caption(caption, place) for caption in captions],
            names,
            _split(entry.get("split"), place),
            _span(place, named, entry),
            where,
        )

    def leave_out(self, kind: str, where: str, reason: str, rows: int = 1) -> None:
        """Record a row that cannot be used, and how many captions it has."""
        self.problems.append(Problem(kind, f"{self.label}, {where}", reason, rows))

    def _check_columns(self, header: Header) -> None:
        columns = [name for name in header.columns if name]
        twice = [f"the column {name!r} twice" for name in _twice(columns)]
        missing = [] if any(name in columns for name in NAME_KEYS) else ["no column 'image'"]
        said = (*_CAPTION_KEYS, "text") if self.text_column else _CAPTION_KEYS
        missing += [] if any(name in columns for name in said) else ["no column 'caption'"]
        if twice or missing:
            raise DataError(
                f"{self.source}: {' and '.join(twice or missing)}; the first line must name the "
                f"columns {NEEDED}, each once; found: {', '.join(map(repr, columns[:20])):.200}"
                f"{'; add it, such as image,caption' if any(map(is_media, columns)) else ''}."
            )
        _check_one_file(self.source, columns)


def is_table(text: str) -> bool:
    """Whether the first line names the columns of a table of captions."""
    header = header_of(text, _KNOWN)
    return (
        header is not None
        and not {"caption", "captions"}.isdisjoint(header.columns)
        and not set(NAME_KEYS).isdisjoint(header.columns)
    )


def is_json_lines(text: str) -> bool:
    """Whether text that starts like JSON has one object on each line."""
    first, *rest = lines(text.strip())
    return first.startswith("{") and first.rstrip().endswith("}") and bool(rest)


def parse_json(text: str, where: str) -> Any:
    """Parse untrusted JSON.

    Raises:
        DataError: not JSON, too deeply nested or too large, or an object has a key twice. ``where``
            begins the message.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not usable JSON: {error}.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = _twice([key for key, _ in pairs])[0]
        raise ValueError(f"the key {twice!r:.80} twice in one object")
    return made


def id_text(value: object) -> str | None:
    """The text of an id, which may be an integer (42, or 42.0 as written by pandas); else None."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None


def _utf8_cells(source: str, row: Cells, header: Header) -> Mapping[str, str]:
    """The cells of a row, all but the names as UTF-8, and with decimal commas replaced by points.

    Raises:
        DataError: a byte of another cell is not UTF-8.
    """
    cells = dict(row.cells)
    for key in ("caption", "captions", "text", "split"):
        if key in cells and is_escaped(cells[key]):
            raise not_utf8(
                f"{source}, {row.where}: cannot be read: not UTF-8 text (the {key} "
                f"{cells[key]!r:.80})"
            )
    if header.delimiter != ",":
        cells.update(
            (key, cells[key].replace(",", ".")) for key in ("start", "end") if key in cells
        )
    return cells


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _is_empty(given: object) -> bool:
    return given is None or given == [] or (isinstance(given, str) and not given.strip())


def _check_one_file(where: str, names: Sequence[str]) -> None:
    named = [name for name in _FILES if name in names]
    if len(named) > 1:
        raise DataError(
            f"{where}: {' and '.join(named)} both name a file. Keep the one that is captioned."
        )


def _name(value: object, place: str) -> str:
    name = "" if value is None else id_text(value)
    if name is None:
        raise DataError(
            f"{place}: an image is named by a whole number or a text (given: {value!r:.80})."
        )
    if len(name) > MAX_CHARACTERS:
        raise DataError(
            f"{place}: the name of an image has 1 to {MAX_CHARACTERS:,} characters (given: "
            f"{len(name):,})."
        )
    return name


def _caption(caption: object, place: str) -> str:
    caption = "" if caption is None else caption
    if not isinstance(caption, str):
        raise DataError(f"{place}: a caption must be text (given: {caption!r:.80}).")
    if len(caption) > MAX_CHARACTERS:
        raise DataError(
            f"{place}: a caption of {len(caption):,} characters; at most {MAX_CHARACTERS:,} are "
            "allowed."
        )
    return writable("\n".join(lines(caption)) if "\r" in caption else caption)


def _split(given: object, place: str) -> str | None:
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    split = split_name(given) if isinstance(given, str) else None
    if split is None:
        raise DataError(
            f"{place}: unknown split {given!r:.80}. "
            "Allowed: train, dev (or val, valid), test, none, or an empty cell."
        )
    return split


def _span(place: str, named: Mapping[str, str], entry: Mapping[str, Any]) -> Span:
    """The span of a clip that a row is about: its ``start`` and ``end`` in seconds."""
    if "start" not in entry and "end" not in entry:
        return None
    given = [entry.get(key) for key in ("start", "end")]
    if all(value is None or (isinstance(value, str) and not value.strip()) for value in given):
        return None
    start, end = map(_seconds, given)
    if start is None or end is None or not 0 <= start < end:
        raise DataError(
            f"{place}: start {given[0]!r:.40} and end {given[1]!r:.40} must be seconds, such as "
            "12.5, the start 0 or more and the end after it. Leave both empty for the whole clip."
        )
    if not any(is_clip(name) for name in named.values()) and (
        not set(_CLIPS) & named.keys()
        or any(PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES for name in named.values())
    ):
        raise DataError(
            f"{place}: start and end are for clips, but {next(iter(named.values()))!r:.80} does "
            f"not have the suffix of a clip. Leave both empty."
        )
    return start, end


def _seconds(given: object) -> float | None:
    """A finite number, or None if the value is not one."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        seconds = float(given)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None
