"""Verbal descriptions of a word's numbers: probability, place, time, and alternatives.

Axes: F frames, H and W rows and columns of cells.
"""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from negah.arrays import FloatArray
from negah.captions import Caption, Word
from negah.text.languages import DEFAULT, language_of

#: By its strongest place, in nats: less makes no difference that anybody would notice.
_NOTHING = 0.1

_ROWS = ("upper", "middle", "lower")
_COLUMNS = ("left", "middle", "right")
_MESSAGE = re.compile(r"\{\{(.+?)\}\}(?!\})")


def where(map_HW: FloatArray) -> str:
    """Where the strongest place of a map is: "upper left", "middle", "right"."""
    strongest = np.unravel_index(int(map_HW.argmax()), map_HW.shape)
    row, column = (
        min(2, int((place + 0.5) / count * 3))
        for place, count in zip(strongest, map_HW.shape, strict=True)
    )
    if row == 1:
        return "middle" if column == 1 else _COLUMNS[column]
    return f"{_ROWS[row]} {_COLUMNS[column]}"


def describe(
    word: Word, times: Sequence[float], *, nats: bool = True, language: str = DEFAULT
) -> list[str]:
    """A description of a word, in sentences.

    Args:
        word: of a caption.
        times: of the frames, in seconds; one for a photo.
        nats: whether its map is of nats; else of shares of attention.
        language: of the sentences, by its code.
    """
    own = language_of(language)
    found = []
    if word.seen is not None:
        said = "The picture supports it with a probability of {share}."
        found.append(own.say(said, share=percent(word.seen, language)))
    said = "Given the preceding words, the model assigned it a probability of {share}."
    found.append(own.say(said, share=percent(math.exp(word.logprob), language)))
    if word.map is not None:
        found.append(_of_map(word.map, times, nats=nats, language=language))
    if word.gate is not None:
        said = "The model's gate was {gate}, which is no evidence by itself."
        found.append(own.say(said, gate=own.number(f"{word.gate:.2f}")))
    return found


def translated(page: str, language: str) -> str:
    """A page of HTML with its messages, which stand in double braces, in a language, escaped."""
    say = language_of(language).messages
    return _MESSAGE.sub(lambda found: html.escape(say.get(found[1], found[1])), page)


def attributes(language: str) -> str:
    """Of HTML: the language of a text by its code, and its direction."""
    return f'lang="{html.escape(language)}" dir="{language_of(language).direction}"'


def percent(share: float, language: str = DEFAULT) -> str:
    """``62%``; less than one as ``0.4%``, none as nearly none, and nearly all as not quite all."""
    own = language_of(language)
    if 0.995 <= share < 1:
        return own.say("more than {share}", share=own.number("99%"))
    if 0 < share < 0.001:
        return own.say("less than {share}", share=own.number("0.1%"))
    return own.number(f"{share:.1%}" if share < 0.01 else f"{share:.0%}")


def place_of(word: Word, times: Sequence[float], *, nats: bool = True) -> str:
    """Where a word comes from most, and how much it loses without, in a clause."""
    if word.map is None:
        return ""
    strongest = float(word.map.max())
    frame = int(word.map.max((1, 2)).argmax())
    at = f", {times[frame]:.1f} s" if len(times) > 1 else ""
    if not nats:
        return f"{where(word.map[frame])}{at}"
    if strongest < _NOTHING:
        return "no region: the preceding words"
    return f"{where(word.map[frame])}{at}; without it, odds fall to {_fallen(strongest)}"


def _of_map(map_FHW: FloatArray, times: Sequence[float], *, nats: bool, language: str) -> str:
    own = language_of(language)
    strongest = float(map_FHW.max())
    frame = int(map_FHW.max((1, 2)).argmax())
    if nats and strongest < _NOTHING:
        return own.say("No region of the picture has much influence on it; the preceding words do.")
    place = own.say(where(map_FHW[frame]))
    if len(times) > 1:
        time = own.number(f"{times[frame]:.1f}")
        place = own.say("the {place} of the frame at {time} s", place=place, time=time)
    else:
        place = own.say("the {place} of the picture", place=place)
    if not nats:
        return own.say("The model's attention was strongest in {place}.", place=place)
    said = "It comes mainly from {place}: without it, its odds fall to {share}."
    return own.say(said, place=place, share=_fallen(strongest, language))


def _fallen(nats: float, language: str = DEFAULT) -> str:
    """The remaining share of odds that fell by this many nats."""
    own, share = language_of(language), math.exp(-nats)
    return own.say("less than a hundredth") if share < 0.01 else own.number(f"{share:.0%}")


def alternatives(caption: Caption) -> list[list[tuple[str, int]]]:
    """For each word what the other captions of the beam say in its place, and how many do.

    Captions are aligned word by word; what is said in the place of several words counts for each
    of them, and a caption that leaves a word out says nothing there.
    """
    own = [word.text for word in caption.words]
    found: list[Counter[str]] = [Counter() for _ in own]
    for other in caption.alternatives:
        texts = [word.text for word in other.words]
        matcher = SequenceMatcher(None, own, texts, autojunk=False)
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            if kind == "replace":
                for place in range(i1, i2):
                    found[place][" ".join(texts[j1:j2])] += 1
    return [counts.most_common(5) for counts in found]
