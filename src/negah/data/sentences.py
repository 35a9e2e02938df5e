"""Sentences without pictures, for language models: lines of an id and a sentence.

The sentences of MSVD (``<video><TAB><sentence>``) have this format, and captions of Flickr30k and
COCO without their pictures. The id names the described picture, so that sentences about one picture
stay together when a text is split, and sentences about the pictures of a data set can be left out:
Flickr30k contains Flickr8k.
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
    # only the training part: sentences about the others are for testing
    "msvd/sents_train_lc_nopunc.txt",
)

_MAX_SENTENCE = 10_000


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its subject.

    Attributes:
        about: the id of a picture or clip, prefixed with the file name.
        text: the original sentence.
    """

    about: str
    text: str


def read_sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of a table, plain or compressed (``.gz``), in its order.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or a line does not consist of id, tab and
            sentence.
    """
    for number, about, text in tabbed_lines(read_utf8(path)):
        if not about or text is None or len(text) > _MAX_SENTENCE:
            raise DataError(
                f"{path}, line {number}: expected a clip's name, a tab and a sentence of at most "
                f"{_MAX_SENTENCE:,} characters, as in sents_train_lc_nopunc.txt of "
                f"MSVD; found: {(about or text or '')[:60]!r}"
            )
        if text.strip():
            yield Sentence(f"{path.name}/{about}", text.strip())


def read_texts(path: Path) -> list[str]:
    """The sentences of a file, one per line; in a line with tabs, the text after the last.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    return [line.rpartition("\t")[2] for line in lines(read_utf8(path))]


def without_held_out(
    sentences: Iterable[Sentence], *, captions: Iterable[str], pictures: Collection[str] = ()
) -> Iterator[Sentence]:
    """Distinct sentences, without those that would leak held-out captions.

    Args:
        sentences: of any files.
        captions: of the held-out parts; sentences with the same words are removed.
        pictures: file names or ids; sentences about them are removed. Flickr's pictures are known
            by the number in front, which Flickr8k and Flickr30k share.
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
    """0 or 1, by hash: all sentences about one picture are in the same half."""
    return hashlib.sha256(about.encode("utf-8", "replace")).digest()[0] & 1
