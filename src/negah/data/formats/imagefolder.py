"""imagefolder of the Hugging Face Hub: pictures, and ``metadata.csv``, ``.jsonl`` or ``.parquet``.

The metadata have ``file_name``, which is relative to their folder, and ``caption``, ``captions`` or
``text``. The part comes from a column ``split``, else from the folder: ``train/``, ``validation/``,
``test/``. Layout: https://huggingface.co/docs/datasets/image_dataset.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from negah.data.cells import header_of
from negah.data.examples import Example, split_name
from negah.data.formats.parquet import parquet_rows
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.formats.written import UniqueNames, media_name, plain_row
from negah.data.records import Reading, Record
from negah.data.rows import RowReader
from negah.errors import DataError, OutputError
from negah.files import atomic_path, temporary_folder, write_text
from negah.json_layout import to_json

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_KEY = "file_name"
#: The Hub's names of the parts.
_PARTS = {"dev": "validation"}


class ImageFolder(Format):
    """Metadata in the folder of the pictures, or in the folders of the parts."""

    files = (*_NAMES, *(f"*/{name}" for name in _NAMES))
    many = True
    binary = None
    suffixes = ()

    def sniff(self, source: Source) -> bool:
        """By the name of the file and the column ``file_name``."""
        if source.path.name not in _NAMES:
            return False
        if source.suffix == ".parquet":
            return True
        if source.is_json:
            first = source.text.lstrip().partition("\n")[0]
            return f'"{_KEY}"' in first
        header = header_of(source.text, (_KEY,))
        return header is not None and _KEY in header.columns

    def read(self, source: Source) -> Reading:
        """Read all metadata files.

        Raises:
            DataError: a column is missing, a part is unknown, or a line is no JSON.
        """
        root = source.folder or Path()
        records: list[Record] = []
        reading = Reading(records, [root])
        for path in source.paths:
            own = source if path == source.path else Source([path])
            # with several files, errors and problems name the file
            label = str(path) if len(source.paths) > 1 else source.label
            reader = RowReader(label, _below(path, root), text_column=True)
            folder = PurePosixPath(_below(path, root)).parent
            for record in _rows(own, path, reader):
                names = [(folder / name).as_posix() for name in record.names]
                record.name, record.files = names[0], names
                if record.split is None:
                    record.split = _split(names[0])
                records.append(record)
            reading.problems += reader.problems
            reading.rows += reader.count
        return reading

    def write(
        self,
        examples: Sequence[Example],
        output: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Copy the pictures into a folder for each part, with ``metadata.jsonl`` in each."""
        names = UniqueNames()
        lines: dict[str, list[str]] = {}
        try:
            with temporary_folder(output) as temporary:
                for number, example in enumerate(examples, start=1):
                    part = _PARTS.get(example.split, example.split)
                    name = names.of(f"{part}/{media_name(example)}")
                    _copy(example, temporary / name)
                    row = {_KEY: name.removeprefix(f"{part}/"), **plain_row(example)}
                    lines.setdefault(part, []).append(to_json(row))
                    if progress is not None:
                        progress(number, len(examples))
                for part, rows in lines.items():
                    text = "\n".join(rows) + "\n"
                    write_text(temporary / part / "metadata.jsonl", text)
                temporary.rename(output)
        except OSError as error:
            raise OutputError(output, error) from error


def _copy(example: Example, to: Path) -> None:
    try:
        source = example.path.open("rb")
    except OSError as error:
        raise DataError(f"{example.path}: cannot be read: {error.strerror}.") from None
    with source, atomic_path(to) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(source, file)


def _rows(source: Source, path: Path, reader: RowReader) -> Iterator[Record]:
    if path.suffix == ".parquet":
        return parquet_rows(path, reader)
    return reader.json_lines(source.text) if source.is_json else reader.table(source.text)


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _split(name: str) -> str | None:
    """The part that is named by the first folder of a path, if any."""
    parts = PurePosixPath(name).parts
    return split_name(parts[0]) if len(parts) > 1 else None


IMAGEFOLDER = ImageFolder()
