"""A caption of a clip as a picture: a row for every word, a column for every frame.

Of an explained caption (:func:`negah.explain`) every frame is lit where it supports the word, and
the bar under it is its share of all that does. Of others the bar is the model's attention to the
frame; the frame with the most is lit where the word looked, the others are dimmer the less they
weigh. A thin line marks an even share. Beside the word stand its numbers, where it has them:
``seen``, and the model's gate.

Where the regions' weights are the same for every word (a model whose region attention does not
ask the word), the light is set against an even share of the frame; else against the mean over
the words, as in :mod:`negah.evidence.overlay`.

Axes: T words, F frames, H grid rows, W grid columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from negah.arrays import FloatArray
from negah.captions import Caption, Word
from negah.errors import UsageError
from negah.evidence.letters import letters
from negah.evidence.light import frame_shares, has_maps, light_of_maps, maps_of
from negah.evidence.sheet import (
    FRAME,
    INK,
    PAPER,
    QUIET,
    against_mean,
    bars_of,
    draw_bar,
    lit,
    scaled,
)
from negah.text import language_of

_GAP = 6
_MARGIN = 16
_LABEL = 150
_STRIP = 30
_WIDTH = 1400
_WIDEST, _NARROWEST = 150, 44

# How much light a frame has that weighs nearly as much as the heaviest.
_GLIMMER = 0.3

# Weights that differ by less between words are the same but for rounding.
_SAME = 1e-4


def draw_clip_evidence(frames: Sequence[Image.Image], caption: Caption) -> Image.Image:
    """Draw where the words of a caption of a clip come from.

    Args:
        frames: those that the captioner saw, upright, in order.
        caption: its caption, with maps or with weights of as many frames.

    Raises:
        UsageError: the caption has neither (a model without attention to frames), or those of
            another number of frames.
    """
    explained = has_maps(caption)
    weights_TF = _weights(caption, len(frames))
    sheet = _Sheet(frames, caption)
    own = language_of(caption.language)
    supported = own.say("share of what supports the word")
    sheet.draw_head(supported if explained else own.say("attention to the frame"))
    light_TFHW = light_of_maps(maps_of(caption)) if explained else _light(caption, weights_TF)
    for t, word in enumerate(caption.words):
        sheet.draw_word(t, word, weights_TF[t], float(weights_TF.max()))
        sheet.draw_frames(t, weights_TF[t], None if light_TFHW is None else light_TFHW[t])
    return sheet.image


class _Sheet:
    def __init__(self, frames: Sequence[Image.Image], caption: Caption) -> None:
        count = len(frames)
        room = (_WIDTH - _LABEL - 2 * _MARGIN) // count - _GAP
        self._tile = tile = max(_NARROWEST, min(_WIDEST, room))
        shape = frames[0].height / frames[0].width
        self._height = height = max(1, round(tile * min(1.5, max(0.4, shape))))
        self._frames = [
            frame.convert("RGB").resize((tile, height), Image.Resampling.LANCZOS)
            for frame in frames
        ]
        self._caption, self._own = caption, language_of(caption.language)
        language = caption.language
        self._title, self._body, self._small = (
            letters(24, language),
            letters(19, language),
            letters(13, language),
        )
        self._head = _MARGIN + self._title.height + 2 * _GAP
        self._first = self._head + height + self._small.height + 3 * _GAP
        # a word needs the height of its letters and of its bars
        bars = max((len(bars_of(word)) for word in caption.words), default=0)
        self._row = max(height, 26 + 26 * bars) + _STRIP + 2 * _GAP
        foot = self._small.height + _MARGIN
        width = max(_LABEL + count * (tile + _GAP) + 2 * _MARGIN, 420)
        size = (width, self._first + len(caption.words) * self._row + foot)
        self.image = Image.new("RGB", size, PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def _x(self, number: int) -> int:
        return round(self._place(_MARGIN + _LABEL + number * (self._tile + _GAP), self._tile))

    def _place(self, x: float, width: float) -> float:
        """Where something is put that is so wide; in a sheet from the right, mirrored."""
        return self.image.width - x - width if self._title.rtl else x

    def draw_head(self, meaning: str) -> None:
        """The caption, the frames as they are with their times, and what the bars mean."""
        draw, title = self._draw, self._title
        text = title.fit(self._caption.text, self.image.width - 2 * _MARGIN)
        title.draw(draw, (self._place(_MARGIN, title.width(text)), _MARGIN), text, INK)
        for number, (frame, time) in enumerate(zip(self._frames, self._caption.times, strict=True)):
            x, y = self._x(number), self._head
            self.image.paste(frame, (x, y))
            when = self._own.say("{time} s", time=self._own.number(f"{time:.1f}"))
            self._small.draw(draw, (x, y + self._height + 3), when, QUIET)
        y = self.image.height - _MARGIN - self._small.height // 2
        x = round(self._place(_MARGIN, 10))
        draw.rectangle((x, y + 3, x + 10, y + 11), fill=FRAME)
        said = self._own.say("{meaning}; the line marks the uniform share", meaning=meaning)
        x = round(self._place(_MARGIN + 16, self._small.width(said)))
        self._small.draw(draw, (x, y), said, QUIET)

    def draw_word(self, t: int, word: Word, weights_F: FloatArray, most: float) -> None:
        """The word, its numbers, and the bars of its row."""
        draw, top = self._draw, self._first + t * self._row
        body, wide = self._body, _LABEL - 24
        text = body.fit(word.text, _LABEL - 14)
        body.draw(draw, (self._place(_MARGIN, body.width(text)), top), text, INK)
        for number, bar in enumerate(bars_of(word)):
            corner = (round(self._place(_MARGIN, wide)), top + body.height + 6 + 26 * number)
            draw_bar(draw, bar, corner, wide, (self._small, self._own))
        base = top + self._row - 2 * _GAP
        even = base - round(1 / len(weights_F) / most * (_STRIP - 6))
        sides = sorted((self._x(0), self._x(len(weights_F) - 1)))
        draw.line((sides[0], even, sides[1] + self._tile - 1, even), fill=QUIET)
        heaviest = int(weights_F.argmax())
        for number, weight in enumerate(weights_F):
            x = self._x(number)
            high = round(float(weight) / most * (_STRIP - 6))
            colour = FRAME if number == heaviest else _paler(FRAME)
            draw.rectangle((x, base - max(1, high), x + self._tile - 1, base), fill=colour)
            label = f"{weight:.2f}"
            fits = self._small.width(label) + 4 < self._tile and high >= 17
            if fits and number == heaviest:
                self._small.draw(draw, (x + 4, base - high), label, PAPER)

    def draw_frames(self, t: int, weights_F: FloatArray, light_FHW: FloatArray | None) -> None:
        """The frames of a word's row, each lit as it is to be; without light, as they weigh."""
        top = self._first + t * self._row
        heaviest = int(weights_F.argmax())
        for number, frame in enumerate(self._frames):
            x = self._x(number)
            if light_FHW is not None:
                shown = lit(frame, light_FHW[number])
            elif number == heaviest:
                shown = frame
            else:
                part = float(weights_F[number] / weights_F[heaviest])
                shown = lit(frame, np.full((1, 1), _GLIMMER * part, dtype=np.float32))
            self.image.paste(shown, (x, top))
        x = self._x(heaviest)
        box = (x - 2, top - 2, x + self._tile + 1, top + self._height + 1)
        self._draw.rectangle(box, outline=FRAME, width=2)


