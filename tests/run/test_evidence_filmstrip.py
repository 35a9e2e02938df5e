"""The picture of a clip's evidence: where the light and the bars are, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from negah.captions import Caption, Word
from negah.errors import UsageError
from negah.evidence import draw_clip_evidence
from negah.evidence.sheet import FRAME, PAPER

GRID = (4, 4)


def made(count: int, looks: list[tuple[int, tuple[int, int]]], gate: float | None = 0.5) -> Caption:
    """Words that look at one cell of one frame."""
    words = []
    for index, (frame, cell) in enumerate(looks):
        frames = np.full(count, 0.5 / count, np.float32)
        frames[frame] += 0.5
        regions = np.full((count, *GRID), 0.2 / 16, np.float32)
        regions[(frame, *cell)] += 0.8
        words.append(Word(f"w{index}", -1.0, gate=gate, regions=regions, frames=frames))
    times = tuple(float(number) for number in range(count))
    return Caption("a caption", -1.0, -1.0, tuple(words), times=times)


def grey(count: int, size: tuple[int, int] = (160, 120)) -> list[Image.Image]:
    return [Image.new("RGB", size, (200, 200, 200))] * count


@pytest.mark.parametrize(
    "looks",
    [[(0, (0, 0)), (3, (3, 3))], [(2, (0, 3)), (2, (3, 0))], [(1, (2, 1)), (1, (0, 0))]],
)
def test_the_light_falls_on_the_heaviest_cell_of_the_heaviest_frame(
    looks: list[tuple[int, tuple[int, int]]],
) -> None:
    sheet = draw_clip_evidence(grey(4), made(4, looks))
    pixels = np.asarray(sheet, dtype=np.float64)
    # the one frame in a row with a border
    bordered = (pixels == np.array(FRAME)).all(-1)
    columns = [166 + 156 * number for number in range(4)]
    tops = [y for y in range(1, sheet.height - 1) if bordered[y].sum() in (154, 2 * 154)]
    starts = [y for y, before in zip(tops, [-9, *tops], strict=False) if y - before > 60]
    assert len(starts) >= len(looks)
    for (frame, cell), start in zip(looks, starts[:1], strict=False):
        x, y = columns[frame], start + 2
        assert bordered[start, x : x + 150].all()
        tile = pixels[y : y + 112, x : x + 148].mean(-1)
        light = tile.reshape(4, 28, 4, 37).mean((1, 3))
        assert np.unravel_index(light.argmax(), light.shape) == cell


def test_heavier_frames_have_higher_bars() -> None:
    sheet = draw_clip_evidence(grey(4), made(4, [(2, (0, 0))]))
    pixels = np.asarray(sheet, dtype=np.int64)
    strip = pixels[-80:-20]
    inked = [
        int((np.abs(strip[:, 166 + 156 * n + 75] - np.array(PAPER)).sum(-1) > 60).sum())
        for n in range(4)
    ]
    assert max(inked) == inked[2] > inked[0]


@pytest.mark.parametrize("count", [2, 8, 28])
@pytest.mark.parametrize("size", [(640, 100), (100, 640), (1, 1)])
def test_any_frames_and_any_length(count: int, size: tuple[int, int]) -> None:
    looks = [(number % count, (0, 0)) for number in range(12)]
    sheet = draw_clip_evidence(grey(count, size), made(count, looks, gate=None))
    assert sheet.mode == "RGB"
    assert 400 < sheet.width <= 1600


def test_the_same_regions_for_every_word_are_set_against_an_even_share() -> None:
    pair = [draw_clip_evidence(grey(2), made(2, [(0, cell)] * 2)) for cell in [(0, 0), (3, 3)]]
    assert pair[0].size == pair[1].size
    assert np.asarray(pair[0]).tolist() != np.asarray(pair[1]).tolist()


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        (Caption("a", -1, -1, (), times=(0.0, 1.0)), "no frame weights"),
        (Caption("a", -1, -1, (Word("a", -1),), times=(0.0, 1.0)), "no frame weights"),
        (made(3, [(0, (0, 0))]), "made from 3 frames, and 2 are given"),
    ],
)
def test_what_cannot_be_drawn_is_refused(caption: Caption, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw_clip_evidence(grey(2), caption)


def test_a_model_without_regions_shows_the_whole_frame() -> None:
    words = (Word("a", -1, frames=np.array([0.1, 0.9], np.float32)),)
    caption = Caption("a", -1, -1, words, times=(0.0, 1.0))
    sheet = np.asarray(draw_clip_evidence(grey(2), caption))
    assert (sheet[250, 166 + 156 + 40] == 200).all()
