"""The objects that a caption names, as categories of COCO.

Words are compared as tokens, the longest name first: "hot dog" is not a dog, and "train track" not
a train. Ambiguous words of the table (``words.yaml``) are resolved from the words around them by a
few rules in :func:`_is_thing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from negah.yaml_core import read_yaml

#: Words that may precede a noun, directly or with one word between.
_DETERMINERS = frozenset(
    [
        *("a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "their", "my"),
        *("our", "your", "another", "one", "two", "three", "four", "five", "six", "several"),
        *("some", "many", "each", "every", "both", "'s"),
    ]
)
#: Words that may precede a noun directly.
_HOLDING = frozenset(["with", "holding", "swinging", "carrying", "holds", "swings"])
#: Words that may follow a noun that stands by itself.
_AFTER_A_NOUN = frozenset(
    [
        *("in", "on", "at", "with", "to", "from", "of", "by", "near", "next", "under", "over"),
        *("inside", "into", "onto", "behind", "beside", "between", "above", "below", "while", "as"),
        *("that", "which", "who", "is", "are", "was", "were", "has", "have", "for", "off", "out"),
        *("through", "toward", "towards", "during", "up", "down", "across", "along", "around"),
        *("against", "after", "before", "beneath", "outside", "but", "'s", "then", "being", "sits"),
        *("lies", "high", "together", "there", "it", "his", "her", "their", "the", "a", "an"),
    ]
)
#: Words that precede a single thing or person, directly or before an adjective.
_BEFORE_ONE = frozenset(["a", "an", "one", "another", "this", "that", "each", "every"])
#: Between such a word and a noun, these make it several: "a few adult bears".
_SEVERAL = frozenset(["few", "couple", "dozen"])
#: After these, words that are nouns or verbs are verbs.
_BEFORE_A_VERB = frozenset(["who", "he", "she", "they"])


@dataclass(frozen=True, slots=True)
class Mention:
    """A word or phrase of a caption that names an object.

    Attributes:
        words: the words, with spaces between them.
        start: index of the first word in the caption's tokens.
        categories: the COCO categories that may be meant; usually one.
    """

    words: str
    start: int
    categories: frozenset[str]


def categories() -> tuple[str, ...]:
    """The 80 categories of COCO, in COCO's order."""
    return tuple(_table().categories)


def categories_of(name: str) -> frozenset[str]:
    """The categories that the name of an object stands for; empty if COCO has none."""
    words = [part for token in name.replace("_", " ").split() for part in _parts(token)]
    return _table().names.get(tuple(words), frozenset())


def mentions(tokens: Sequence[str]) -> list[Mention]:
    """The objects that a tokenised caption names, in its order, each as often as it is named."""
    pairs = [(part, place) for place, token in enumerate(tokens) for part in _parts(token)]
    words = [part for part, _ in pairs]
    return [
        Mention(" ".join(words[start:end]), pairs[start][1], found)
        for start, end, found in _names_in(words)
        if found and (end - start > 1 or _is_thing(words, start))
    ]


def _parts(token: str) -> list[str]:
    """A token in lower case, split at hyphens: "double-decker" is two words."""
    return [part for part in token.lower().split("-") if part]


