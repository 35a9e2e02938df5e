"""The English Snowball stemmer ("Porter2") in the version of METEOR 1.5.

Written from the published description of the algorithm (M. Porter, snowballstem.org). The package
``snowballstemmer`` follows the algorithm's later revisions, which stem "emergency", "university",
"added", "evening" or "biologist" otherwise; METEOR's numbers need the rules of that time,
whichever version is installed.
"""

from __future__ import annotations

import re

_VOWELS = frozenset("aeiouy")
_WHOLE = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
} | {word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")}
_AFTER_PLURAL = frozenset(
    ["inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"]
)
_DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")

_REGION = re.compile("[aeiouy][^aeiouy]")
_REGION_PREFIX = re.compile("gener|commun|arsen")
_SHORT_END = re.compile("(?:[^aeiouy][aeiouy][^aeiouywxY]|^[aeiouy][^aeiouy])$")
# Longest first, so that the first that fits is the longest.
_STEP_2 = (
    ("ational", "ate"),
    ("fulness", "ful"),
    ("iveness", "ive"),
    ("ization", "ize"),
    ("ousness", "ous"),
    ("biliti", "ble"),
    ("lessli", "less"),
    ("tional", "tion"),
    ("alism", "al"),
    ("aliti", "al"),
    ("ation", "ate"),
    ("entli", "ent"),
    ("fulli", "ful"),
    ("iviti", "ive"),
    ("ousli", "ous"),
    ("abli", "able"),
    ("alli", "al"),
    ("anci", "ance"),
    ("ator", "ate"),
    ("enci", "ence"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("ogi", "og"),
    ("li", ""),
)
_STEP_3 = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("alize", "al"),
    ("ative", ""),
    ("icate", "ic"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ness", ""),
    ("ful", ""),
)
_STEP_4 = (
    *("ement", "able", "ance", "ence", "ible", "ment", "ant", "ate", "ent", "ion", "ism", "iti"),
    *("ive", "ize", "ous", "al", "er", "ic"),
)


def stem(word: str) -> str:
    """The stem of a lowercased English word; a word of two letters or fewer is its own."""
    if len(word) <= 2:
        return word
    if word in _WHOLE:
        return _WHOLE[word]
    word = _mark_consonant_y(word.removeprefix("'"))
    first, second = _regions(word)
    word = _without_plural(_without_possessive(word))
    if word not in _AFTER_PLURAL:
        word = _without_tense(word, first)
        if word[-1:] in ("y", "Y") and len(word) > 2 and word[-2] not in _VOWELS:
            word = word[:-1] + "i"
        word = _step_2(word, first)
        word = _step_3(word, first, second)
        word = _step_4(word, second)
        word = _step_5(word, first, second)
    return word.replace("Y", "y")


def _mark_consonant_y(word: str) -> str:
    marked = "Y" + word[1:] if word.startswith("y") else word
    letters = list(marked)
    for index in range(1, len(letters)):
        if letters[index] == "y" and letters[index - 1] in _VOWELS:
            letters[index] = "Y"
    return "".join(letters)


def _regions(word: str) -> tuple[int, int]:
    """Where R1 and R2 start: each after the first vowel and consonant of what stands before."""
    prefix = _REGION_PREFIX.match(word)
    found = _REGION.search(word)
    first = prefix.end() if prefix else found.end() if found else len(word)
    found = _REGION.search(word, first)
    return first, found.end() if found else len(word)


def _has_vowel(text: str) -> bool:
    return not _VOWELS.isdisjoint(text)


def _without_possessive(word: str) -> str:
    for suffix in ("'s'", "'s", "'"):
        if word.endswith(suffix):
            return word.removesuffix(suffix)
    return word


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _without_tense(word: str, first: int) -> str:
    for suffix in ("eedly", "eed"):
        if word.endswith(suffix):
            start = len(word) - len(suffix)
            return word[:start] + "ee" if start >= first else word
    for suffix in ("ingly", "edly", "ing", "ed"):
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            if not _has_vowel(rest):
                return word
            if rest.endswith(("at", "bl", "iz")):
                return rest + "e"
            if rest.endswith(_DOUBLES):
                return rest[:-1]
            return rest + "e" if first >= len(rest) and _SHORT_END.search(rest) else rest
    return word


def _step_2(word: str, first: int) -> str:
    for suffix, replacement in _STEP_2:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            if len(rest) < first:
                return word
            if suffix == "ogi" and not rest.endswith("l"):
                return word
            if suffix == "li" and rest[-1:] not in tuple("cdeghkmnrt"):
                return word
            return rest + replacement
    return word


def _step_3(word: str, first: int, second: int) -> str:
    for suffix, replacement in _STEP_3:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return (
                rest + replacement
                if len(rest) >= (second if suffix == "ative" else first)
                else word
            )
    return word


def _step_4(word: str, second: int) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            if len(rest) < second or (suffix == "ion" and not rest.endswith(("s", "t"))):
                return word
            return rest
    return word


def _step_5(word: str, first: int, second: int) -> str:
    rest = word[:-1]
    if word.endswith("e"):
        if len(rest) >= second or (len(rest) >= first and not _SHORT_END.search(rest)):
            return rest
    elif word.endswith("ll") and len(rest) >= second:
        return rest
    return word
