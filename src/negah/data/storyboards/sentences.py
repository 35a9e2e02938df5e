"""Sentences grouped by clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from negah.data.sentences import read_sentences
from negah.errors import DataError
from negah.text import words


@dataclass(frozen=True, slots=True)
class ClipSentences:
    """The sentences about one clip.

    Attributes:
        name: of the clip in the file.
        sentences: one or more, in the file's order.
    """

    name: str
    sentences: tuple[str, ...]


def read_groups(path: Path) -> list[ClipSentences]:
    """The groups of a file of ``<clip>\\t<sentence>`` lines, as in MSVD.

    Raises:
        DataError: it cannot be read, a line has no tab, or it is empty.
    """
    found: dict[str, list[str]] = {}
    for sentence in read_sentences(path):
        name = sentence.about.removeprefix(f"{path.name}/")
        found.setdefault(name, []).append(" ".join(sentence.text.split()))
    if not found:
        raise DataError(f"{path}: no sentences")
    return [ClipSentences(name, tuple(sentences)) for name, sentences in found.items()]


def groups_about(groups: Sequence[ClipSentences], captions: Iterable[Sequence[str]]) -> set[str]:
    """The names of groups that describe pictures with these captions.

    A group describes a picture if at least half of its sentences are captions of that picture, word
    for word: names need not agree, and a single common sentence is not enough.
    """
    found = set()
    known = [frozenset(tuple(words(caption)) for caption in all_) for all_ in captions]
    for group in groups:
        sentences = frozenset(tuple(words(sentence)) for sentence in group.sentences)
        if any(2 * len(sentences & one) >= len(sentences) for one in known):
            found.add(group.name)
    return found
