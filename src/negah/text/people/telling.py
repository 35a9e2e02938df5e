"""Distinguish several people in a caption: "another person", "the other person"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from negah.text.people import lexicon as known
from negah.text.people.counting import start_of
from negah.text.people.word_list import EditableWord, put


def replace_relatives(words: list[EditableWord]) -> None:
    """ "her son", "the man's wife" -> "another person"; "their two kids" -> "two other people"."""
    at = 0
    while at < len(words):
        end = at + 1
        owner = words[at].low in known.POSSESSIVE_PRONOUNS
        if not owner and words[at].number and at + 1 < len(words) and words[at + 1].low == "'s":
            owner, end = True, at + 2
        head = _head_after(words, end) if owner else None
        if head is None or words[head].lemma in ("person", "people"):
            at += 1
            continue
        start = at - 1 if words[at].number and at and words[at - 1].low in known.DETERMINERS else at
        numbers = [words[end].low] if words[end].low in known.NUMBERS else []
        if words[end].low == "own":
            end += 1
        several = words[head].number == 2
        put(words, start, end + len(numbers) - start, [*numbers, "other" if several else "another"])
        at = start + 1


def _head_after(words: Sequence[EditableWord], at: int) -> int | None:
    """The index of the person after a possessive."""
    for place in range(at, min(at + 4, len(words))):
        word = words[place]
        if word.number:
            return place
        free = word.low in known.BETWEEN or word.low in known.NUMBERS or word.low == "own"
        if not free or word.fixed:
            return None
    return None


def tell_apart(words: list[EditableWord]) -> None:
    """The second "a person" of a caption is "another person", the other one "the other person"."""
    seen: list[tuple[str, tuple[str, ...], int]] = []
    at = 0
    while at < len(words):
        word = words[at]
        if not word.number:
            at += 1
            continue
        start, adjectives = start_of(words, at)
        determiner = (
            words[start].low if start < at and words[start].low in known.DETERMINERS else ""
        )
        before = words[start - 1].low if start else ""
        guessed = word.lemma not in ("person", "people") and not word.joined
        beside = before == "and" and start > 1 and words[start - 2].number > 0
        again = any(adjectives == others for _, others, _ in seen) or (beside and not adjectives)
        number = word.number
        shown = before in ("as", "like") or (before == "of" and words[start - 2].low in _SHOWS)
        if guessed and again and not shown and "other" not in adjectives:
            at += _mark_other(words, start, at, determiner, seen)
        elif guessed and seen and determiner == "the" and not adjectives and _differs(word, seen):
            put(words, start, 1, ["the", "other"])
            at += 1
        seen.append((word.lemma, adjectives, number))
        at += 1


_SHOWS = known.words_of("picture image photo statue painting drawing poster portrait group one")


_DEFINITE = known.words_of(
    "both all these those this that same each every no any which first second third"
)


def _mark_other(
    words: list[EditableWord], start: int, head: int, determiner: str, seen: Sequence[object]
) -> int:
    """Mark a person as different from the previous one; return the number of words added."""
    word = words[head]
    if determiner in ("a", "an"):
        put(words, start, 1, ["another"])
        return 0
    if determiner == "the":
        if not _differs(word, seen):
            return 0
        put(words, start, 1, ["the", "other"])
        return 1
    if word.number == 1 and not determiner:
        if start and words[start - 1].low in _DEFINITE:
            return 0
        put(words, start, 0, ["another"])
        return 1
    bare = not determiner and (not start or words[start - 1].low not in _DEFINITE)
    if word.number == 2 and (bare or determiner in known.NUMBERS):
        put(words, start + bool(determiner), 0, ["other"])
        return 1
    return 0


def _differs(word: EditableWord, seen: Sequence[object]) -> bool:
    """Whether this is certainly none of the people before: "the boy" after "a man"."""
    lemmas = [one[0] for one in _mentions(seen) if one[2] == word.number]
    return bool(lemmas) and all(
        any(
            (word.lemma in one and lemma in other) or (word.lemma in other and lemma in one)
            for one, other in ((known.MEN, known.WOMEN), (known.GROWN, known.SMALL))
        )
        for lemma in lemmas
    )


def _mentions(seen: Sequence[object]) -> Iterator[tuple[str, tuple[str, ...], int]]:
    yield from seen  # type: ignore[misc]
