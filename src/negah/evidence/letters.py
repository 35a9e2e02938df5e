"""Text on pictures: font, direction and shaping for a language."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeAlias

from PIL import ImageDraw, ImageFont, features

from negah.evidence.shaping import drawn_from_left
from negah.text.languages import DEFAULT, language_of

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour: TypeAlias = tuple[int, int, int]

#: Latin and Arabic script; SIL Open Font License 1.1, which stands beside it.
_FONT = "Vazirmatn-Regular.ttf"


@dataclass(frozen=True, slots=True)
class Letters:
    """Letters in one size, for one language.

    Attributes:
        font: with the letters of the language.
        rtl: whether lines are read from the right.
        shaped: whether the font's drawer joins letters and orders them, which libraqm does; else
            :mod:`negah.evidence.shaping` does.
    """

    font: Font
    rtl: bool = False
    shaped: bool = False

    def width(self, text: str) -> float:
        """Of a line, in pixels."""
        if self.rtl and self.shaped:
            assert isinstance(self.font, ImageFont.FreeTypeFont)
            return self.font.getlength(text, direction="rtl")
        return self.font.getlength(drawn_from_left(text) if self.rtl else text)

    @property
    def height(self) -> int:
        """Of a line, in pixels."""
        if not self.rtl:
            return math.ceil(self.font.getbbox("Ag")[3])
        return math.ceil(max(self.font.getbbox(text)[3] for text in ("Ag", "\ufb94\ufe9d\ufb57")))

    def draw(
        self, draw: ImageDraw.ImageDraw, corner: tuple[float, float], text: str, colour: Colour
    ) -> None:
        """Draw a line; ``corner`` is its upper left, in a line from the right, too."""
        if self.rtl and self.shaped:
            draw.text(corner, text, colour, font=self.font, direction="rtl")
        else:
            draw.text(corner, drawn_from_left(text) if self.rtl else text, colour, font=self.font)

    def fit(self, text: str, width: float) -> str:
        """The text, shortened at the end to at most this many pixels."""
        if self.width(text) <= width:
            return text
        while text and self.width(text + "…") > width:
            text = text[:-1]
        return text + "…"


def letters(size: int, language: str = DEFAULT) -> Letters:
    """Letters of this size in pixels, at least ten.

    Args:
        size: in pixels.
        language: by its code; English letters are those of Pillow's own font.
    """
    size = max(10, size)
    if language == DEFAULT:
        return Letters(ImageFont.load_default(size))
    rtl = language_of(language).direction == "rtl"
    shaped = bool(features.check("raqm"))
    # the same drawer for scripts from the left: Pillow's default depends on the machine
    engine = ImageFont.Layout.RAQM if rtl and shaped else ImageFont.Layout.BASIC
    return Letters(load_font(size, engine), rtl, rtl and shaped)


@cache
def load_font(size: int, engine: ImageFont.Layout) -> ImageFont.FreeTypeFont:
    """The font of scripts from the right, in pixels."""
    content = (resources.files(__package__) / "fonts" / _FONT).read_bytes()
    return ImageFont.truetype(io.BytesIO(content), size, layout_engine=engine)
