"""Arabic script without a shaper: joined letters by Unicode's presentation forms, in drawing order.

Pillow draws Persian right where libraqm and FriBiDi are installed, which its wheels look for on the
machine and most containers, Windows and macOS lack. This takes their place: every letter becomes
the form that its neighbours ask for (the Unicode Standard, chapter 9.2, rules R1 to R7, and lam
with alef as one), and the text is put into the order from left to right: the whole reversed, but
for numbers and for words of other scripts (what rules of the bidirectional algorithm, UAX 9, come
to in a line of one sentence). Marks above and below letters are left out, since they would stand
beside them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_FORMS = {"<isolated>": 0, "<final>": 1, "<initial>": 2, "<medial>": 3}
_HALF_SPACE, _JOINER = "\u200c", "\u200d"
#: What stays from left to right within a line from the right: numbers, words of other scripts.
_LEFT_TO_RIGHT = re.compile(
    r"[0-9\u06f0-\u06f9\u0660-\u0669]+(?:[.,:/\u066b\u066c][0-9\u06f0-\u06f9\u0660-\u0669]+)*%?"
    r"|[A-Za-z\u00c0-\u024f][\w'.-]*(?:[ ,]+[A-Za-z\u00c0-\u024f][\w'.-]*)*"
)
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")


@cache
def _presentation() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Of letters, and of lam with each alef, the forms alone, final, initial, medial."""
    letters: dict[str, list[str]] = {}
    pairs: dict[str, list[str]] = {}
    for code in (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFD)):
        form, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        plain = "".join(chr(int(part, 16)) for part in parts)
        if form not in _FORMS or not (len(plain) == 1 or (len(plain) == 2 and plain[0] == "ل")):
            continue
        if len(plain) == 2 and plain[1] not in "اآأإ":
            continue
        table = letters if len(plain) == 1 else pairs
        table.setdefault(plain, ["", "", "", ""])[_FORMS[form]] = chr(code)
    return letters, pairs


def joined(text: str) -> str:
    """Letters in the forms that their neighbours ask for, in the order in which they are read."""
    letters, pairs = _presentation()
    units: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        if unicodedata.category(char) == "Mn":
            continue
        if units and units[-1] == "ل" and units[-1] + char in pairs:
            units[-1] += char
        else:
            units.append(char)
    shown = []
    for place, unit in enumerate(units):
        forms = letters.get(unit) or pairs.get(unit)
        if forms is None:
            shown.append("" if unit in (_HALF_SPACE, _JOINER) else unit)
            continue
        before = place > 0 and _joins(units[place - 1], after=True)
        after = place + 1 < len(units) and _joins(units[place + 1], after=False)
        wanted = (before and bool(forms[1])) + 2 * (after and bool(forms[2]))
        if wanted == 3 and not forms[3]:
            wanted = 1
        shown.append(forms[wanted] or forms[0] or unit)
    return "".join(shown)


def _joins(unit: str, *, after: bool) -> bool:
    """Whether a letter joins the one after it, or the one before."""
    if unit == _JOINER or unit == "ـ":
        return True
    letters, pairs = _presentation()
    forms = letters.get(unit) or pairs.get(unit)
    return forms is not None and bool(forms[2] if after else forms[1])


def drawn_from_left(text: str) -> str:
    """A line of a script from the right, shaped, its characters from left to right."""
    parts, end = [], 0
    for match in _LEFT_TO_RIGHT.finditer(text):
        parts += [_reversed(text[end : match.start()]), match[0]]
        end = match.end()
    parts.append(_reversed(text[end:]))
    return "".join(reversed(parts))


def _reversed(text: str) -> str:
    return joined(text).translate(_MIRRORED)[::-1]
