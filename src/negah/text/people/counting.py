"""Merge people who are listed one by one: "a person and a person" -> "two people"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from negah.text.people import lexicon as known
from negah.text.people.word_list import EditableWord, put

_QUALIFIERS = (known.BETWEEN | {"other"}) - set(known.NUMBERS)
_LINKS = ("and", "&")


@dataclass(frozen=True, slots=True)
class _Phrase:
    """An optional determiner and a person, with nothing between: "two people".

    Attributes:
        start: index of its first word.
        head: index of its noun.
        determiner: in lower case; "" for none.
    """

    start: int
    head: int
    determiner: str

    def count(self, words: Sequence[EditableWord]) -> int:
        """The number of people; 0 if unknown."""
        if self.determiner in known.NUMBERS:
            return known.NUMBERS[self.determiner]
        return 1 if words[self.head].number == 1 else 0


def _phrase_from(words: Sequence[EditableWord], at: int) -> _Phrase | None:
    """The phrase that begins here."""
    if at >= len(words):
        return None
    named = words[at].low in known.DETERMINERS
    head = at + named
    if head >= len(words) or not words[head].number:
        return None
    if head + 1 < len(words) and words[head + 1].low in ("'s", "'"):
        return None
    return _Phrase(at, head, words[at].low if named else "")


def _chain(words: Sequence[EditableWord], first: _Phrase) -> list[_Phrase]:
    """The phrases that "and" joins to the first, and commas before it."""
    chain, last_and = [first], 0
    while True:
        at = chain[-1].head + 1
        comma = at < len(words) and words[at].low == ","
        at += comma
        linked = at < len(words) and words[at].low in _LINKS
        following = _phrase_from(words, at + linked) if comma or linked else None
        if following is None:
            return chain[: last_and + 1]
        chain.append(following)
        if linked:
            last_and = len(chain) - 1


def count_together(words: list[EditableWord]) -> None:
    """ "a person and a person" -> "two people", "people and people" -> "people"."""
    at = 0
    while at < len(words):
        first = _phrase_from(words, at)
        at += 1
        chain = [] if first is None else _chain(words, first)
        if len(chain) < 2:
            continue
        start, adjectives = start_of(words, chain[0].head)
        if adjectives and not chain[0].determiner:
            if all(not one.determiner for one in chain[1:]) and start < chain[0].head:
                determiner = words[start].low if words[start].low in known.DETERMINERS else ""
                chain[0] = _Phrase(start, chain[0].head, determiner)
            else:
                continue
        if _may_join(words, chain):
            _join(words, chain, adjectives)


def _join(words: list[EditableWord], chain: Sequence[_Phrase], adjectives: tuple[str, ...]) -> None:
    """Put one phrase in the place of several."""
    first, last = chain[0], chain[-1]
    counts = [one.count(words) for one in chain]
    if all(counts):
        total = sum(counts)
        number = next((name for name, n in known.NUMBERS.items() if n == total), str(total))
        new = [*(["the"] if first.determiner == "the" else []), number]
        new += ["other"] if first.determiner == "another" else []
    else:
        unknown = next(one for one, count in zip(chain, counts, strict=True) if not count)
        kept = unknown.determiner
        new = [kept] if kept and kept not in known.POSSESSIVE_PRONOUNS else []
    lemma = words[first.head].lemma
    _agree(words, first.start)
    new += adjectives
    put(words, first.start, last.head + 1 - first.start, [*new, "people"])
    place = first.start + len(new)
    words[place].number, words[place].lemma, words[place].joined = 2, lemma, True
    if place + 1 < len(words) and words[place + 1].low in _SEVERAL:  # a mistake of the author
        words[place + 1].set(_SEVERAL[words[place + 1].low])


def _may_join(words: Sequence[EditableWord], chain: Sequence[_Phrase]) -> bool:
    first, last = chain[0], chain[-1]
    before = words[first.start - 1].low if first.start else ""
    if before in ("both", "either", "neither", ","):
        return False
    # unknown adjectives: it is unclear whether they apply to all of them
    apart = before in known.FUNCTION or not before[:1].isalpha() or before.endswith("ing")
    if not apart and not first.determiner:
        singular = any(words[one.head].number == 1 for one in chain)
        if singular or any(one.determiner for one in chain[1:]):
            return False
    # "a man and a woman in a red dress": the dress is hers
    after = [word.low for word in words[last.head + 1 : last.head + 7]]
    if after and after[0] in _WORN and words[last.head].number == 1:
        for place, low in enumerate(after[1:], start=1):
            if low in known.CLOTHES:
                return not any(part in ("a", "an", "his", "her") for part in after[1:place])
    return True


_SEVERAL = {"is": "are", "was": "were", "has": "have"}
_WORN = ("in", "wearing", "with", "dressed")


def _agree(words: list[EditableWord], at: int) -> None:
    """ "there is" before what are now several -> "there are"."""
    if at > 1 and words[at - 1].low in _SEVERAL and words[at - 2].low in ("there", "here"):
        words[at - 1].set(_SEVERAL[words[at - 1].low])


def start_of(words: Sequence[EditableWord], head: int) -> tuple[int, tuple[str, ...]]:
    """The start of a person's noun phrase, and its adjectives."""
    at = head
    while at and words[at - 1].low in _QUALIFIERS:
        at -= 1
    adjectives = tuple(word.text for word in words[at:head])
    if at and words[at - 1].low in known.DETERMINERS:
        at -= 1
    return at, adjectives
