"""The ImageNet classes that a word of a caption refers to.

Our list ``classes.yaml`` has about 400 words for things in the 1,000 classes of ILSVRC 2012 (O.
Russakovsky et al., IJCV 2015), and a few words for actions with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from negah.errors import DataError
from negah.text.stems import stemmed
from negah.yaml_core import read_yaml

#: Number of ImageNet classes.
CLASSES = 1000

ClassesByStem = Mapping[str, tuple[int, ...]]


@cache
def load_lexicon() -> ClassesByStem:
    """The classes of each stem, ascending."""
    text = (resources.files(__package__) / "classes.yaml").read_text(encoding="utf-8")
    return parse_lexicon(read_yaml(text), where="classes.yaml")


def classes_of(word: str) -> tuple[int, ...]:
    """The classes of a word; empty for a word that is not in the list."""
    return load_lexicon().get(stemmed((word.lower(),))[0], ())


def parse_lexicon(values: Any, where: str) -> ClassesByStem:
    """Parse words with their classes, each a number or a range ``"a-b"``.

    Raises:
        DataError: an invalid word, list or class.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"{where}: expected words with lists of classes")
    found: dict[str, set[int]] = {}
    for word, given in values.items():
        if not isinstance(word, str) or not isinstance(given, list) or not given:
            raise DataError(f"{where}: {word!r}: expected a word with a list of classes")
        classes = {number for part in given for number in _numbers(part, f"{where}: {word}")}
        found.setdefault(stemmed((word,))[0], set()).update(classes)
    return {stem: tuple(sorted(classes)) for stem, classes in found.items()}


def _numbers(part: Any, where: str) -> range:
    first, dash, last = str(part).partition("-")
    if first.isdecimal() and (last.isdecimal() or not dash):
        found = range(int(first), int(last or first) + 1)
        if found and found[-1] < CLASSES:
            return found
    raise DataError(f"{where}: {part!r} is neither a class nor a range of classes from 0 to 999")
