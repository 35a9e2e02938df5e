"""Normalisation of Persian letters, which Unicode, keyboards and old programs write in several
ways.

The letters are those of «دستور خط فارسی» (Academy of Persian Language and Literature, 2nd edition
1394, revised 1401), which writes ی without dots and ک: Arabic ي, ى and ك came with Arabic
keyboards. Spaces between words are normalised in :mod:`negah.text.languages.persian.spacing`.
"""

from __future__ import annotations

import re
import unicodedata

from negah.text.normalize import nfc

#: The half-space (zero-width non-joiner), which separates the parts of one word.
HALF_SPACE = "\u200c"
#: Letters that never join the next one, so that no half-space follows them.
NON_JOINING = frozenset("اآأدذرزژوؤ")

_LETTERS = str.maketrans(
    {
        "ي": "ی", "ى": "ی", "ے": "ی", "ۍ": "ی", "ې": "ی", "ێ": "ی",
        "ك": "ک", "ڪ": "ک", "ګ": "گ",
        "ہ": "ه", "ھ": "ه", "ە": "ه", "ة": "ه", "ۀ": "هٔ", "ۂ": "هٔ",
        "ۆ": "و", "ۇ": "و", "ٱ": "ا", "إ": "ا",
    }
)  # fmt: skip
_DIGITS = str.maketrans("0123456789٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹" * 2)
# Kashida stretches a line; the others control joining or the direction of text.
_NOTHING = re.compile("[\u0640\u200d\u200e\u200f\u061c\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
# Characters used in place of the half-space: the space without width, the soft hyphen, and the "not
# sign" of the oldest Persian word processors, where it stands between two letters.
_HALF_SPACES = re.compile("[\u200b\u00ad]|(?<=[\u0600-\u06ff])\u00ac(?=[\u0600-\u06ff])")
# Letters as they look at the start, in the middle and at the end of a word, and ligatures.
_SHAPES = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]+")
# Short vowels, tanvin, tashdid, sukun, the small alef; the hamza above is that of «خانهٔ».
_MARKS = re.compile("[\u064b-\u0653\u0656-\u065f\u0670\u0610-\u061a\u06d6-\u06ed]")
_PUNCTUATION = str.maketrans({",": "،", ";": "؛", "?": "؟"})
_IN_PERSIAN = re.compile(
    "(?<=[\u0600-\u06ff\u200c])[,;?](?![0-9۰-۹])|(?<=[\u0600-\u06ff\u200c][ ])[,;?]"
)
_PERSIAN = re.compile("[\u0600-\u06ff]")
_QUOTED = re.compile('"([^"]*)"')
_STRAY_HAMZA = re.compile("(?<!ه)\u0654")
# The hamza of ezafe stands at the end of a word, or before a half-space.
_EZAFE = re.compile(f"ه\u0654(?={HALF_SPACE}|\\Z)")
# A decimal point between digits, however written.
_POINT = re.compile("(?<=[۰-۹])[.٫](?=[۰-۹])")
# «پائین» is «پایین»: after ا the Academy writes ی before ی.
_HAMZA_YEH = re.compile("(?<=[اآ])ئ(?=ی)")
_SPACES = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u205f\u3000]+")


def one_spelling(text: str) -> str:
    """Normalise letters, digits, marks, spaces and punctuation of ``text``; idempotent.

    Vowel marks and tanvin, which captions hardly ever have, are removed, and so is kashida. The
    hamza of «خانهٔ» stays.
    """
    text = nfc(text)
    text = _SHAPES.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = _HALF_SPACES.sub(HALF_SPACE, _NOTHING.sub("", text))
    text = _MARKS.sub("", text.translate(_LETTERS).translate(_DIGITS))
    text = _HAMZA_YEH.sub("ی", text.replace("ی\u0654", "ئ"))
    text = _POINT.sub("٫", _STRAY_HAMZA.sub("", text))
    if text.count('"') % 2 == 0 and _PERSIAN.search(text):
        text = _QUOTED.sub(r"«\1»", text)
    before = ""
    while text != before:  # a mark that has become Persian makes the next one stand in Persian
        before = text
        text = _IN_PERSIAN.sub(lambda match: match[0].translate(_PUNCTUATION), text)
    return nfc(_SPACES.sub(" ", text)).strip(" ")


def as_counted(word: str) -> str:
    """A word as metrics count it: without the hamza of ezafe («خانهٔ») and that on ا («تأثیر»)."""
    return _EZAFE.sub("ه", word.replace("أ", "ا"))
