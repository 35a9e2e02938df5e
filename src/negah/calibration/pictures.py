"""Generated pictures that are not photographs: blank, noise, gradients, text, charts, icons.

A captioner writes something for every picture; these are included in a calibration so that their
captions get a low confidence.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from negah.arrays import ByteArray

_Random = np.random.Generator
_WORDS = [
    *("the", "of", "and", "report", "total", "date", "name", "page", "order"),
    *("price", "meeting", "summary", "error", "save", "file", "open", "chapter", "figure"),
    *("table", "notes", "invoice", "address", "number", "monday", "result", "value", "please"),
    *("account", "letter"),
]


def not_a_photo(number: int) -> Image.Image:
    """A picture that is not a photograph, RGB; determined by the number."""
    random = np.random.default_rng([20260, number])
    sides = [int(side) for side in random.integers(160, 480, 2)]
    return KINDS[number % len(KINDS)](random, (sides[0], sides[1]))


def _colour(random: _Random) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _paper(random: _Random) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """A ground and a colour to write in."""
    choice = int(random.integers(0, 4))
    if choice < 2:
        return (255, 255, 255), (0, 0, 0)
    if choice == 2:
        return (24, 24, 28), (230, 230, 230)
    ground = _colour(random)
    bright = sum(ground) > 380
    return ground, (0, 0, 0) if bright else (255, 255, 255)


def _blank(random: _Random, size: tuple[int, int]) -> Image.Image:
    greys = [(255, 255, 255), (0, 0, 0), (128, 128, 128)]
    choice = int(random.integers(0, 6))
    return Image.new("RGB", size, greys[choice] if choice < len(greys) else _colour(random))


def _noise(random: _Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    cell = int(random.choice([1, 1, 2, 4, 8, 16, 32]))
    shape = (max(1, height // cell), max(1, width // cell))
    if random.random() < 0.5:
        values = random.integers(0, 256, (*shape, 3))
    else:
        grey = np.clip(random.normal(128, random.uniform(10, 70), (*shape, 1)), 0, 255)
        values = np.broadcast_to(grey, (*shape, 3))
    filters = [Image.Resampling.NEAREST, Image.Resampling.BICUBIC]
    how = filters[int(random.integers(0, 2))]
    return Image.fromarray(values.astype(np.uint8)).resize(size, how)


def _gradient(random: _Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    x_HW, y_HW = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    if random.random() < 0.6:
        angle = random.uniform(0, 2 * np.pi)
        ramp_HW = np.cos(angle) * x_HW + np.sin(angle) * y_HW
    else:
        centre = random.uniform(-0.6, 0.6, 2)
        ramp_HW = np.hypot(x_HW - centre[0], y_HW - centre[1])
    ramp_HW = (ramp_HW - ramp_HW.min()) / np.ptp(ramp_HW)
    first, last = np.array(_colour(random)), np.array(_colour(random))
    pixels_HW3: ByteArray = (first + ramp_HW[..., None] * (last - first)).astype(np.uint8)
    return Image.fromarray(pixels_HW3)


def _text(random: _Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    ground, ink = _paper(random)
    picture = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(picture)
    points = int(random.integers(9, 48))
    font = ImageFont.load_default(points)
    margin, step = int(random.integers(4, 30)), int(points * random.uniform(1.1, 1.8))
    lines = int(random.integers(1, 40))
    for line in range(min(lines, (height - margin) // step)):
        words = random.choice(_WORDS, max(1, int(random.uniform(0.4, 1) * width / points / 2)))
        draw.text((margin, margin + line * step), " ".join(words), ink, font)
    return picture


def _chart(random: _Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    ground, ink = _paper(random)
    picture = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(picture)
    left, bottom, top = 30, height - 25, 15
    draw.line([(left, top), (left, bottom), (width - 10, bottom)], ink, 2)
    for place in range(4):
        level = top + place * (bottom - top) // 4
        draw.text((4, level), str(100 - 25 * place), ink, ImageFont.load_default(10))
        if random.random() < 0.5:
            draw.line([(left, level), (width - 10, level)], (200, 200, 200))
    values = random.uniform(0.05, 0.95, int(random.integers(3, 12)))
    step = (width - left - 15) / len(values)
    tops = [bottom - value * (bottom - top) for value in values]
    kind = int(random.integers(0, 4))
    if kind == 0:
        for place, y in enumerate(tops):
            x = left + 5 + place * step
            draw.rectangle([x, y, x + 0.7 * step, bottom], _colour(random))
    elif kind == 1:
        points = [(left + 5 + place * step, y) for place, y in enumerate(tops)]
        draw.line(points, _colour(random), int(random.integers(1, 5)))
    elif kind == 2:
        for _ in range(int(random.integers(20, 120))):
            x, y = random.uniform(left, width - 10), random.uniform(top, bottom)
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], _colour(random))
    else:
        ends = np.concatenate([[0], np.cumsum(values) / values.sum() * 360])
        side = min(width, height) - 20
        picture.paste(ground, (0, 0, width, height))
        for start, end in itertools.pairwise(ends.tolist()):
            draw.pieslice([10, 10, 10 + side, 10 + side], start, end, _colour(random))
    return picture


def _icon(random: _Random, size: tuple[int, int]) -> Image.Image:
    width, height = size
    picture = Image.new("RGB", size, _paper(random)[0])
    draw = ImageDraw.Draw(picture)
    extent = min(size) * random.uniform(0.3, 0.9)
    for _ in range(int(random.integers(1, 5))):
        x, y = (width - extent) / 2, (height - extent) / 2
        box = [x, y, x + extent, y + extent]
        colour, kind = _colour(random), int(random.integers(0, 5))
        if kind == 0:
            draw.ellipse(box, colour)
        elif kind == 1:
            draw.rounded_rectangle(box, extent / 6, colour)
        elif kind == 2:
            draw.polygon([(x + extent / 2, y), (x + extent, y + extent), (x, y + extent)], colour)
        elif kind == 3:
            draw.arc(box, 0, int(random.integers(90, 360)), colour, max(3, int(extent / 8)))
        else:
            middle = (x + extent / 2, y + extent / 2)
            draw.regular_polygon((*middle, extent / 2), int(random.integers(3, 9)), fill=colour)
        extent *= random.uniform(0.4, 0.8)
    return picture


#: One function a kind, by turns.
KINDS: tuple[Callable[[_Random, tuple[int, int]], Image.Image], ...] = (
    _blank,
    _noise,
    _gradient,
    _text,
    _chart,
    _icon,
)
