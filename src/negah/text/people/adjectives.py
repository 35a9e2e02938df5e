"""Replace nouns for people by "person" and "people"; drop other words for their age or gender."""

from __future__ import annotations

from collections.abc import Sequence

from negah.text.people import lexicon as known
from negah.text.people.naming import is_person_noun, is_role
from negah.text.people.word_list import EditableWord, drop


def find_people(words: list[EditableWord]) -> None:
    """Replace nouns for people by "person" or "people", and drop those that only modify another
    noun."""
    animals = {word.low for word in words if not word.fixed} & known.ANIMALS
    alone = bool(animals) and not _speaks_of_people(words)
    wild = alone and bool(animals & known.WILD)
    for at in range(len(words) - 1, -1, -1):
        word = words[at]
        low = word.low
        if low in ("person", "people") and not word.fixed:
            word.number, word.lemma = (1, low) if low == "person" else (2, low)
        if word.fixed or not (low in known.SINGULAR or low in known.PLURAL):
            continue
        theirs = (alone and low in _PARENTS) or (wild and low in _YOUNG)
        theirs = theirs or (
            low in _OF_ANY and bool(animals) and at > 0 and words[at - 1].low == "its"
        )
        if theirs or (low in _OF_ANY and _is_of_animals(words, at)):
            word.fixed = True
        elif _describes(words, at) or (low in ("male", "female") and _are_several(words, at)):
            _drop_adjective(words, at)
        else:
            several = _are_several(words, at)
            word.set("people" if several else "person")
            word.number, word.lemma = 2 if several else 1, low


#: Words that refer to an animal if no person is mentioned: any animal, or a wild one.
_PARENTS = known.words_of("babies mother father mom mama momma mommy parent parents")
_YOUNG = known.words_of("baby young adult adults infant newborn")
_OF_ANY = _PARENTS | _YOUNG | known.words_of("mothers male female males females")
_QUALIFIERS = known.ADJECTIVES - set(known.NUMBERS)
_NO_PEOPLE = _PARENTS | _YOUNG | known.ANIMALS
_BEFORE_ANIMALS = known.BETWEEN | known.SIZES | _PARENTS | _YOUNG | {"female", "a"}


def _are_several(words: Sequence[EditableWord], at: int) -> bool:
    """Whether a noun is plural; the words before it decide if the author made a mistake."""
    start = at
    while start and words[start - 1].low in _QUALIFIERS:
        start -= 1
    before = words[start - 1].low if start else ""
    after = words[at + 1].low if at + 1 < len(words) else ""
    if words[at].low in known.PLURAL:
        return before not in ("a", "an", "one", "another", "every", "each")
    numbered = before in known.NUMBERS and before != "one"
    agreed = (
        after in ("are", "were")
        and before == "the"
        and (start < 2 or words[start - 2].low != "and")
    )
    return numbered or agreed or before in ("several", "many", "few", "both")


def speaks_of_animals(words: Sequence[EditableWord]) -> bool:
    """Whether an animal is mentioned and no person."""
    people = any(word.number or is_role(word) for word in words)
    return not people and any(word.low in known.ANIMALS and not word.fixed for word in words)


def _speaks_of_people(words: Sequence[EditableWord]) -> bool:
    return any(is_person_noun(word) and word.low not in _NO_PEOPLE for word in words)


def _is_of_animals(words: Sequence[EditableWord], at: int) -> bool:
    """Whether an animal follows, as in "a mother bear" and "adult and baby elephants"."""
    for place in range(at + 1, min(at + 5, len(words))):
        low = words[place].low
        if low in known.ANIMALS:  # but of "a female horse rider"
            return place + 1 >= len(words) or not is_role(words[place + 1])
        before = words[place - 1].low
        if low == "and":
            if before not in _OF_ANY:
                return False
        elif low not in _BEFORE_ANIMALS or (low == "a" and before != "and"):
            return False
    return False


def _describes(words: Sequence[EditableWord], at: int) -> bool:
    """Whether a noun for people modifies the next noun, or is a possessive of a kind of thing."""
    word, after = words[at], words[at + 1 : at + 5]
    if not after:
        return False
    several = word.low in known.PLURAL
    if after[0].low in ("'s", "'"):
        return several and len(after) > 1 and after[1].low in known.THINGS
    if after[0].low in known.THINGS:
        return not (several and after[0].low in known.VERBS)
    if after[0].low in known.FIGURES:
        return True
    for number, other in enumerate(after):
        if other.fixed or other.low in known.FUNCTION or other.low in known.NOT_PEOPLE:
            return False
        if other.number or other.low in known.SINGULAR or other.low in known.PLURAL:
            return number == 0 or not several
        if is_role(other):
            plural = other.low.endswith("s")
            return other.low in known.PEOPLE or plural == several or word.low in known.DESCRIBING
        if other.low not in known.ADJECTIVES:
            return False
    return False


def _drop_adjective(words: list[EditableWord], at: int) -> None:
    """Leave out a word before a noun, with the comma or "and" that joined it to another."""
    if at + 1 < len(words) and words[at + 1].low in ("'s", "'"):
        drop(words, at + 1)
    before = words[at - 1].low if at else ""
    after = words[at + 1].low if at + 1 < len(words) else ""
    further = words[at + 2].low if at + 2 < len(words) else ""
    if after in (",", "and", "-") and further and further not in known.FUNCTION:
        drop(words, at + 1)
    elif (before == "," and at > 1 and words[at - 2].low in known.ADJECTIVES) or (
        before == "and" and at > 1 and words[at - 2].low in known.BETWEEN
    ):
        drop(words, at - 1)
        at -= 1
    drop(words, at)
    if at and words[at - 1].low in ("very", "really", "quite", "extremely", "rather", "somewhat"):
        drop(words, at - 1)


def drop_adjectives(words: list[EditableWord]) -> None:
    """Drop adjectives of age and gender before people."""
    for at in range(len(words) - 1, -1, -1):
        word = words[at]
        if word.fixed:
            continue
        if word.low in known.AGES:
            if _is_of_animals(words, at):
                continue
            rest = words[at + 1].low if at + 1 < len(words) else ""
            if (
                (rest and rest not in known.FUNCTION and rest[:1].isalpha())
                or rest == ","
                or (rest == "and" and _person_ahead(words, at + 2))
            ):
                _drop_adjective(words, at)
            elif at and words[at - 1].low in ("the", "a", "an"):
                several = words[at - 1].low == "the"
                word.number, word.lemma = 1 + several, word.low
                word.set("people" if several else "person")
        elif word.low in known.SIZES and _person_ahead(words, at + 1):
            _drop_adjective(words, at)


def _person_ahead(words: Sequence[EditableWord], at: int) -> bool:
    """Whether only adjectives precede the next person."""
    for word in words[at : at + 5]:
        if word.number or is_role(word):
            return word.low not in ("group", "crowd", "audience")
        describes = word.low in known.ADJECTIVES or word.low.endswith(("ing", "ed"))
        if word.low not in (",", "and", "-") and (word.fixed or not describes):
            return False
    return False
