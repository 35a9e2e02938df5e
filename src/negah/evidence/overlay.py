"""A caption as a picture: the photo once for every word, lit where the model looked.

The region weights of a word are enlarged to the photo and set against the weights' mean over
the words, so that what is drawn is where this word looked more than the others did. Weights
that do not differ leave the tile evenly dim: nothing is invented. Under each tile stand the
word and, for models with a gate, a bar: the gate, an output of the model.

Axes: T words, H grid rows, W grid columns.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from negah.arrays import FloatArray
from negah.captions import Caption
from negah.errors import UsageError
from negah.evidence.sheet import (
    INK,
    PAPER,
    QUIET,
    against_mean,
    draw_gate,
    fit,
    font,
    lit,
    text_height,
)

_GAP = 10


def draw_evidence(
    photo: Image.Image,
    caption: Caption,
    *,
    columns: int = 5,
    tile: int = 240,
    label: str = "the photo",
) -> Image.Image:
    """Draw a caption's evidence.

    Args:
        photo: the photo that was captioned, upright.
        caption: its caption, with region weights.
        columns: tiles beside each other.
        tile: width of a tile in pixels.
        label: what stands under the photo itself.

    Raises:
        UsageError: the caption has no region weights (a model without attention, or a clip).
    """
    weights_THW = _weights(caption)
    columns = max(1, min(columns, len(caption.words) + 1))
    height = round(tile * min(1.5, max(0.4, photo.height / photo.width)))
    small = photo.convert("RGB").resize((tile, height), Image.Resampling.LANCZOS)
    body, title = font(tile // 11), font(tile // 9)
    foot = round(tile * 0.2)
    rows = math.ceil((len(caption.words) + 1) / columns)
    head = text_height(title) + 2 * _GAP
    size = (columns * (tile + _GAP) + _GAP, head + rows * (height + foot + _GAP) + _GAP)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), fit(caption.text, title, size[0] - 2 * _GAP), INK, font=title)
    for index in range(len(caption.words) + 1):
        row, column = divmod(index, columns)
        x, y = _GAP + column * (tile + _GAP), head + row * (height + foot + _GAP)
        if index == 0:
            sheet.paste(small, (x, y))
            draw.text((x, y + height + 4), label, QUIET, font=body)
            continue
        word = caption.words[index - 1]
        sheet.paste(lit(small, weights_THW[index - 1]), (x, y))
        draw.text((x, y + height + 4), fit(word.text, body, tile), INK, font=body)
        if word.gate is not None:
            draw_gate(draw, word.gate, (x, y + height + foot - 12), tile, body)
    return sheet


def _weights(caption: Caption) -> FloatArray:
    """How much more than the average word each word looked at each cell, scaled to 0..1."""
    maps = [word.regions for word in caption.words]
    if not maps or any(regions is None or regions.shape[0] != 1 for regions in maps):
        raise UsageError(
            "this caption has no region weights of one photo to draw; "
            "use a model with region attention, such as cam-rnn"
        )
    weights_THW = np.stack([regions[0] for regions in maps if regions is not None])
    return against_mean(weights_THW)
