"""Text without pictures in two halves: one to learn from, one for the judge of what was learned.

The halves share no picture and no sentence. Neither holds a sentence that somebody wrote about a
picture of the captioned data set, in whichever part, nor one that a dev or test caption repeats.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path

from negah.data import Dataset
from negah.data.sentences import (
    TEXT_FILES,
    Sentence,
    half_of,
    read_sentences,
    without_held_out,
)
from negah.errors import UsageError


@dataclass(frozen=True, slots=True)
class Texts:
    """Sentences for language models.

    Attributes:
        learned: what the generator is pretrained on.
        judging: what the judge learns.
        read: how many sentences the files have.
        kept: how many were left in both halves.
    """

    learned: list[str]
    judging: list[str]
    read: int
    kept: int


def open_texts(
    folder: Path | None, dataset: Dataset, *, made: bool, learned: int, judging: int
) -> Texts:
    """The two halves.

    Args:
        folder: holds :data:`negah.data.sentences.TEXT_FILES`.
        dataset: whose pictures and held-out captions are kept out.
        made: use sentences that are made here instead of files.
        learned: sentences to learn from, at most.
        judging: sentences for the judge, at most.

    Raises:
        UsageError: ``folder`` is None and ``made`` is False.
        DataError: a file is missing or malformed.
    """
    if made:
        source: Iterator[Sentence] = iter(made_sentences())
    elif folder is None:
        raise UsageError(
            f"word-order learns from text without pictures: give the folder that holds "
            f"{', '.join(TEXT_FILES)} with --text"
        )
    else:
        source = chain.from_iterable(read_sentences(folder / name) for name in TEXT_FILES)
    sentences = list(source)
    held_out = [c for e in dataset.examples if e.split in ("dev", "test") for c in e.captions]
    pictures = [example.name for example in dataset.examples]
    kept = list(without_held_out(sentences, captions=held_out, pictures=pictures))
    halves: tuple[list[str], list[str]] = ([], [])
    for sentence in kept:
        halves[half_of(sentence.about)].append(sentence.text)
    return Texts(
        learned=_sampled(halves[0], learned),
        judging=_sampled(halves[1], judging),
        read=len(sentences),
        kept=len(kept),
    )


def _sampled(sentences: list[str], most: int) -> list[str]:
    """At most so many, of all files alike, the same each time."""
    order = random.Random(0).sample(range(len(sentences)), min(most, len(sentences)))
    return [sentences[place] for place in order]


def made_sentences() -> list[Sentence]:
    """A few hundred sentences on coloured shapes, for the quick setting."""
    colours = ("red", "green", "blue", "yellow", "purple", "white", "black", "grey")
    shapes = ("circle", "square", "triangle", "bar")
    grounds = ("white", "black", "grey", "red")
    found = []
    for colour, shape, ground in product(colours, shapes, grounds):
        if colour != ground:
            about = f"made/{colour}{shape}{ground}"
            found.append(Sentence(about, f"the {ground} ground is below one {colour} {shape}"))
            found.append(Sentence(about, f"a {colour} {shape} which is on the {ground} ground"))
    return found


def shuffled(captions: Sequence[str]) -> list[str]:
    """The same captions with their words in an order by chance, the same each time."""
    chance = random.Random(0)
    found = []
    for caption in captions:
        parts = caption.rstrip(" .").split()
        chance.shuffle(parts)
        found.append(" ".join(parts))
    return found
