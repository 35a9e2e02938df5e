"""Captions as text, JSON, JSON lines, CSV or subtitles, written as they come.

A writer gets one photo or one scene of a clip at a time and writes to standard output, or to a
file that appears under its name when it is complete.
"""

from __future__ import annotations

import csv
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from negah.captions import Caption, SceneCaption
from negah.cli.clock import Span, clock
from negah.errors import UsageError
from negah.files import atomic_path


class Format(StrEnum):
    """How captions are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    SRT = "srt"
    VTT = "vtt"

    @property
    def is_track(self) -> bool:
        """Whether a file of it belongs to one clip."""
        return self in (Format.SRT, Format.VTT)


@dataclass(frozen=True, slots=True)
class Layout:
    """What captions are written as.

    Attributes:
        form: the format.
        names: whether text lines begin with the path.
        evidence: whether JSON holds the words and their evidence.
        ranks: whether CSV numbers several captions of a photo.
        scenes: whether text and CSV tell from when to when a caption holds.
    """

    form: Format = Format.TEXT
    names: bool = False
    evidence: bool = True
    ranks: bool = False
    scenes: bool = False


class Writer(ABC):
    """Where the captions of a run go."""

    @abstractmethod
    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """Write the caption of one photo, clip or scene, and its alternatives.

        Args:
            path: the file.
            caption: of it.
            span: of a clip or scene, from when to when it lasts.

        Raises:
            MediaError: those of this file cannot be written; others may be.
        """

    def close(self, path: Path) -> None:  # noqa: B027 - most have nothing to do
        """Everything of this file has been written.

        Raises:
            MediaError: as :meth:`write`.
        """

    def finish(self) -> None:  # noqa: B027 - most have nothing to add
        """Write what stands behind the last caption."""


class TextWriter(Writer):
    """``path: caption``, a line for every caption; ``caption`` alone without ``names``.

    With ``scenes``, ``0:03.2 - 0:07.9  caption``.
    """

    def __init__(self, stream: TextIO, layout: Layout) -> None:
        self._stream = stream
        self._layout = layout

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        start = f"{path}: " if self._layout.names else ""
        if self._layout.scenes and span is not None:
            start += f"{clock(span[0])} - {clock(span[1])}  "
        for one in (caption, *caption.alternatives):
            print(f"{start}{one.text}", file=self._stream)
        self._stream.flush()


class JsonLinesWriter(Writer):
    """An object a line: ``path``, of a clip ``start`` and ``end``, and the caption's own."""

    def __init__(self, stream: TextIO, layout: Layout) -> None:
        self._stream = stream
        self._layout = layout

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        print(self._json(path, caption, span), file=self._stream, flush=True)

    def _json(self, path: Path, caption: Caption, span: Span | None) -> str:
        row = (caption if span is None else SceneCaption(*span, caption)).to_dict()
        if not self._layout.evidence:
            for one in (row, *row.get("alternatives", ())):
                del one["words"], one["times"]
        return json.dumps({"path": str(path), **row}, ensure_ascii=False, allow_nan=False)


class JsonWriter(JsonLinesWriter):
    """One array of the objects of :class:`JsonLinesWriter`, an object a line."""

    def __init__(self, stream: TextIO, layout: Layout) -> None:
        super().__init__(stream, layout)
        self._before = "[\n"

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        row = self._json(path, caption, span)
        print(self._before + row, end="", file=self._stream, flush=True)
        self._before = ",\n"

    def finish(self) -> None:
        """Close the array."""
        print("[]" if self._before == "[\n" else "\n]", file=self._stream, flush=True)


class CsvWriter(Writer):
    """Columns ``path,caption,score``.

    With ``scenes``, ``start`` and ``end`` in seconds follow the path; with ``ranks``, ``rank``
    from 1 follows the score.
    """

    def __init__(self, stream: TextIO, layout: Layout) -> None:
        self._stream = stream
        self._layout = layout
        self._csv = csv.writer(stream, lineterminator="\n")
        times = ["start", "end"] if layout.scenes else []
        ranks = ["rank"] if layout.ranks else []
        self._csv.writerow(["path", *times, "caption", "score", *ranks])

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        times: list[str] = []
        if self._layout.scenes:
            times = ["", ""] if span is None else [f"{time:.3f}" for time in span]
        for rank, one in enumerate((caption, *caption.alternatives), start=1):
            row: list[Any] = [path, *times, one.text, f"{one.score:.4f}"]
            self._csv.writerow([*row, rank] if self._layout.ranks else row)
        self._stream.flush()


@contextmanager
def open_writer(output: Path | None, layout: Layout) -> Iterator[Writer]:
    """A writer to ``output``, or to standard output where that is None.

    A file appears, or is replaced, when the block ends without an exception.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None:
        # File names need not be valid text; these bytes come out as they went in.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="surrogateescape")
        yield from _writing(sys.stdout, layout)
        return
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder; give the name of a file in it")
    try:
        with (
            atomic_path(output) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            yield from _writing(file, layout)
    except OSError as error:
        raise UsageError(
            f"cannot write --output {output}: {error.strerror or error}; choose another place"
        ) from error


def make_writer(stream: TextIO, layout: Layout) -> Writer:
    """A writer in the layout's format; :meth:`Writer.finish` is the caller's to call."""
    from negah.cli.subtitles import SrtWriter, VttWriter

    match layout.form:
        case Format.TEXT:
            return TextWriter(stream, layout)
        case Format.JSON:
            return JsonWriter(stream, layout)
        case Format.JSONL:
            return JsonLinesWriter(stream, layout)
        case Format.CSV:
            return CsvWriter(stream, layout)
        case Format.SRT:
            return SrtWriter(stream)
        case Format.VTT:
            return VttWriter(stream)


def _writing(stream: TextIO, layout: Layout) -> Iterator[Writer]:
    writer = make_writer(stream, layout)
    yield writer
    writer.finish()
