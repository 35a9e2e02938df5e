"""Replace names, phrases and words that have a single neutral form: "police officer", "wading
pool"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from negah.text.people import lexicon as known
from negah.text.people.word_list import EditableWord, drop, put

_YEARS = re.compile(r"(?:[\w.]+-)?(?:years?|yr|month|months)-old(s?)")


def keep_names(words: list[EditableWord]) -> None:
    """Mark phrases that only look like a guess: "cowboy hat", "little league"."""
    for at in range(len(words) - 1):
        if (words[at].low, words[at + 1].low) in known.NAMES:
            words[at].fixed = words[at + 1].fixed = True


def replace_phrases(words: list[EditableWord]) -> None:
    """Replace phrases of the lexicon by their neutral names."""
    at = 0
    while at < len(words):
        for length in (3, 2):
            found = tuple(word.low for word in words[at : at + length])
            new = known.PHRASES.get(found)
            if new is not None and not words[at].fixed:
                put(words, at, length, new.split())
                if found[1] == "and" and at and words[at - 1].low in ("a", "an"):
                    put(words, at - 1, 1, ["two"])
                break
        at += 1


def replace_ages(words: list[EditableWord]) -> None:
    """ "two year old boy" and "2-year-old" -> an adjective or a noun of our lists."""
    for at in range(len(words) - 1, -1, -1):
        start, end = at, at
        if words[at].low in ("old", "olds") and at and words[at - 1].low in ("year", "years"):
            start, plural = max(at - 2, 0), words[at].low == "olds"
            if words[start].low in ("a", "the", "of"):
                start += 1
        elif match := _YEARS.fullmatch(words[at].low):
            plural = match[1] == "s"
        else:
            continue
        if start and words[start].low not in ("a", "an") and words[start - 1].low == "about":
            start -= 1
        before, noun = words[start - 1].low if start else "", _noun_after(words, end + 1)
        if noun:
            put(words, start, end + 1 - start, ["young"])
        elif before in ("a", "an", "the", "his", "her", "their", "another") or plural:
            put(words, start, end + 1 - start, ["children" if plural else "child"])


def _noun_after(words: Sequence[EditableWord], at: int) -> bool:
    """Whether a person follows here, after adjectives only."""
    for word in words[at : at + 4]:
        if is_person_noun(word):
            return True
        if word.low not in known.ADJECTIVES:
            return False
    return False


def is_person_noun(word: EditableWord) -> bool:
    """Whether a noun names people, by gender, age or role."""
    if word.fixed:
        return False
    return word.low in known.SINGULAR or word.low in known.PLURAL or is_role(word)


def is_role(word: EditableWord) -> bool:
    """Whether a noun names people by their role: "surfer", "tourists"."""
    low = word.low
    if low in known.PEOPLE or low in known.ROLE_NOUNS:
        return True
    ends = low.endswith(("er", "ers", "or", "ors", "ist", "ists"))
    return ends and len(low) > 4 and low not in known.NOT_PEOPLE and not word.fixed


def replace_words(words: list[EditableWord]) -> None:
    """Replace words that have a neutral name, and nouns in -man that have none."""
    for at in range(len(words) - 1, -1, -1):
        word = words[at]
        if word.fixed:
            continue
        low = word.low
        if low in known.ROLES:
            put(words, at, 1, known.ROLES[low].split())
        elif low in known.WORDS:
            if known.WORDS[low]:
                put(words, at, 1, [known.WORDS[low]])
            else:
                drop(words, at)
        elif low in known.POSSESSIVES:
            words[at : at + 1] = [
                replace(word, low="man", text="man"),
                EditableWord("", "'s", "'s"),
            ]
        elif low.startswith("blonde-"):
            put(words, at, 1, ["blond-" + low.removeprefix("blonde-")])
        elif low.endswith(("man", "men")) and low not in known.NOT_MEN and len(low) > 4:
            put(words, at, 1, ["person" if low.endswith("man") else "people"])
