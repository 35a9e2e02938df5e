"""Which words of a caption are supported by references and boxes of its photo.

A content word counts as supported if a reference of the photo says the word itself, its stem,
another name of the same thing, or a kind of it: "puppy" supports "dog", but "dog" does not support
"puppy" (our own list ``kinds.yaml``). A name of one of COCO's categories counts as supported where
a reference names that category in any way or a box of it is there, as CHAIR counts
(:mod:`negah.metrics.chair`). "Person" is one of them: whether it is a man or a woman is not judged.

Five references do not mention everything, so some words that count as unsupported are true.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from negah.metrics.chair import categories_of, mentions
from negah.text.stems import stemmed
from negah.text.stopwords import is_visible
from negah.yaml_core import read_yaml


@dataclass(frozen=True, slots=True)
class Truth:
    """The known content of one photo.

    Attributes:
        said: stems of what its references say, and of what that is a kind of.
        there: the categories of COCO that they name, or that are boxed.
    """

    said: frozenset[str]
    there: frozenset[str]

    @classmethod
    def of(
        cls, references: Iterable[Sequence[str]], objects: Collection[str] | None = None
    ) -> Truth:
        """Derive the truth from references and boxes.

        Args:
            references: of the photo, each as words (:func:`negah.text.words`).
            objects: names of what is boxed; None where nobody has looked.
        """
        rows = [list(row) for row in references]
        said: set[str] = set()
        for stem in stemmed(word for row in rows for word in row):
            said |= _said_with(stem)
        named = (one.categories for row in rows for one in mentions(row))
        boxed = map(categories_of, objects or ())
        return cls(frozenset(said), frozenset[str]().union(*named, *boxed))

    def of_words(self, words: Sequence[str]) -> list[bool | None]:
        """Whether each word of a caption is supported; None for function words."""
        found: list[bool | None] = [
            stem in self.said if is_visible(word) else None
            for word, stem in zip(words, stemmed(words), strict=True)
        ]
        for one in mentions(words):
            for place in range(one.start, one.start + len(one.words.split())):
                if place < len(found) and found[place] is not None and one.categories & self.there:
                    found[place] = True
        return found


def agreement(references: Iterable[Sequence[Sequence[str]]]) -> dict[str, tuple[int, int]]:
    """How often people agree on a word: when one says it of a photo, whether another supports it.

    Args:
        references: of each photo, each as words; photos with one reference tell nothing.

    Returns:
        Of each content word, how often it was said, and how often another reference supported it.
    """
    counts: dict[str, list[int]] = {}
    for rows in references:
        truths = [Truth.of([row]) for row in rows]
        for place, row in enumerate(rows if len(rows) > 1 else ()):
            others = truths[:place] + truths[place + 1 :]
            said = frozenset[str]().union(*(one.said for one in others))
            there = frozenset[str]().union(*(one.there for one in others))
            for word, supported in zip(row, Truth(said, there).of_words(row), strict=True):
                if supported is not None:
                    count = counts.setdefault(word, [0, 0])
                    count[0] += 1
                    count[1] += supported
    return {word: (said, supported) for word, (said, supported) in counts.items()}


def other_names(word: str) -> frozenset[str]:
    """The stems that stand for the same as a word, its own among them."""
    (stem,) = stemmed([word])
    return _tables()[0].get(stem, frozenset({stem}))


def _said_with(stem: str) -> frozenset[str]:
    """The stems that are said with a stem: its own, its other names, and what it is a kind of."""
    return _tables()[1].get(stem, frozenset({stem}))


@cache
def _tables() -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
    """By stem, those that stand for the same; and those that are said with it."""
    text = (resources.files(__package__) / "kinds.yaml").read_text(encoding="utf-8")
    content = read_yaml(text)
    above: dict[str, set[str]] = {}
    for group in content["same"]:
        stems = [stem for name in _split(group) for stem in _forms(name)]
        for stem in stems:
            above.setdefault(stem, set()).update(stems)
    same = {stem: frozenset(others) for stem, others in above.items()}
    for general, kinds in content["kinds"].items():
        heads = frozenset[str]().union(
            *(same.get(stem, frozenset({stem})) for stem in _forms(str(general)))
        )
        for name in _split(kinds):
            for stem in _forms(name):
                for each in same.get(stem, frozenset({stem})):
                    above.setdefault(each, {each}).update(heads)
    return same, {stem: frozenset(_reached(stem, above)) for stem in above}


def _reached(stem: str, above: Mapping[str, Collection[str]]) -> set[str]:
    """What is above a stem, and above that: a puppy is an animal, too."""
    found, open_stems = {stem}, [stem]
    while open_stems:
        for other in above.get(open_stems.pop(), ()):
            if other not in found:
                found.add(other)
                open_stems.append(other)
    return found


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")]


def _forms(name: str) -> tuple[str, ...]:
    """The stems of a name and of its other forms."""
    return tuple(dict.fromkeys(stemmed(name.split("/"))))
