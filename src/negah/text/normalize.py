"""Sentences to words, as the COCO caption evaluation does it.

That evaluation runs the Penn Treebank (PTB) tokenizer of Stanford CoreNLP 3.4.1,
lowercases, and drops a list of punctuation. This is an independent implementation of
the same behaviour with regular expressions, and it needs no Java. Notable: "man's" becomes
"man 's", "don't" becomes "do n't", "cannot" becomes "can not"; hyphenated words stay
whole; brackets come out as words ("-lrb-"), since the evaluation lowercases them before
it compares them with its list. :func:`detokenize` is the way back to readable text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from negah.text.ptb import tokens

#: The Penn Treebank's tokens for brackets.
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_RENAMED = BRACKETS | {
    "\u0080": "$",
    "\u00a4": "$",
    "\u20a0": "$",
    "\u20ac": "$",
    "\u00a3": "#",
    "\u00a2": "cents",
    "\u00bc": "1/4",
    "\u00bd": "1/2",
    "\u00be": "3/4",
    "\u2153": "1/3",
    "\u2154": "2/3",
    "\ue000": "<",
    "\ue001": ">",
}
_DROPPED = re.compile(
    # the evaluation's list, in every spelling that its tokenizer maps to it
    r"[\"'`.,:;?!\u0085\u0096\u0097\u2013-\u2015\u2026]|\.+|-{1,4}|''|``"
)
# Typographic quotes, which stand together in one token.
_QUOTES = (
    dict.fromkeys("\u0091\u2018\u201b\u2039", "`")
    | dict.fromkeys("\u0092\u2019\u203a", "'")
    | dict.fromkeys("\u0093\u201c\u00ab", "``")
    | dict.fromkeys("\u0094\u201d\u00bb", "''")
)
_QUOTE_RUN = re.compile("[\u0091-\u0094\u00ab\u00bb\u2018-\u201f\u2039\u203a]+")
# Entities; "<" and ">" that came as one are no mark-up, so they wait as private characters.
_ENTITY = re.compile(r"&((?i:amp|lt|gt|quot|nbsp)|apos|[mn]dash|MD);")
_ENTITIES = {"amp": "&", "lt": "\ue000", "gt": "\ue001", "quot": '"', "apos": "'", "nbsp": "\u00a0"}
_PRIVATE = re.compile("[\ue000\ue001]")
_CURLY_ENDING = re.compile("[\u2019\u0092](?:s|m|d|ll|re|ve)|n[\u2019\u0092]t")
# A soft hyphen is removed, except before a word that starts with a digit.
_SOFT_HYPHEN_ENDS = re.compile(r"\b(\d\w*+)\u00ad")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Pieces between spaces whose words do not depend on their neighbours: no start of mark-up,
# telephone number, fraction or entity, no period of an initial or of "no. 5".
_ALONE = re.compile(
    r"(?i:(?!.*\d.*/|.*/.*\d|.*\d{6})(?!(?:.*[^a-z])?(?:[a-z]|ca|nos?|pp|figs?|art|op|prop)\.\Z))"
    r"[!-%')-;=-~]+"
)


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
    found: list[str] = []
    for piece in text.split():
        known = _piece_words(piece)
        if known is None:
            return list(words_in_context(text))
        found += known
    return found


@lru_cache(maxsize=1 << 16)
def _piece_words(piece: str) -> tuple[str, ...] | None:
    """The words of a piece between spaces, if they do not depend on its neighbours."""
    return words_in_context(piece) if len(piece) <= 60 and _ALONE.fullmatch(piece) else None


def words_in_context(text: str) -> tuple[str, ...]:
    """:func:`words` without the short cut."""
    text = _PRIVATE.sub("\0", nfc(text))
    text = _SOFT_HYPHEN_ENDS.sub(r"\1 ", text)
    text = _ENTITY.sub(lambda match: _ENTITIES.get(match[1].lower(), "\u2014"), text)
    found: list[str] = []
    for token in tokens(text):
        token = token.replace("\u00ad", "")
        if not token or _DROPPED.fullmatch(token):
            continue
        word = _RENAMED.get(token)
        if word is None:
            word = unicodedata.normalize("NFC", token.lower())
            if _CURLY_ENDING.fullmatch(word):
                word = word.replace("\u2019", "'").replace("\u0092", "'")
            elif _QUOTE_RUN.fullmatch(word):
                word = "".join(_QUOTES.get(mark, mark) for mark in word)
                if word in ("'", "''", "`", "``"):
                    continue
            elif "(" in word or ")" in word:
                word = word.replace("(", "-lrb-").replace(")", "-rrb-")
        found.append(word)
    return tuple(found)


_BACK = {shown: mark for mark, shown in BRACKETS.items()}
_TOGETHER = frozenset([("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("wan", "na")])
_CLITICS = frozenset(["'s", "'m", "'d", "'ll", "'re", "'ve", "n't", "%", "-rrb-", "-rsb-", "-rcb-"])
_OPENING = frozenset(["-lrb-", "-lsb-", "-lcb-", "'t", "y'"])


#: The words that :func:`detokenize` may attach to others or change.
CLOSE = frozenset(
    {*_CLITICS, *_OPENING, *_BACK, *(word for pair in _TOGETHER for word in pair), "$", "#", ""}
)


def detokenize(tokens: Iterable[str]) -> str:
    """Readable text from words as :func:`words` gives them.

    Endings are attached to their words again ("man" + "'s", "do" + "n't", "gon" + "na"), and
    brackets are restored. Dropped case and punctuation are not restored. "can" + "not" stays two
    words, which is correct English too.
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
