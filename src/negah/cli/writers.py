"""Captions as text, JSON, JSON lines, CSV, subtitles or a page, written as they come.

A writer gets one photo or one scene of a clip at a time and writes rows to standard output, or to a
file that appears under its name when the run ends, however it ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from negah.captions import Caption, SceneCaption
from negah.cli.clock import Span, clock
from negah.cli.marks import marked
from negah.cli.streams import StandardRows
from negah.files import open_output, to_csv, to_json
from negah.media import MAX_PIXELS


class Format(StrEnum):
    """How captions are written."""

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
        mark: whether text marks things that are more likely not there than there.
        bom: whether CSV begins with a byte-order mark.
        model: that captions, as the user named it; None for the bundled ones.
        max_pixels: of pictures that are opened for their thumbnails.
    """

    form: Format = Format.TEXT
    names: bool = False
    evidence: bool = True
    ranks: bool = False
    scenes: bool = False
    mark: bool = False
    bom: bool = False
    model: str | None = None
    max_pixels: int = MAX_PIXELS


class Rows(Protocol):
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
        self.text = ""

    def write(self, text: str) -> None:
        """See :class:`Rows`."""
        self.text += text

    begin = end = write


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

    def __init__(self, rows: Rows, layout: Layout) -> None:
        self._rows = rows
        self._layout = layout

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        start = f"{path}: " if self._layout.names else ""
        if self._layout.scenes and span is not None:
            start += f"{clock(span[0])} - {clock(span[1])}  "
        for one in (caption, *caption.alternatives):
            text = marked(one) if self._layout.mark else one.text
            self._rows.write(f"{start}{text}\n")


class JsonLinesWriter(Writer):
    """An object a line: ``path``, of a clip ``start`` and ``end``, and the caption's own."""

    def __init__(self, rows: Rows, layout: Layout) -> None:
        self._rows = rows
        self._layout = layout

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        self._rows.write(self._json(path, caption, span) + "\n")

    def _json(self, path: Path, caption: Caption, span: Span | None) -> str:
        row = (caption if span is None else SceneCaption(*span, caption)).to_dict()
        if not self._layout.evidence:
            for one in (row, *row.get("alternatives", ())):
                del one["words"], one["times"]
        return to_json({"path": str(path), **row})


class JsonWriter(JsonLinesWriter):
    """One array of the objects of :class:`JsonLinesWriter`, an object a line."""

    def __init__(self, rows: Rows, layout: Layout) -> None:
        super().__init__(rows, layout)
        self._before = "[\n"

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        row = self._json(path, caption, span)
        self._rows.write(self._before + row)
        self._before = ",\n"

    def finish(self) -> None:
        """Close the array."""
        self._rows.end("[]\n" if self._before == "[\n" else "\n]\n")


class CsvWriter(Writer):
    """Columns ``path,caption,score``.

    With ``scenes``, ``start`` and ``end`` in seconds follow the path; with ``ranks``, ``rank``
    from 1 follows the score.
    """

    def __init__(self, rows: Rows, layout: Layout) -> None:
        self._rows = rows
        self._layout = layout
        times = ["start", "end"] if layout.scenes else []
        ranks = ["rank"] if layout.ranks else []
        mark = "\ufeff" if layout.bom else ""
        rows.begin(mark + ",".join(["path", *times, "caption", "score", *ranks]) + "\n")

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        times: list[str] = []
        if self._layout.scenes:
            times = ["", ""] if span is None else [f"{time:.3f}" for time in span]
        for rank, one in enumerate((caption, *caption.alternatives), start=1):
            row: list[Any] = [path, *times, one.text, f"{one.score:.4f}"]
            self._rows.write(to_csv([*row, rank] if self._layout.ranks else row))


@contextmanager
def open_writer(output: Path | None, layout: Layout) -> Iterator[Writer]:
    """A writer to ``output``, or to standard output where that is None.

    However the block ends, what was written is kept and closed; see
    :func:`~negah.files.open_output`.

    Raises:
        OutputError: it cannot be written.
    """
    if output is None:
        utf8 = layout.bom or layout.form in (Format.JSON, Format.JSONL, Format.HTML)
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


def make_writer(rows: Rows, layout: Layout) -> Writer:
    """A writer in the layout's format; :meth:`Writer.finish` is the caller's to call."""
    from negah.cli.contact_sheet import HtmlWriter
    from negah.cli.subtitles import SrtWriter, VttWriter

    match layout.form:
        case Format.TEXT:
            return TextWriter(rows, layout)
        case Format.JSON:
            return JsonWriter(rows, layout)
        case Format.JSONL:
            return JsonLinesWriter(rows, layout)
        case Format.CSV:
            return CsvWriter(rows, layout)
        case Format.SRT:
            return SrtWriter(rows)
        case Format.VTT:
            return VttWriter(rows)
        case Format.HTML:
            return HtmlWriter(rows, layout)
