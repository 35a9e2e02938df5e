"""Captions as text, JSON, JSON lines, CSV, subtitles or a page, written as they come.

A writer gets one photo or one scene of a clip at a time and writes rows to standard output, or to a
file that appears under its name when the run ends, however it ends.
"""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from negah.captions import Caption, SceneCaption
from negah.cli.clock import TimeRange, clock
from negah.cli.marks import marked
from negah.cli.streams import StandardRows
from negah.errors import MediaError
from negah.files import open_output, to_csv
from negah.json_layout import to_json
from negah.media import MAX_PIXELS
from negah.text.languages import DEFAULT

#: Provenance of a caption: the hash of the file's content, name and hash of the model, the version
#: of Negah, all decoding options, and the time of captioning.
PROVENANCE = ("sha256", "model", "model_sha256", "negah", "options", "time")


class OutputFormat(StrEnum):
    """Output format."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    SRT = "srt"
    VTT = "vtt"
    HTML = "html"

    @property
    def is_track(self) -> bool:
        """Whether a file of it belongs to one clip."""
        return self in (OutputFormat.SRT, OutputFormat.VTT)


@dataclass(frozen=True, slots=True)
class OutputLayout:
    """What captions are written as.

    Attributes:
        form: the format.
        names: whether text lines begin with the path.
        evidence: whether JSON holds the words and their evidence.
        ranks: whether CSV numbers several captions of a photo.
        scenes: whether text and CSV tell from when to when a caption holds.
        mark: whether text marks things that are more likely not there than there.
        bom: whether CSV begins with a byte-order mark.
        model: that captions, as the user named it; None for the bundled ones.
        language: of the captions, by its code: a page speaks it.
        max_pixels: of pictures that are opened for their thumbnails.
        provenance: whether JSON and CSV tell what is in :data:`PROVENANCE`.
        same_as: whether JSON and CSV tell of which file of equal content a caption is.
    """

    form: OutputFormat = OutputFormat.TEXT
    names: bool = False
    evidence: bool = True
    ranks: bool = False
    scenes: bool = False
    mark: bool = False
    bom: bool = False
    model: str | None = None
    language: str = DEFAULT
    max_pixels: int = MAX_PIXELS
    provenance: bool = False
    same_as: bool = False


class RowOutput(Protocol):
    """Where rows of text go: :class:`~negah.files.RowFile`, ``StandardRows``, ``RowBuffer``."""

    def begin(self, text: str) -> None:
        """Write what stands before the first row."""

    def write(self, text: str) -> None:
        """Write a whole row."""

    def end(self, text: str) -> None:
        """Write what stands behind the last row."""


class RowBuffer:
    """Rows in memory."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        """All rows."""
        return "".join(self._parts)

    def take(self) -> str:
        """All rows, which are then no longer here."""
        text = self.text
        self._parts.clear()
        return text

    def write(self, text: str) -> None:
        """See :class:`RowOutput`."""
        self._parts.append(text)

    begin = end = write


class Writer(ABC):
    """Where the captions of a run go.

    Attributes:
        facts: of the file whose captions follow, by the names in :data:`PROVENANCE`.
    """

    facts: Mapping[str, Any]

    @abstractmethod
    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
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

    def settle(self, path: Path, error: MediaError | None) -> None:  # noqa: B027 - as close
        """Nothing more comes of this file, nor is drawn of it.

        Args:
            path: the file.
            error: why it failed; None where it did not.
        """

    def finish(self) -> None:  # noqa: B027 - most have nothing to add
        """Write what stands behind the last caption."""


class RowWriter(Writer):
    """Writes captions as rows of text, one behind the other.

    Args:
        rows: where they go.
        layout: of them.
    """

    def __init__(self, rows: RowOutput, layout: OutputLayout) -> None:
        self._rows = rows
        self._layout = layout

    def put(self, rows: str) -> None:
        """Write all rows of one file, as a writer of the same layout made them."""
        self._rows.write(rows)

    def copy(self, rows: str, path: Path, original: Path) -> str:
        """The rows of a file, made of those of another one of equal content.

        Args:
            rows: all of the other one.
            path: of the file.
            original: of the other one.

        Raises:
            ValueError: they are none of this layout.
        """
        raise NotImplementedError(f"{self._layout.form} has no copies")


class TextWriter(RowWriter):
    """``path: caption``, a line for every caption; ``caption`` alone without ``names``.

    With ``scenes``, ``0:03.2 - 0:07.9  caption``.
    """

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        start = f"{path}: " if self._layout.names else ""
        if self._layout.scenes and span is not None:
            start += f"{clock(span[0])} - {clock(span[1])}  "
        for one in (caption, *caption.alternatives):
            text = marked(one) if self._layout.mark else one.text
            self.put(f"{start}{text}\n")

    def copy(self, rows: str, path: Path, original: Path) -> str:
        """See :meth:`RowWriter.copy`."""
        parts = rows.split(f"{original}: ")
        if parts[0]:
            raise ValueError("a line begins otherwise")
        return f"{path}: ".join(parts)


class JsonLinesWriter(RowWriter):
    """An object a line: ``path``, of a clip ``start`` and ``end``, and the caption's own.

    With ``provenance``, an object of what :data:`PROVENANCE` names follows; copies have
    ``same_as``.
    """

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        row = (caption if span is None else SceneCaption(*span, caption)).to_dict()
        if not self._layout.evidence:
            for one in (row, *row.get("alternatives", ())):
                del one["words"], one["times"]
        if self._layout.provenance:
            row["provenance"] = {name: self.facts[name] for name in PROVENANCE}
        self.put(to_json({"path": str(path), **row}) + "\n")

    def copy(self, rows: str, path: Path, original: Path) -> str:
        """See :meth:`RowWriter.copy`."""
        same = {"path": str(path), "same_as": str(original)}
        return "".join(to_json(dict(json.loads(line)) | same) + "\n" for line in _split_rows(rows))


class JsonWriter(JsonLinesWriter):
    """One array of the objects of :class:`JsonLinesWriter`, an object a line."""

    def __init__(self, rows: RowOutput, layout: OutputLayout) -> None:
        super().__init__(rows, layout)
        self._before = "[\n"

    def put(self, rows: str) -> None:
        """See :meth:`RowWriter.put`."""
        for row in _split_rows(rows):
            self._rows.write(self._before + row)
            self._before = ",\n"

    def finish(self) -> None:
        """Close the array."""
        self._rows.end("[]\n" if self._before == "[\n" else "\n]\n")


def _split_rows(rows: str) -> list[str]:
    # splitlines would split at ends of lines that JSON may hold
    return rows.removesuffix("\n").split("\n") if rows else []


class CsvWriter(RowWriter):
    """Columns ``path,caption,score``.

    With ``scenes``, ``start`` and ``end`` in seconds follow the path; with ``ranks``, ``rank``
    from 1 follows the score; then ``same_as``, and what :data:`PROVENANCE` names.
    """

    def __init__(self, rows: RowOutput, layout: OutputLayout) -> None:
        super().__init__(rows, layout)
        times = ["start", "end"] if layout.scenes else []
        ranks = ["rank"] if layout.ranks else []
        same_as = ["same_as"] if layout.same_as else []
        provenance = PROVENANCE if layout.provenance else ()
        self._columns = ["path", *times, "caption", "score", *ranks, *same_as, *provenance]
        mark = "\ufeff" if layout.bom else ""
        rows.begin(mark + ",".join(self._columns) + "\n")

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        times: list[str] = []
        if self._layout.scenes:
            times = ["", ""] if span is None else [f"{time:.3f}" for time in span]
        facts: list[Any] = [""] if self._layout.same_as else []
        for name in PROVENANCE if self._layout.provenance else ():
            value = self.facts[name]
            facts.append(to_json(value) if isinstance(value, dict) else value)
        for rank, one in enumerate((caption, *caption.alternatives), start=1):
            row: list[Any] = [path, *times, one.text, f"{one.score:.4f}"]
            self.put(to_csv([*row, *([rank] if self._layout.ranks else []), *facts]))

    def copy(self, rows: str, path: Path, original: Path) -> str:
        """See :meth:`RowWriter.copy`."""
        copied = []
        for row in csv.reader(io.StringIO(rows, newline=""), strict=True):
            if len(row) != len(self._columns):
                raise ValueError("a row has other columns")
            values = dict(zip(self._columns, row, strict=True))
            copied.append([*(values | {"path": path, "same_as": original}).values()])
        return to_csv(*copied)


@contextmanager
def open_writer(output: Path | None, layout: OutputLayout) -> Iterator[Writer]:
    """A writer to ``output``, or to standard output where that is None.

    However the block ends, what was written is kept and closed; see
    :func:`~negah.files.open_output`.

    Raises:
        OutputError: it cannot be written.
    """
    if output is None:
        utf8 = layout.bom or layout.form in (
            OutputFormat.JSON,
            OutputFormat.JSONL,
            OutputFormat.HTML,
        )
        with _finished(make_writer(StandardRows(utf8=utf8), layout)) as writer:
            yield writer
        return
    with open_output(output) as rows, _finished(make_writer(rows, layout)) as writer:
        yield writer


@contextmanager
def _finished(writer: Writer) -> Iterator[Writer]:
    try:
        yield writer
    finally:
        writer.finish()


def make_writer(rows: RowOutput, layout: OutputLayout) -> RowWriter:
    """A writer in the layout's format; :meth:`Writer.finish` is the caller's to call."""
    match layout.form:
        case OutputFormat.TEXT:
            return TextWriter(rows, layout)
        case OutputFormat.JSON:
            return JsonWriter(rows, layout)
        case OutputFormat.JSONL:
            return JsonLinesWriter(rows, layout)
        case OutputFormat.CSV:
            return CsvWriter(rows, layout)
        case OutputFormat.SRT:
            from negah.cli.subtitles import SrtWriter

            return SrtWriter(rows, layout)
        case OutputFormat.VTT:
            from negah.cli.subtitles import VttWriter

            return VttWriter(rows, layout)
        case OutputFormat.HTML:
            from negah.cli.contact_sheet import HtmlWriter

            return HtmlWriter(rows, layout)
