"""Subword tokens ("skate", "##board") to whole words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from negah.text.normalize import detokenize, words
from negah.text.stopwords import is_visible
from negah.text.subwords import START

#: Number of characters searched ahead for the next piece after bytes that are not letters.
_AHEAD = 16


class WholeWord(NamedTuple):
    """A word of a caption.

    Attributes:
        first: index of its first token.
        end: index after its last token.
        text: in lower case, without punctuation; empty for punctuation alone.
    """

    first: int
    end: int
    text: str


def has_pieces(tokens: Sequence[str], decode: Callable[[Iterable[int]], str]) -> bool:
    """Whether the tokens of a vocabulary are subwords, which are joined without spaces.

    Args:
        tokens: the text of each id.
        decode: ids to a sentence.
    """
    some = [place for place, token in enumerate(tokens) if is_visible(token)]
    # if none is a word by itself, they are letters
    return not some or decode(some) != " ".join(tokens[place] for place in some)


def spelled(pieces: Sequence[str], text: str) -> list[WholeWord]:
    """The words of a caption: its tokens if these are words, else :func:`whole_words`."""
    if detokenize(pieces) != text:
        return whole_words(pieces, text)
    return [WholeWord(place, place + 1, piece) for place, piece in enumerate(pieces)]


def whole_words(pieces: Sequence[str], text: str) -> list[WholeWord]:
    """The whole words of a caption, separated by spaces in its text, with the tokens of each.

    Args:
        pieces: the text of each token; a token that is not a letter by itself, such as a byte,
            belongs to the word around it.
        text: the sentence of these tokens.
    """
    parts = text.split()
    letters = "".join(parts)
    owner = [number for number, part in enumerate(parts) for _ in part]
    found: list[list[int]] = [[] for _ in parts]
    at = 0
    for place, piece in enumerate(pieces if parts else ()):
        own = "".join(piece.replace(START, " ").split())
        start = letters.find(own, at, at + len(own) + _AHEAD) if own else -1
        found[owner[min(max(start, at), len(letters) - 1)]].append(place)
        if start >= 0:
            at = start + len(own)
    return [
        WholeWord(own[0], own[-1] + 1, _word_of(part))
        for own, part in zip(found, parts, strict=True)
        if own
    ]


def _word_of(part: str) -> str:
    """One word for a piece between spaces: its first visible word, or else its first."""
    several = words(part)
    return next(filter(is_visible, several), several[0] if several else "")
