"""Tables of users' own data: CSV, TSV, JSON lines, or a JSON list.

They name an ``image``, ``video`` or ``clip`` and its ``caption``, in the columns known to
:mod:`negah.data.rows`. ``split`` is optional, and so are ``start`` and ``end``, the span of a clip
in seconds. The common CSV layout of Flickr8k is such a table; the official lists of parts are used
if they are in the same folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from negah.data.examples import Example, common_folder
from negah.data.formats.flickr8k import official_splits, unknown_names
from negah.data.formats.places import clip_folders, image_folders
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.formats.written import file_name, plain_row
from negah.data.names import spelling
from negah.data.records import Reading, Record
from negah.data.rows import NAME_KEYS, RowReader, is_table
from negah.files import to_csv, write_text
from negah.json_layout import to_json

_SUFFIXES = (".csv", ".tsv")
_COLUMNS = ("image", "caption", "split", "start", "end")


class Table(Format):
    """A CSV or TSV with a header line, JSON lines, or a JSON list of objects."""

    files = tuple(f"captions.{suffix}" for suffix in ("txt", "csv", "tsv", "jsonl"))
    beside = ("Flickr_8k.*Images.txt",)
    last = True
    suffixes = (".csv", ".jsonl")

    def sniff(self, source: Source) -> bool:
        """By the suffix, the header, or JSON objects."""
        if source.suffix in _SUFFIXES:
            return True
        if not source.is_json:
            return is_table(source.text)
        if source.is_json_lines or isinstance(source.json, list):
            return True
        return isinstance(source.json, dict) and not source.json.keys().isdisjoint(NAME_KEYS)

    def read(self, source: Source) -> Reading:
        """Read all rows; several may name the same file and span.

        In JSON, a list ``captions`` may replace ``caption``.

        Raises:
            DataError: a column is missing, a part is unknown, a span is impossible, a line is
                no JSON, or a quote does not close.
        """
        reader = RowReader(source.label, source.short)
        records = list(_rows(source, reader))
        problems = reader.problems
        listed = any(record.split for record in records)
        official = {} if listed else official_splits(source.folder)
        if official:
            for record in records:
                record.split = official.get(spelling(record.name), "none")
            problems.extend(unknown_names(official, (record.name for record in records)))
        folders = [*image_folders(source.folder), *clip_folders(source.folder)]
        return Reading(records, list(dict.fromkeys(folders)), problems, reader.count)

    def write(
        self,
        examples: Sequence[Example],
        output: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write a row for each caption (CSV), or a line for each picture (``.jsonl``)."""
        folder = common_folder(examples)
        names = [file_name(example, folder) for example in examples]
        if output.suffix.lower() == ".jsonl":
            lines = [
                to_json({"image": name, **plain_row(example)})
                for name, example in zip(names, examples, strict=True)
            ]
            text = "\n".join(lines) + "\n"
        else:
            spans = any(example.span for example in examples)
            columns = _COLUMNS if spans else _COLUMNS[:3]
            rows = [
                (name, caption, example.split, *((example.span or ("", "")) if spans else ()))
                for name, example in zip(names, examples, strict=True)
                for caption in example.captions
            ]
            text = to_csv(columns, *rows)
        write_text(output, text, fresh=True)
        if progress is not None:
            progress(len(examples), len(examples))
        return folder


def _rows(source: Source, reader: RowReader) -> Iterator[Record]:
    if source.suffix in _SUFFIXES and not source.text.lstrip().startswith("{"):
        return reader.table(source.text)
    if source.is_json_lines:
        return reader.json_lines(source.text)
    if isinstance(source.json, list):
        return reader.entries(source.json, "entry {n1}")
    if source.is_json:
        return reader.entries([source.json], "line {n1}")
    return reader.table(source.text)


TABLE = Table()
