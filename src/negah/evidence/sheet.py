"""Shared drawing helpers of evidence pictures: colours, light and bars.

Axes: T words, H grid rows, W grid columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from negah.arrays import FloatArray
from negah.captions import Word
from negah.evidence.letters import Letters
from negah.text import Language

PAPER = (250, 249, 246)
INK = (28, 30, 34)
QUIET = (120, 122, 128)
EMPTY = (230, 228, 222)
GATE = (170, 165, 150)
SEEN = (214, 120, 32)
FRAME = (62, 105, 158)
_LIGHT = np.array([255, 176, 59], dtype=np.float32)


def against_mean(weights_THW: FloatArray) -> FloatArray:
    """The attention of each word to each cell relative to the mean over words, scaled to 0..1."""
    # the added tenth of an even share keeps cells that no word looked at from lighting up
    relative = weights_THW / (weights_THW.mean(0) + 0.1 / weights_THW[0].size)
    return scaled(relative)


def scaled(relative: FloatArray) -> FloatArray:
    """Weights, relative to what would be nothing special, as light between 0 and 1."""
    return np.asarray(np.clip((relative - 0.7) / 0.8, 0, 1), dtype=np.float32)


def lit(photo: Image.Image, weights_HW: FloatArray) -> Image.Image:
    """The photo in colour where the weights, 0 to 1, are high, and dim and grey elsewhere."""
    enlarged = Image.fromarray(weights_HW).resize(photo.size, Image.Resampling.BICUBIC)
    mask = np.clip(np.asarray(enlarged), 0, 1)[..., None]
    pixels = np.asarray(photo, dtype=np.float32)
    grey = pixels.mean(-1, keepdims=True) * 0.35 + 20
    shown = grey * (1 - mask) + (pixels * 0.85 + _LIGHT * 0.15) * mask
    return Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8))


class ValueBar(NamedTuple):
    """A number of a word between 0 and 1, as it is drawn.

    Attributes:
        name: of the number.
        value: from 0 to 1.
        colour: of the bar.
    """

    name: str
    value: float
    colour: tuple[int, int, int]


def bars_of(word: Word) -> list[ValueBar]:
    """The numbers of a word that are drawn.

    ``seen`` where it has one; the gate beside attention, since both are outputs of the model, and
    not beside a map, which was measured.
    """
    seen = word.seen
    bars = [] if seen is None else [ValueBar("seen", seen, SEEN)]
    if word.gate is not None and word.map is None:
        bars.append(ValueBar("gate", word.gate, GATE))
    return bars


def draw_bar(
    draw: ImageDraw.ImageDraw,
    bar: ValueBar,
    corner: tuple[int, int],
    width: int,
    writing: tuple[Letters, Language],
) -> None:
    """A bar of ``width`` pixels with its name and number above; ``corner`` is of these.

    From the right in a language that is read from there.
    """
    (x, y), (letters, own) = corner, writing
    below = y + letters.height + 2
    draw.rectangle((x, below, x + width - 1, below + 5), fill=EMPTY)
    filled = max(1, round(bar.value * (width - 1)))
    start = x + width - 1 - filled if letters.rtl else x
    draw.rectangle((start, below, start + filled, below + 5), fill=bar.colour)
    name, number = own.say(bar.name), own.number(f"{bar.value:.2f}")
    first, last = (number, name) if letters.rtl else (name, number)
    letters.draw(draw, (x, y), first, QUIET)
    letters.draw(draw, (x + width - letters.width(last), y), last, QUIET)
