"""Sentences without pictures, for language models: tables of an id and a sentence a line.

That is how the sentences of MSVD come (``<video><TAB><sentence>``), and captions of Flickr30k and
COCO without their pictures. The id tells what a sentence describes, so that sentences on one
picture stay together when a text is parted, and so that what was written about pictures of a
data set can be left out: Flickr30k contains Flickr8k.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from negah.data.cells import tabbed_lines
from negah.errors import DataError
from negah.text import words
from negah.textfiles import lines, read_utf8

#: Files below the folder of texts.
TEXT_FILES = (
    "text/flickr30k_captions.tsv.gz",
    "text/coco_captions.tsv.gz",
    # the training part alone: what is written about the others is for testing
    "msvd/sents_train_lc_nopunc.txt",
)

_MAX_SENTENCE = 10_000


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and what it is about.

    Attributes:
        about: the id of a picture or clip, with its file in front.
        text: the sentence, as it was written.
    """

    about: str
    text: str


def read_sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of a table, plain or compressed (``.gz``), in its order.

    Raises:
        DataError: the file cannot be read, is no UTF-8, or a line is no id, tab and sentence.
    """
    for number, about, text in tabbed_lines(read_utf8(path)):
        if not about or text is None or len(text) > _MAX_SENTENCE:
            raise DataError(
                f"{path}, line {number}: a clip's name, a tab and a sentence of at most "
                f"{_MAX_SENTENCE:,} characters are wanted, as in sents_train_lc_nopunc.txt of "
                f"MSVD; found: {(about or text or '')[:60]!r}"
            )
        if text.strip():
            yield Sentence(f"{path.name}/{about}", text.strip())


def read_texts(path: Path) -> list[str]:
    """The sentences of a file, one a line; of a line with tabs, what follows the last.

    Raises:
        DataError: it cannot be read, or is no UTF-8.
    """
    return [line.rpartition("\t")[2] for line in lines(read_utf8(path))]


def without_held_out(
    sentences: Iterable[Sentence], *, captions: Iterable[str], pictures: Collection[str] = ()
) -> Iterator[Sentence]:
    """Each different sentence once, but none that would tell what is to be predicted.

    Args:
        sentences: of any files.
        captions: of the held-out parts; no sentence of the same words is let through.
        pictures: file names or ids; no sentence about one of them is let through. Flickr's
            pictures are known by the number in front, which Flickr8k and Flickr30k share.
    """
    seen = {tuple(words(caption)) for caption in captions}
    numbers = {picture_id(name) for name in pictures}
    for sentence in sentences:
        key = tuple(words(sentence.text))
        if not key or key in seen or picture_id(sentence.about) in numbers:
            continue
        seen.add(key)
        yield sentence


def picture_id(name: str) -> str:
    """The number of a Flickr picture: ``1000268201_693b08cb0e.jpg`` and ``1000268201.jpg``."""
    return name.rpartition("/")[2].partition(".")[0].partition("_")[0]


def half_of(about: str) -> int:
    """0 or 1, by chance but for good: all sentences on one picture are in the same half."""
    return hashlib.sha256(about.encode("utf-8", "replace")).digest()[0] & 1
