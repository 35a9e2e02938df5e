"""An editable list of the words of a sentence that preserves its spaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_WORD = re.compile(r"(\s*)([^\W_]+(?:-[^\W_]+)*|['’](?:s|re|ll|d|m|ve)\b|\S)")
_VOWEL = re.compile(r"(?!uni|use|usu|u-|eu|one\b|once)[aeiou]|hou?r\b|honest|heir")


@dataclass(slots=True)
class EditableWord:
    """A word, an ending ("'s") or a punctuation mark.

    Attributes:
        space: the white space before it.
        text: as it is printed.
        low: the text in lower case.
        number: 1 if it names a person, 2 if several, else 0.
        lemma: the original noun.
        joined: whether it replaces several people that were listed one by one.
        fixed: whether it must not be changed.
        changed: whether it was replaced.
    """

    space: str
    text: str
    low: str
    number: int = 0
    lemma: str = ""
    joined: bool = False
    fixed: bool = False
    changed: bool = False

    def set(self, text: str) -> None:
        """Replace the text of the word."""
        self.text = self.low = text
        self.changed = True


def split_words(text: str) -> list[EditableWord]:
    """The words and marks of a text."""
    return [
        EditableWord(space, word, word.lower().replace("’", "'"))
        for space, word in _WORD.findall(text)
    ]


def joined(words: Sequence[EditableWord], *, capital: bool) -> str:
    """Join the words to text, with a capital at the beginning if it had one."""
    text = "".join(word.space + word.text for word in words)
    if capital:
        start = len(text) - len(text.lstrip())
        text = text[:start] + text[start : start + 1].upper() + text[start + 1 :]
    return text


def put(words: list[EditableWord], at: int, length: int, new: Sequence[str]) -> None:
    """Replace ``length`` words by others; the space before them is kept."""
    space = words[at].space if at < len(words) else " "
    if not length and at == 0 and words:
        words[0].space = " "
        if words[0].text.istitle():
            words[0].text = words[0].low
    elif not length:
        space = space or " "
    fresh = [
        EditableWord(" " if number else space, text, text, changed=True)
        for number, text in enumerate(new)
    ]
    words[at : at + length] = fresh


def drop(words: list[EditableWord], at: int) -> None:
    """Remove a word; at the beginning the next one takes its space and capital."""
    space = words[at].space
    del words[at]
    if at < len(words):
        if at == 0:
            words[0].space = space
        words[at].changed = True


def with_articles(words: list[EditableWord]) -> list[EditableWord]:
    """Adapt "a" or "an" to the next word where that has changed."""
    for word, after in pairwise(words):
        if word.low in ("a", "an") and after.changed and after.text[:1].isalpha():
            article = "an" if _VOWEL.match(after.low) else "a"
            if word.low != article:
                word.text = article.capitalize() if word.text[:1].isupper() else article
                word.low = article
    return words
