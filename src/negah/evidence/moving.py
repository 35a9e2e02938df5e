"""A caption as an animation: for each word, the photo or the frames with its map.

Animated WebP, which browsers and most viewers play.

Axes: T words, F frames, H and W rows and columns of cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from negah.captions import Caption
from negah.errors import UsageError
from negah.evidence.letters import Letters, letters
from negah.evidence.light import has_maps, light_of_maps, maps_of
from negah.evidence.sheet import INK, PAPER, QUIET, lit

_SIDE = 480
_MARGIN = 12

#: Milliseconds: a photo with a word, a frame of a clip with a word, and the whole before the words.
_WORD, _FRAME, _WHOLE = 1100, 220, 1200

#: Marks a file as drawn by Negah (EXIF: the program).
SOFTWARE = 0x0131


def moving_pictures(
    pictures: Sequence[Image.Image], caption: Caption
) -> tuple[list[Image.Image], list[int]]:
    """The pictures of the animation, and how long each is shown, in milliseconds.

    Args:
        pictures: the photo, or the frames that the captioner saw, upright, in order.
        caption: explained.

    Raises:
        UsageError: its words have no maps, or those of another number of frames.
    """
    if not has_maps(caption) or maps_of(caption).shape[1] != len(pictures):
        raise UsageError("a moving picture needs a caption that was explained, and its frames")
    small = [_fitted(picture) for picture in pictures]
    drawn = letters(22, caption.language)
    shown, times = [], []
    for picture in small:
        shown.append(_page(picture, caption, None, drawn))
        times.append(_WHOLE if len(small) == 1 else _FRAME)
    for t, light_FHW in enumerate(light_of_maps(maps_of(caption))):
        for picture, light_HW in zip(small, light_FHW, strict=True):
            shown.append(_page(lit(picture, light_HW), caption, t, drawn))
            times.append(_WORD if len(small) == 1 else _FRAME)
    return shown, times


def write_moving(pictures: Sequence[Image.Image], caption: Caption, temporary: Path) -> None:
    """Write the animation; see :func:`moving_pictures`."""
    (first, *others), times = moving_pictures(pictures, caption)
    exif = Image.Exif()
    exif[SOFTWARE] = "Negah"
    first.save(
        temporary,
        format="WEBP",
        save_all=True,
        append_images=others,
        duration=times,
        loop=0,
        quality=80,
        exif=exif,
    )


def _fitted(picture: Image.Image) -> Image.Image:
    scale = _SIDE / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)


def _page(picture: Image.Image, caption: Caption, t: int | None, drawn: Letters) -> Image.Image:
    """A picture with the caption below, word ``t`` of it dark and the others pale."""
    width = max(picture.width, _SIDE)
    rows = _wrapped([word.text for word in caption.words], drawn, width - 2 * _MARGIN)
    high = drawn.height + 6
    page = Image.new("RGB", (width, picture.height + len(rows) * high + 2 * _MARGIN), PAPER)
    page.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(page)
    number = 0
    for row, words in enumerate(rows):
        x, y = float(_MARGIN), picture.height + _MARGIN + row * high
        for word in words:
            text = drawn.fit(word, width - 2 * _MARGIN)
            wide = drawn.width(text)
            left = width - x - wide if drawn.rtl else x
            drawn.draw(draw, (left, y), text, INK if t in (None, number) else QUIET)
            if t == number:
                draw.line((left, y + high - 4, left + wide, y + high - 4), fill=INK, width=2)
            x, number = x + wide + drawn.width(" "), number + 1
    return page


def _wrapped(words: Sequence[str], drawn: Letters, width: int) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    for word in words:
        if rows[-1] and drawn.width(" ".join([*rows[-1], word])) > width:
            rows.append([])
        rows[-1].append(word)
    return rows
