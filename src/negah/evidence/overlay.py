"""A caption as a picture: the photo once for every word, lit where the model looked.

The region weights of a word are enlarged to the photo and set against the weights' mean over
the words, so that what is drawn is where this word looked more than the others did. Weights
that do not differ leave the tile evenly dim: nothing is invented. Under each tile stand the
word and, for models with a gate, a bar: how much of the word came from the picture.

Axes: T words, H grid rows, W grid columns.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from negah.captions import Caption, Word
from negah.errors import UsageError

FloatArray = npt.NDArray[np.float32]

_PAPER = (250, 249, 246)
_INK = (28, 30, 34)
_QUIET = (120, 122, 128)
_BAR = (214, 120, 32)
_GAP = 10
_LIGHT = np.array([255, 176, 59], dtype=np.float32)


def draw_evidence(
    photo: Image.Image, caption: Caption, *, columns: int = 5, tile: int = 240
) -> Image.Image:
    """Draw a caption's evidence.

    Args:
        photo: the photo that was captioned, upright.
        caption: its caption, with region weights.
        columns: tiles beside each other.
        tile: width of a tile in pixels.

    Raises:
        UsageError: the caption has no region weights (a model without attention, or a clip).
    """
    weights_THW = _weights(caption)
    columns = max(1, min(columns, len(caption.words) + 1))
    height = round(tile * min(1.5, max(0.4, photo.height / photo.width)))
    small = photo.convert("RGB").resize((tile, height), Image.Resampling.LANCZOS)
    body, title = _font(tile // 11), _font(tile // 9)
    foot = round(tile * 0.2)
    rows = math.ceil((len(caption.words) + 1) / columns)
    head = _text_height(title) + 2 * _GAP
    size = (columns * (tile + _GAP) + _GAP, head + rows * (height + foot + _GAP) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), _fit(caption.text, title, size[0] - 2 * _GAP), _INK, font=title)
    for index in range(len(caption.words) + 1):
        row, column = divmod(index, columns)
        x, y = _GAP + column * (tile + _GAP), head + row * (height + foot + _GAP)
        if index == 0:
            sheet.paste(small, (x, y))
            draw.text((x, y + height + 4), "the photo", _QUIET, font=body)
            continue
        word = caption.words[index - 1]
        sheet.paste(_lit(small, weights_THW[index - 1]), (x, y))
        draw.text((x, y + height + 4), _fit(word.text, body, tile), _INK, font=body)
        if word.gate is not None:
            _draw_gate(draw, word, (x, y + height + foot - 12), tile, body)
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
    # the added tenth of an even share keeps cells that no word looked at from lighting up
    relative = weights_THW / (weights_THW.mean(0) + 0.1 / weights_THW[0].size)
    return np.asarray(np.clip((relative - 0.7) / 0.8, 0, 1), dtype=np.float32)


def _lit(photo: Image.Image, weights_HW: FloatArray) -> Image.Image:
    enlarged = Image.fromarray(weights_HW).resize(photo.size, Image.Resampling.BICUBIC)
    mask = np.clip(np.asarray(enlarged), 0, 1)[..., None]
    pixels = np.asarray(photo, dtype=np.float32)
    grey = pixels.mean(-1, keepdims=True) * 0.35 + 20
    shown = grey * (1 - mask) + (pixels * 0.85 + _LIGHT * 0.15) * mask
    return Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8))


def _draw_gate(
    draw: ImageDraw.ImageDraw,
    word: Word,
    corner: tuple[int, int],
    width: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    gate = 0.0 if word.gate is None else word.gate
    x, y = corner
    draw.rectangle((x, y, x + width - 1, y + 6), fill=(230, 228, 222))
    draw.rectangle((x, y, x + max(1, round(gate * (width - 1))), y + 6), fill=_BAR)
    label = f"{gate:.2f}"
    draw.text((x + width - font.getlength(label), y - 24), label, _QUIET, font=font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(10, size))


def _text_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    box = font.getbbox("Ag")
    return math.ceil(box[3])


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
