"""Captions as tracks that a player loads: SubRip (.srt) and WebVTT (.vtt).

A cue stands for a scene, or for the whole clip. WebVTT is written as its specification says
(https://www.w3.org/TR/webvtt1/): ``&``, ``<`` and ``>`` are escaped, so that no cue holds
``-->`` or a tag. SubRip has no escapes; there these signs give way to others that look alike.

Players that take every line for one from the left would put the full stop, or the number, at the
wrong end of a Persian one: there a right-to-left mark stands before and behind, which changes
nothing where the player finds the direction by itself.
"""

from __future__ import annotations

from pathlib import Path

from negah.captions import Caption
from negah.cli.clock import TimeRange, timestamp
from negah.cli.writers import OutputLayout, RowOutput, RowWriter
from negah.text.languages import language_of

_RIGHT_TO_LEFT = "\u200f"
_VTT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SRT = str.maketrans({"<": "\u2039", ">": "\u203a", "{": "(", "}": ")"})


class VttWriter(RowWriter):
    """The cues of one clip in WebVTT."""

    def __init__(self, rows: RowOutput, layout: OutputLayout) -> None:
        super().__init__(rows, layout)
        rows.begin("WEBVTT\n")

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        text = _marked(one_line(caption.text).translate(_VTT), caption.language)
        self.put(f"\n{_times(span, '.')}\n{text}\n")


class SrtWriter(RowWriter):
    """The cues of one clip in SubRip, numbered from 1."""

    def __init__(self, rows: RowOutput, layout: OutputLayout) -> None:
        super().__init__(rows, layout)
        self._number = 0

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        self._number += 1
        text = _marked(one_line(caption.text).translate(_SRT), caption.language)
        before = "\n" if self._number > 1 else ""
        self.put(f"{before}{self._number}\n{_times(span, ',')}\n{text}\n")


def one_line(text: str) -> str:
    """An empty line would end the cue."""
    return " ".join(text.split())


def _marked(text: str, language: str) -> str:
    rtl = language_of(language).direction == "rtl"
    return f"{_RIGHT_TO_LEFT}{text}{_RIGHT_TO_LEFT}" if rtl else text


def _times(span: TimeRange | None, separator: str) -> str:
    if span is None:
        raise ValueError("a cue has times, and a photo has none")
    start = max(0, round(span[0] * 1000))
    # A cue of zero length is never shown.
    end = max(start + 1, round(span[1] * 1000))
    return f"{timestamp(start, separator)} --> {timestamp(end, separator)}"