def _weights(caption: Caption, count: int) -> FloatArray:
    """The weight of each frame for each word, float32 (T, F), each word's sum 1."""
    if has_maps(caption):
        weights_TF = frame_shares(maps_of(caption))
    else:
        weights = [word.frames for word in caption.words]
        if not weights or any(one is None for one in weights):
            raise UsageError(
                "this caption has no frame weights or maps to draw; explain it (negah.explain), "
                "or use a model with attention to frames, such as cam-rnn"
            )
        weights_TF = np.stack([one for one in weights if one is not None])
    if weights_TF.shape[1] != count:
        raise UsageError(
            f"the caption was made from {weights_TF.shape[1]} frames, and {count} are given: "
            "give those at its times"
        )
    return weights_TF


def _light(caption: Caption, weights_TF: FloatArray) -> FloatArray | None:
    """Where each word looked in its heaviest frame, and a glimmer elsewhere: (T, F, H, W).

    None without region weights.
    """
    maps = [word.regions for word in caption.words if word.regions is not None]
    if len(maps) != len(caption.words):
        return None
    regions_TFHW = np.stack(maps)
    part_TF = weights_TF / weights_TF.max(1, keepdims=True)
    light_TFHW: FloatArray = np.empty_like(regions_TFHW)
    light_TFHW[:] = _GLIMMER * part_TF[..., None, None]
    for t, f in enumerate(weights_TF.argmax(1)):
        seen_THW = regions_TFHW[:, f]
        if np.ptp(seen_THW, axis=0).max() < _SAME:
            light_TFHW[t, f] = scaled(seen_THW[t] * seen_THW[t].size)
        else:
            light_TFHW[t, f] = against_mean(seen_THW)[t]
    return light_TFHW


def _paler(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = ((part + 2 * paper) // 3 for part, paper in zip(colour, PAPER, strict=True))
    return red, green, blue
