"""Sentences to words, as the COCO caption evaluation does it.

That evaluation runs the Penn Treebank (PTB) tokenizer of Stanford CoreNLP 3.4.1,
lowercases, and drops a list of punctuation. This is an independent implementation of
the same behaviour with regular expressions, and it needs no Java. Notable: "man's" becomes
"man 's", "don't" becomes "do n't", "cannot" becomes "can not"; hyphenated words stay
whole; brackets come out as words ("-lrb-"), since the evaluation lowercases them before
it compares them with its list. ``detokenize`` is the way back to readable text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

# Letters of every script and the marks and joiners inside words; blocks of symbols and
# punctuation are cut out. Ranges, because Python's \w takes combining marks for no part of a word.
_LETTER = (
    "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02c1\u02c6-\u060b"
    "\u060d-\u061a\u061c-\u061e\u0620-\u06d3\u06d5-\u0963\u0966-\u1fff\u200c\u200d\u2c00-\u2dff"
    "\u3005-\u3007\u3021-\ud7ff\uf900-\ufdfb\ufe20-\ufe2f\ufe70-\ufefc\uff10-\uff19\uff21-\uff3a"
    "\uff41-\uff5a\uff66-\uffdc\U00010000-\U0001efff\U00020000-\U000e00ff"
)
_L = f"[{_LETTER}]"
_W = f"[0-9{_LETTER}]"
_APOSTROPHE = "['\u2018\u2019\u0092\u201b]"
_END = rf"(?!{_W})"

# Abbreviations whose period belongs to them, then those only when capitalised, then those
# only before a number.
_ALWAYS = (
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri ala ariz"
    " calif colo col conn ct dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn"
    " tenn va vt wis wisc wyo mr mrs ms mlle mme messrs dr drs gen sen sens rep reps gov lt"
    " maj capt cmdr comdr adm rev hon sgt pvt cpl pres prof atty asst assoc insp det supt esq jr"
    " sr bros inc co cos corp ltd pty plc bhd st ste mt ft ave blvd rd sq bldg dept univ natl"
    " intl etc al vs v cf est ext elec tel mfg ph seq treas wm jos alex bancorp sys ph\\.d"
)
_CAPITALISED = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
_BEFORE_NUMBER = "ca no nos pp fig figs art op prop"
# A single letter is an initial ("George W. Bush") unless one of these begins a sentence after it.
# The evaluation looks into the next caption there; a caption that ends is taken as a sentence
# that ends, which is what the "A ..." of most next captions makes of it.
_STARTERS = (
    "A An The This That There Here He She It We They You One Her Their Our Some Many Other Such"
    " Mr Mrs Ms Dr In At As If When While Where What Who After However Then Now Once Since So But"
    " Yet"
)


def _any(words: str) -> str:
    return "|".join(words.split())


# The rules in order; the first that matches at a place wins.
_RULES = (
    # a plain word between spaces: by far the most common, so first
    r"[A-Za-z]+(?=\s|\Z)",
    # mark-up and addresses
    r"</?[A-Za-z][^\s<>]*>",
    r"-(?i:[lr][crs]b)-",
    r"https?://[^\s\"<>|()]*[^\s\"<>|().,;:!?'-]",
    r"\w[\w.%+-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}",
    # do + n't, 's and its like, '90s, o'clock
    rf"(?:{_W}+-)*{_L}+(?=[nN]{_APOSTROPHE}[tT]{_END})",
    rf"[nN]{_APOSTROPHE}[tT]{_END}",
    rf"{_APOSTROPHE}[nN]{_APOSTROPHE}",
    rf"{_APOSTROPHE}(?i:s|m|d|ll|re|ve|em|n|till?|cause){_END}",
    rf"{_APOSTROPHE}(?i:t)(?=(?i:is|was){_END})",
    rf"{_APOSTROPHE}\d\ds?{_END}(?!{_APOSTROPHE})",
    rf"(?i:y){_APOSTROPHE}(?={_L})",
    rf"(?i:[dlo]{_APOSTROPHE}{_L}+(?:-{_W}+)*)",
    rf"(?i:ma{_APOSTROPHE}am|ne{_APOSTROPHE}er|e{_APOSTROPHE}er){_END}",
    # abbreviations keep their period
    rf"(?i:{_any(_ALWAYS)})\.{_END}",
    rf"(?:{_any(_CAPITALISED)})\.{_END}",
    rf"(?i:{_any(_BEFORE_NUMBER)})\.(?=\s*\d)",
    rf"{_L}(?:\.{_L})+\.{_END}",
    rf"{_L}\.{_END}(?!\s*\Z|\s+(?:{_any(_STARTERS)}){_END})",
    # numbers with their signs, decimals, times and dates
    rf"\d{{1,2}}:\d\d(?=[ap]\.?m{_END})",
    r"[+-]?\d+(?:[/-]\d+)*(?:[.,:]\d+(?:[/-]\d+)*)+",
    r"[+-]?\.\d+",
    rf"[+-]\d+(?:[/-]\d+)*{_END}",
    # words, with what holds them together
    r"[A-Z]+(?:&[A-Z]+)+",
    r"US\$(?=\d)",
    rf"{_L}{_W}*(?:\.(?={_L}){_W}+)+",
    rf"{_W}+(?:(?:[-/]|_+|[.,]-){_W}+)*(?:\+\+)?",
    rf"[@#]{_L}[\w]*",
    # runs of one mark
    r"[!?]+|\.+|-+|_+",
    r"\S",
)

_IN_TWO = {
    "cannot": ("can", "not"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "wanna": ("wan", "na"),
}
_RENAMED = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    "\u20ac": "$",
    "\u00a3": "#",
    "\u00a2": "cents",
    "\u00bc": "1/4",
    "\u00bd": "1/2",
    "\u00be": "3/4",
}
_DROPPED = re.compile(
    # the evaluation's list in the spellings that its tokenizer maps to it, and what it deletes
    r"[\"'`.,:;?!\u00ab\u00bb\u2013-\u2015\u2018-\u201f\u2026\u2039\u203a]|\.+|-+"
    r"|[\U00010000-\U0010ffff]"
)
_ENTITY = re.compile(r"&(amp|lt|gt|quot|apos|nbsp);", re.IGNORECASE)
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_CURLY = re.compile(_APOSTROPHE)
_SURROGATE = re.compile("[\ud800-\udfff]")


@cache
def _token_pattern() -> re.Pattern[str]:
    """Compiled on first use: it takes a tenth of a second, and captioning never needs it."""
    return re.compile("|".join(_RULES))


def nfc(text: str) -> str:
    """``text`` in Unicode's composed form (NFC), lone surrogates replaced by U+FFFD.

    After it, any text can be written as UTF-8.
    """
    return unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", text))


def words(text: str) -> list[str]:
    """The lowercased words of ``text``, as the COCO caption evaluation counts them.

    Never raises; a text without words gives an empty list.

    >>> words("A man's dog, a T-shirt: isn't it?")
    ['a', 'man', "'s", 'dog', 'a', 't-shirt', 'is', "n't", 'it']
    """
    text = _ENTITY.sub(lambda match: _ENTITIES[match[1].lower()], nfc(text))
    found: list[str] = []
    for token in _token_pattern().findall(text.replace("\u00ad", "")):
        word = unicodedata.normalize("NFC", token.lower())
        if word.isalpha():
            found.extend(_IN_TWO.get(word, (word,)))
        elif not (_DROPPED.fullmatch(word) or unicodedata.category(word[0]).startswith("C")):
            found.append(_RENAMED.get(word) or _CURLY.sub("'", word))
    return found


_BACK = {shown: mark for mark, shown in _RENAMED.items() if shown.startswith("-")}
_TOGETHER = frozenset(parts for whole, parts in _IN_TWO.items() if whole != "cannot")
_CLITICS = frozenset(["'s", "'m", "'d", "'ll", "'re", "'ve", "n't", "%", "-rrb-", "-rsb-", "-rcb-"])
_OPENING = frozenset(["-lrb-", "-lsb-", "-lcb-", "'t", "y'"])


def detokenize(tokens: Iterable[str]) -> str:
    """Readable text from words as :func:`words` gives them.

    Endings are put back to their words ("man" + "'s", "do" + "n't", "gon" + "na"), brackets
    become brackets. Case and punctuation that :func:`words` dropped do not come back.
    "can" + "not" stays in two, which is as good English.
    """
    text = ""
    before = ""
    for token in tokens:
        joined = (
            token in _CLITICS
            or before in _OPENING
            or (before in ("$", "#") and token[:1].isdigit())
            or (before, token) in _TOGETHER
        )
        text += ("" if joined or not text else " ") + _BACK.get(token, token)
        before = token
    return text
