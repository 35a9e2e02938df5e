"""Replace "he" and "she" by "they" in English captions, and adapt the verbs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from negah.text.people import lexicon as known
from negah.text.people.word_list import EditableWord, put

_SUBJECTS = ("he", "she")
_IRREGULAR = {"is": "are", "was": "were", "has": "have", "does": "do", "goes": "go"}
_SIMPLE = {"him": "them", "hers": "theirs", "himself": "themselves", "herself": "themselves"}
_OF_ANIMALS = {"he": "it", "she": "it", "him": "it", "his": "its", "hers": "its"}
_OF_ANIMALS |= {"himself": "itself", "herself": "itself"}
_ENDINGS = {"'s": "'re", "'ll": "'ll", "'d": "'d"}
# go-es, catch-es, push-es, pass-es, mix-es, buzz-es
_ES = re.compile(r".*(?:[cs]h|ss|x|zz|o)es")


def neutral_pronouns(words: list[EditableWord], *, of_animals: bool) -> None:
    """Replace the pronouns of one person, in place.

    Args:
        words: of the caption.
        of_animals: whether they can only refer to an animal: then "it", with the verb unchanged.
    """
    if of_animals:
        _neutral_animals(words)
        return
    _join_alternatives(words)
    at = 0
    while at < len(words):
        word = words[at]
        if word.fixed:
            pass
        elif word.low in _SUBJECTS:
            _subject(words, at)
        elif word.low in _SIMPLE:
            word.set(_SIMPLE[word.low])
        elif word.low == "his":
            word.set("their" if _has_noun(words, at) else "theirs")
        elif word.low == "her":
            word.set("their" if _has_noun(words, at) else "them")
        at += 1


def _neutral_animals(words: list[EditableWord]) -> None:
    for at, word in enumerate(words):
        if word.low == "her":
            word.set("its" if _has_noun(words, at) else "it")
        elif word.low in _OF_ANIMALS:
            word.set(_OF_ANIMALS[word.low])


def _join_alternatives(words: list[EditableWord]) -> None:
    """ "he or she", "his / her" -> one of them."""
    pairs = {frozenset(("he", "she")), frozenset(("his", "her")), frozenset(("him", "her"))}
    at = 0
    while at + 2 < len(words):
        first, link, second = words[at : at + 3]
        if link.low in ("or", "/") and frozenset((first.low, second.low)) in pairs:
            put(words, at, 3, ["his" if "his" in (first.low, second.low) else first.low])
            if words[at].low in ("him", "her") and "him" in (first.low, second.low):
                words[at].set("them")
        at += 1


def _has_noun(words: Sequence[EditableWord], at: int) -> bool:
    """Whether "her" or "his" is a possessive here."""
    if at + 1 >= len(words):
        return False
    after = words[at + 1].low
    return after[:1].isalnum() and after not in known.AFTER_OBJECT


def _subject(words: list[EditableWord], at: int) -> None:
    """ "he runs" -> "they run", "is she" -> "are they"."""
    words[at].set("they")
    if at + 1 < len(words) and words[at + 1].low in _ENDINGS:
        got = at + 2 < len(words) and words[at + 2].low in ("got", "been")
        words[at + 1].set("'ve" if got else _ENDINGS[words[at + 1].low])
        words[at + 1].space = ""
        return
    if at and words[at - 1].low in ("is", "was", "has", "does") and not _verb_at(words, at + 1):
        words[at - 1].set(_IRREGULAR[words[at - 1].low])
        return
    place = _verb_at(words, at + 1)
    if place is None:
        return
    words[place].set(_plural_verb(words[place].low))
    for link in range(place + 1, len(words) - 1):
        if words[link].low in (".", ";", *_SUBJECTS) or words[link].low in ("who", "that", "which"):
            return
        if words[link].low in ("and", "or", "but"):
            other = _verb_at(words, link + 1, known.COORDINATED)
            if other is not None:
                words[other].set(_plural_verb(words[other].low))


def _verb_at(
    words: Sequence[EditableWord], at: int, among: frozenset[str] | None = None
) -> int | None:
    """The index of the next verb in the third person, adverbs skipped."""
    while at < len(words) and (words[at].low in known.ADVERBS or words[at].low.endswith("ly")):
        at += 1
    if at >= len(words) or not words[at].low.endswith("s") or words[at].low.endswith("ss"):
        return None
    low = words[at].low
    if among is not None:
        return at if low in among else None
    return at if low.isalpha() and len(low) > 1 and low not in ("his", "as", "this") else None


def _plural_verb(verb: str) -> str:
    """ "runs" -> "run", "tries" -> "try", "catches" -> "catch"."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if _ES.fullmatch(verb):
        return verb[:-2]
    return verb[:-1]
