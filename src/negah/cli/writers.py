"""Captions as text, JSON, JSON lines or CSV, written as they come.

A writer gets one photo at a time and writes to standard output, or to a file that appears
under its name when it is complete.
"""

from __future__ import annotations

import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from negah.captions import Caption
from negah.errors import UsageError
from negah.files import atomic_path


class Format(StrEnum):
    """How captions are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Writer(ABC):
    """Where the captions of a run go."""

    @abstractmethod
    def write(self, path: Path, caption: Caption) -> None:
        """Write the caption of one photo and its alternatives.

        Raises:
            MediaError: those of this photo cannot be written; others may be.
        """

    def finish(self) -> None:  # noqa: B027 - most have nothing to add
        """Write what stands behind the last caption."""


class TextWriter(Writer):
    """``path: caption``, a line for every caption; ``caption`` alone without ``names``."""

    def __init__(self, stream: TextIO, *, names: bool) -> None:
        self._stream = stream
        self._names = names

    def write(self, path: Path, caption: Caption) -> None:
        """See :meth:`Writer.write`."""
        for one in (caption, *caption.alternatives):
            print(f"{path}: {one.text}" if self._names else one.text, file=self._stream)
        self._stream.flush()


class JsonLinesWriter(Writer):
    """An object a line: ``path`` and what :meth:`Caption.to_dict` gives."""

    def __init__(self, stream: TextIO, *, evidence: bool) -> None:
        self._stream = stream
        self._evidence = evidence

    def write(self, path: Path, caption: Caption) -> None:
        """See :meth:`Writer.write`."""
        print(self._json(path, caption), file=self._stream, flush=True)

    def _json(self, path: Path, caption: Caption) -> str:
        row = caption.to_dict()
        if not self._evidence:
            for one in (row, *row.get("alternatives", ())):
                del one["words"], one["times"]
        return json.dumps({"path": str(path), **row}, ensure_ascii=False, allow_nan=False)


class JsonWriter(JsonLinesWriter):
    """One array of the objects of :class:`JsonLinesWriter`, an object a line."""

    def __init__(self, stream: TextIO, *, evidence: bool) -> None:
        super().__init__(stream, evidence=evidence)
        self._before = "[\n"

    def write(self, path: Path, caption: Caption) -> None:
        """See :meth:`Writer.write`."""
        print(self._before + self._json(path, caption), end="", file=self._stream, flush=True)
        self._before = ",\n"

    def finish(self) -> None:
        """Close the array."""
        print("[]" if self._before == "[\n" else "\n]", file=self._stream, flush=True)


class CsvWriter(Writer):
    """Columns ``path,caption,score``, and ``rank`` from 1 where several captions are asked for."""

    def __init__(self, stream: TextIO, *, ranks: bool) -> None:
        self._stream = stream
        self._ranks = ranks
        self._csv = csv.writer(stream, lineterminator="\n")
        self._csv.writerow(["path", "caption", "score", *(["rank"] if ranks else [])])

    def write(self, path: Path, caption: Caption) -> None:
        """See :meth:`Writer.write`."""
        for rank, one in enumerate((caption, *caption.alternatives), start=1):
            row: list[Any] = [path, one.text, f"{one.score:.4f}"]
            self._csv.writerow([*row, rank] if self._ranks else row)
        self._stream.flush()


@contextmanager
def open_writer(
    output: Path | None, form: Format, *, names: bool, evidence: bool, ranks: bool
) -> Iterator[Writer]:
    """A writer to ``output``, or to standard output where that is None.

    A file appears, or is replaced, when the block ends without an exception.

    Args:
        output: a file.
        form: how to write.
        names: whether text lines begin with the path.
        evidence: whether JSON holds the words and their evidence.
        ranks: whether CSV numbers several captions of a photo.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None:
        # File names need not be valid text; these bytes come out as they went in.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield from _writing(sys.stdout, form, names=names, evidence=evidence, ranks=ranks)
        return
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder; give the name of a file in it")
    try:
        with (
            atomic_path(output) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            yield from _writing(file, form, names=names, evidence=evidence, ranks=ranks)
    except OSError as error:
        raise UsageError(
            f"cannot write --output {output}: {error.strerror or error}; choose another place"
        ) from error


def _writing(
    stream: TextIO, form: Format, *, names: bool, evidence: bool, ranks: bool
) -> Iterator[Writer]:
    writer: Writer
    if form is Format.TEXT:
        writer = TextWriter(stream, names=names)
    elif form is Format.CSV:
        writer = CsvWriter(stream, ranks=ranks)
    else:
        kind = JsonWriter if form is Format.JSON else JsonLinesWriter
        writer = kind(stream, evidence=evidence)
    yield writer
    writer.finish()
