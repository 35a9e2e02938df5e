"""A caption as a picture: one tile per word, highlighted where the word comes from.

Of an explained caption (:func:`negah.explain`) the map of each word is drawn: what supports it. Of
others it is the model's attention: its weights are set against their mean over the words, so that
what is lit is where this word looked more than the others did. Uniform weights, and words without
support, leave the tile evenly dim. Maps are smoothed between the middles of their cells. Under each
tile stand the word and, where the caption has them,
bars: ``seen``, how probable it is that the picture supports the word, and the model's gate. Of a
language that is read from the right, the tiles begin there.

Axes: T words, H grid rows, W grid columns.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from negah.arrays import FloatArray
from negah.captions import Caption
from negah.errors import UsageError
from negah.evidence.letters import Letters, letters
from negah.evidence.light import has_maps, light_of_maps, maps_of
from negah.evidence.sheet import INK, PAPER, QUIET, against_mean, bars_of, draw_bar, lit
from negah.text import Language, language_of

_GAP = 10

#: Maximum ratio of the sides of a tile.
_LONGEST = 2.5


def draw_evidence(
    photo: Image.Image,
    caption: Caption,
    *,
    columns: int = 5,
    tile: int = 240,
    label: str | None = None,
) -> Image.Image:
    """Draw where the words of a caption come from.

    Args:
        photo: the photo that was captioned, upright.
        caption: its caption, with maps or with region weights.
        columns: tiles beside each other.
        tile: the longer side of a tile in pixels.
        label: what stands under the photo itself; by default that it is the photo.

    Raises:
        UsageError: the caption has neither (a model without attention), or is of a clip.
    """
    light_THW = _light(caption)
    columns = max(1, min(columns, len(caption.words) + 1))
    small = _fitted(photo, tile)
    width = max(small.width, tile // 2)
    language = caption.language
    said, title = letters(tile // 11, language), letters(tile // 9, language)
    own, body = language_of(language), letters(tile // 11, language)
    line = max(body.height, said.height) + 4
    bars = max((len(bars_of(word)) for word in caption.words), default=0)
    cell = (width + _GAP, small.height + line + bars * (line + 8) + _GAP)
    rows = math.ceil((len(caption.words) + 1) / columns)
    head = title.height + line + 2 * _GAP
    size = (max(columns * cell[0] + _GAP, 2 * tile), head + rows * cell[1] + _GAP)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)

    def place(x: int, width: float) -> float:
        """Where something is put that is so wide; in a sheet from the right, mirrored."""
        return size[0] - x - width if title.rtl else x

    def write(drawn: Letters, text: str, corner: tuple[int, int], room: int) -> None:
        text = drawn.fit(text, room)
        colour = QUIET if drawn is body else INK
        drawn.draw(draw, (place(corner[0], drawn.width(text)), corner[1]), text, colour)

    write(title, caption.text, (_GAP, _GAP), size[0] - 2 * _GAP)
    write(body, _meaning(caption, own), (_GAP, _GAP + title.height + 4), size[0] - 2 * _GAP)
    for index in range(len(caption.words) + 1):
        row, column = divmod(index, columns)
        x, y = _GAP + column * cell[0], head + row * cell[1]
        below = y + small.height + 4
        if index == 0:
            sheet.paste(small, (round(place(x, small.width)), y))
            write(body, label or own.say("the photo"), (x, below), width)
            continue
        word = caption.words[index - 1]
        sheet.paste(lit(small, light_THW[index - 1]), (round(place(x, small.width)), y))
        write(said, word.text, (x, below), width)
        for number, bar in enumerate(bars_of(word)):
            corner = (round(place(x, width)), below + (number + 1) * (line + 8) - 8)
            draw_bar(draw, bar, corner, width, (body, own))
    return sheet


def _fitted(photo: Image.Image, tile: int) -> Image.Image:
    """The photo with its longer side as long as a tile; very long ones are squeezed."""
    shape = min(_LONGEST, max(1 / _LONGEST, photo.height / photo.width))
    high, wide = (tile, tile / shape) if shape > 1 else (tile * shape, tile)
    return photo.convert("RGB").resize((round(wide), round(high)), Image.Resampling.LANCZOS)


def _meaning(caption: Caption, own: Language) -> str:
    if has_maps(caption):
        return own.say("lit: what supports the word")
    return own.say("lit: more of the model's attention than for the other words")


def _light(caption: Caption) -> FloatArray:
    """What is lit for each word, 0 to 1."""
    if has_maps(caption) and maps_of(caption).shape[1] == 1:
        return light_of_maps(maps_of(caption))[:, 0]
    weights = [word.regions for word in caption.words]
    if not weights or any(regions is None or regions.shape[0] != 1 for regions in weights):
        raise UsageError(
            "this caption has no map or region weights of one photo to draw; explain it "
            "(negah.explain), or use a model with region attention, such as cam-rnn"
        )
    return against_mean(np.stack([regions[0] for regions in weights if regions is not None]))
