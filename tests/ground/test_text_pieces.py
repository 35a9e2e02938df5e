"""Pieces of words as whole words: which tokens a word is of, and when tokens are words already."""

from __future__ import annotations

import pytest

from negah.captions import Caption, Word
from negah.cli.marks import marked
from negah.text import CharTokenizer, SubwordTokenizer, WordTokenizer
from negah.text.pieces import has_pieces, spelled, whole_words

CAPTIONS = ("a black dog runs through the grass", "two black dogs run with a ball in the grass")


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        # WordPiece, which reads without its marks
        (["a", "skate", "board", "s"], "a skateboards", [(0, 1, "a"), (1, 4, "skateboards")]),
        # an apostrophe stands by itself, and a full stop is of the word before it
        (["a", "man", "'", "s", "dog", "."], "a man's dog.", [(0, 1, "a"), (1, 4, "man"),
                                                           (4, 6, "dog")]),
        # bytes that are no letters by themselves
        (["A", "caf", "\ufffd", "\ufffd", " is", "red"], "A café is red",
         [(0, 1, "a"), (1, 4, "café"), (4, 5, "is"), (5, 6, "red")]),
        (["\u2581a", "\u2581do", "g"], "a dog", [(0, 1, "a"), (1, 3, "dog")]),
        (list("a dog"), "a dog", [(0, 1, "a"), (1, 5, "dog")]),
        (["a", "-", "b"], "a - b", [(0, 1, "a"), (1, 2, ""), (2, 3, "b")]),
        (["x"], "", []),
        ([], "", []),
    ],
)  # fmt: skip
def test_pieces_are_put_together(
    pieces: list[str], text: str, expected: list[tuple[int, int, str]]
) -> None:
    assert whole_words(pieces, text) == expected


def test_tokens_that_are_words_stay_what_they_are() -> None:
    words = ["a", "man", "'s", "dog"]
    assert [one.text for one in spelled(words, "a man's dog")] == words
    assert [one.text for one in spelled(["do", "g"], "dog")] == ["dog"]


def test_which_vocabularies_have_pieces() -> None:
    whole = WordTokenizer.build(CAPTIONS, min_count=1)
    pieces = SubwordTokenizer.build(CAPTIONS, vocabulary_size=40, min_count=1)
    letters = CharTokenizer.build(CAPTIONS, min_count=1)
    assert not has_pieces(whole.tokens, whole.decode)
    assert has_pieces(pieces.tokens, pieces.decode)
    assert has_pieces(letters.tokens, letters.decode)


def test_marks_stand_before_words_of_pieces() -> None:
    pieces = {"a": None, "man": 0.9, "holds": 0.9, "a ": None, "skate": 0.2, "board": 0.2}
    words = tuple(Word(text.strip(), -1.0, seen=seen) for text, seen in pieces.items())
    caption = Caption("a man holds a skateboard", -1.0, -1.0, words)
    assert marked(caption) == "a man holds possibly a skateboard"
