"""Tracks of subtitles: read back by hand and by FFmpeg, whatever stands in a caption."""

from __future__ import annotations

import html
import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.captions import Caption
from negah.cli.clock import clock, timestamp
from negah.cli.writers import OutputFormat, OutputLayout, RowBuffer, make_writer

Cue = tuple[int, int, str]


def written(form: OutputFormat, cues: list[tuple[float, float, str]]) -> str:
    rows = RowBuffer()
    writer = make_writer(rows, OutputLayout(form))
    for start, end, text in cues:
        writer.write(Path("a.mp4"), Caption(text, -1.0, -1.0, ()), (start, end))
    writer.finish()
    return rows.text


def parsed(form: OutputFormat, text: str) -> list[Cue]:
    """By the grammar of the format: blocks parted by empty lines."""
    blocks = text.rstrip("\n").split("\n\n")
    if form is OutputFormat.VTT:
        assert blocks.pop(0) == "WEBVTT"
    cues = []
    for number, block in enumerate(blocks, start=1):
        lines = block.split("\n")
        if form is OutputFormat.SRT:
            assert lines.pop(0) == str(number)
        mark = "," if form is OutputFormat.SRT else r"\."
        time = rf"(\d\d+):(\d\d):(\d\d){mark}(\d\d\d)"
        found = re.fullmatch(f"{time} --> {time}", lines.pop(0))
        assert found is not None
        h, m, s, ms, h2, m2, s2, ms2 = map(int, found.groups())
        (payload,) = lines
        assert "-->" not in payload
        if form is OutputFormat.VTT:
            assert "<" not in payload
            payload = html.unescape(payload)
        cues.append(
            (((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2, payload)
        )
    return cues


def of_ffmpeg(path: Path) -> list[Cue]:
    with av.open(str(path)) as file:
        stream = file.streams.subtitles[0]
        base = stream.time_base or Fraction(1, 1000)
        return [
            (
                round(packet.pts * base * 1000),
                round((packet.pts + packet.duration) * base * 1000),
                bytes(packet).decode(),
            )
            for packet in file.demux(stream)
            if packet.size
        ]


CUES = [
    (0.0, 3.2, "a man rides a horse"),
    (3.2, 7.9, "salt & pepper"),
    (7.9, 3599.9996, "the <unk> of 1 --> 2"),
    (3600.0, 3661.5, "two\nlines\n\nand more"),
    (360_000.0, 360_001.0, "a hundred hours"),
]


@pytest.mark.parametrize("form", [OutputFormat.SRT, OutputFormat.VTT])
def test_what_is_written_can_be_read(form: OutputFormat, tmp_path: Path) -> None:
    text = written(form, CUES)
    cues = parsed(form, text)
    assert [(start, end) for start, end, _ in cues] == [
        (0, 3200), (3200, 7900), (7900, 3_600_000), (3_600_000, 3_661_500),
        (360_000_000, 360_001_000),
    ]  # fmt: skip
    assert cues[3][2] == "two lines and more"
    if form is OutputFormat.VTT:
        assert [text for _, _, text in cues[1:3]] == [CUES[1][2], CUES[2][2]]
    path = tmp_path / f"track.{form.value}"
    path.write_text(text)
    read = of_ffmpeg(path)
    assert [cue[:2] for cue in read] == [cue[:2] for cue in cues]
    assert [html.unescape(cue[2]) for cue in read] == [cue[2] for cue in cues]


@pytest.mark.parametrize("form", [OutputFormat.SRT, OutputFormat.VTT])
@given(text=st.text(min_size=1), start=st.floats(0, 1e6), length=st.floats(0, 1e4))
def test_any_text_gives_one_cue(form: OutputFormat, text: str, start: float, length: float) -> None:
    ((begin, end, payload),) = parsed(form, written(form, [(start, start + length, f"a {text}")]))
    assert begin < end
    assert begin == round(start * 1000)
    if form is OutputFormat.VTT:
        assert payload == " ".join(f"a {text}".split())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0:00.0"),
        (3.24, "0:03.2"),
        (59.96, "1:00.0"),
        (754.5, "12:34.5"),
        (3599.99, "1:00:00.0"),
        (36_061.0, "10:01:01.0"),
    ],
)
def test_times_for_people(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


def test_times_for_players() -> None:
    assert timestamp(3_661_042, ".") == "01:01:01.042"
    assert timestamp(0, ",") == "00:00:00,000"
