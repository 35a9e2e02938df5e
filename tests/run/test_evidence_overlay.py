"""The picture of a caption's evidence: sizes, where the light falls, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from negah.captions import Caption, Word
from negah.errors import UsageError
from negah.evidence import draw_evidence
from negah.evidence.letters import letters

GRID = (4, 4)


def _caption(cells: list[tuple[int, int]], gate: float | None = 0.5) -> Caption:
    words = []
    for index, cell in enumerate(cells):
        regions = np.zeros((1, *GRID), dtype=np.float32)
        regions[(0, *cell)] = 1.0
        words.append(Word(f"w{index}", -1.0, gate=gate, regions=regions))
    return Caption(" ".join(w.text for w in words), -1.0, -1.0, tuple(words))


def _tile(sheet: Image.Image, index: int, tile: int, height: int, top: int) -> np.ndarray:
    x = 10 + index * (tile + 10)
    return np.asarray(sheet.crop((x, top, x + tile, top + height)), dtype=np.float64)


def _top(sheet: Image.Image, bars: int) -> int:
    """Where the last row of square tiles of 160 pixels begins; below are a word and its bars."""
    line = letters(160 // 11).height + 4
    return sheet.height - 20 - 160 - line - bars * (line + 8)


@pytest.mark.parametrize("cell", [(0, 0), (0, 3), (3, 0), (2, 1)])
def test_the_light_falls_on_the_heaviest_cell(cell: tuple[int, int]) -> None:
    photo = Image.new("RGB", (160, 160), (200, 200, 200))
    other = (3, 3)
    sheet = draw_evidence(photo, _caption([cell, other]), columns=3, tile=160)
    tile = _tile(sheet, 1, 160, 160, _top(sheet, bars=1)).mean(-1)
    light = tile.reshape(4, 40, 4, 40).mean((1, 3))
    assert np.unravel_index(light.argmax(), light.shape) == cell


def test_even_weights_light_nothing_more_than_the_rest() -> None:
    photo = Image.new("RGB", (160, 160), (200, 200, 200))
    even = np.full((1, *GRID), 1 / 16, dtype=np.float32)
    caption = Caption("a b", -1.0, -1.0, (Word("a", -1, regions=even), Word("b", -1, regions=even)))
    sheet = draw_evidence(photo, caption, columns=3, tile=160)
    tile = _tile(sheet, 1, 160, 160, _top(sheet, bars=0))
    assert np.ptp(tile[5:-5, 5:-5].mean(-1)) < 2


@pytest.mark.parametrize("size", [(640, 100), (100, 640), (1, 1), (300, 200)])
@pytest.mark.parametrize("words", [1, 4, 13])
def test_any_photo_and_any_length(size: tuple[int, int], words: int) -> None:
    sheet = draw_evidence(Image.new("RGB", size), _caption([(0, 0)] * words))
    assert sheet.mode == "RGB"
    assert sheet.width <= 5 * 250 + 10


def test_a_long_caption_is_shortened_not_cut_off() -> None:
    caption = _caption([(0, 0)])
    long = Caption("word " * 200, -1.0, -1.0, caption.words)
    assert draw_evidence(Image.new("RGB", (50, 50)), long).width <= 520


@pytest.mark.parametrize(
    "words",
    [
        (),
        (Word("a", -1.0),),
        (Word("a", -1.0, regions=np.full((2, 3, 3), 1 / 9, dtype=np.float32)),),
    ],
    ids=["no words", "no regions", "a clip"],
)
def test_what_cannot_be_drawn_is_refused(words: tuple[Word, ...]) -> None:
    with pytest.raises(UsageError, match="region"):
        draw_evidence(Image.new("RGB", (20, 20)), Caption("a", -1.0, -1.0, words))