def _names_in(words: Sequence[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Where names and phrases begin and end, the longest first, from left to right."""
    table = _table()
    start = 0
    while start < len(words):
        end = start + min(table.longest.get(words[start], 0), len(words) - start)
        while end > start and tuple(words[start:end]) not in table.names:
            end -= 1
        if end > start:
            yield start, end, table.names[tuple(words[start:end])]
        start = max(end, start + 1)


def _is_thing(words: Sequence[str], start: int) -> bool:
    """Whether an ambiguous word names a thing at this position."""
    table = _table()
    word = words[start]
    before = words[start - 1] if start else ""
    after = words[start + 1] if start + 1 < len(words) else ""
    if word in table.before_a_thing and _says_which(words, start):
        return False
    if _is_verb(words, start):
        return False
    if word not in table.doubtful:
        return True
    # a noun of its own: "an orange", "holding the last orange"; not "orange shirt", "at bat"
    if before not in _DETERMINERS | _HOLDING and (
        start < 2 or words[start - 2] not in _DETERMINERS
    ):
        return False
    if after in ("and", "or"):  # not "an orange and white cat"
        then = words[start + 2 :]
        return bool(then) and (then[0] in _DETERMINERS or _begins_with_a_thing(then))
    return not after or after in _AFTER_A_NOUN or after.endswith("ing")


def _is_verb(words: Sequence[str], start: int) -> bool:
    """Whether a word that may be a verb is one where it stands."""
    table = _table()
    word = words[start]
    if word not in table.also_verbs or not start:
        return False
    before = words[start - 1]
    if before in table.before_a_thing:  # "a kid skis"; not "a baby bear", "two adult bears"
        return word.endswith("s") and _is_one(words, start - 1)
    return (
        before in _BEFORE_A_VERB
        or (before == "to" and not word.endswith("s"))  # but "next to bowls"
        or "person" in table.names.get((before,), ())
    )


def _is_one(words: Sequence[str], start: int) -> bool:
    """Whether a noun is said to be a single one: "a kid", "one young child"."""
    *_, first, second = ("", "", *words[:start])
    return second in _BEFORE_ONE or (first in _BEFORE_ONE and second not in _SEVERAL)


def _says_which(words: Sequence[str], start: int) -> bool:
    """Whether a word specifies which thing is meant: "a baby, a mother and baby zebra"."""
    end = start + 1
    while end < len(words) and words[end] in {"and", "her", "its", *_table().before_a_thing}:
        end += 1
    if words[end - 1] not in _table().before_a_thing or end == len(words):
        return False
    return _begins_with_a_thing(words[end:]) and not _is_verb(words, end)


def _begins_with_a_thing(words: Sequence[str]) -> bool:
    first = next(_names_in(words[:4]), None)
    return first is not None and first[0] == 0 and bool(first[2])


@dataclass(frozen=True, slots=True)
class _WordTable:
    """``words.yaml``, prepared for look-ups.

    Attributes:
        categories: in COCO's order.
        names: the categories of each name, singular and plural; none for what names nothing.
        longest: the number of words of the longest name that begins with a word.
        doubtful: words that name a thing only if they are a noun by themselves.
        before_a_thing: words that stand before the name of a thing to say which one.
        also_verbs: words that are verbs after somebody.
    """

    categories: Sequence[str]
    names: Mapping[tuple[str, ...], frozenset[str]]
    longest: Mapping[str, int]
    doubtful: frozenset[str]
    before_a_thing: frozenset[str]
    also_verbs: frozenset[str]


@cache
def _table() -> _WordTable:
    text = (resources.files(__package__) / "words.yaml").read_text(encoding="utf-8")
    content = read_yaml(text)
    groups = [(f"{one}, {names}", frozenset({one})) for one, names in content["names"].items()]
    groups += [(names, frozenset(_split(either))) for either, names in content["either"].items()]
    groups += [(names, frozenset[str]()) for names in content["nothing"].values()]
    names: dict[tuple[str, ...], frozenset[str]] = {}
    doubtful: list[str] = []
    for given, found in groups:
        for name in _split(given):
            single, _, plural = name.lstrip("~").partition("/")
            names[tuple(single.split())] = names[tuple((plural or _plural(single)).split())] = found
            if name.startswith("~"):
                doubtful.append(single)
    longest: dict[str, int] = {}
    for words in names:
        longest[words[0]] = max(len(words), longest.get(words[0], 0))
    return _WordTable(
        categories=list(content["names"]),
        names=names,
        longest=longest,
        doubtful=frozenset(doubtful),
        before_a_thing=frozenset(_split(content["before_a_thing"])),
        also_verbs=frozenset(_split(content["also_verbs"])),
    )


def _split(names: str) -> Iterable[str]:
    return [name for name in names.split(", ") if name]


def _plural(name: str) -> str:
    head, of, rest = name.partition(" of")
    if of:
        return f"{_plural(head)}{of}{rest}"
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"
