"""What it costs to spell what a tokenizer does not know, and which written words are no words.

A captioner of words gives a probability to ``<UNK>``, not to the word that stood there; one of
characters gives it to every letter. To compare them on the same text, what is unknown is spelled:
each of its characters at the price -ln q(c) of a model that knows how often characters come in the
training captions and nothing else (order 0, add-one smoothing), and an end mark after a word. What
a captioner pays for a caption is then the cost of a code from which the caption can be read back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from negah.text import Tokenizer, WordTokenizer, detokenize, words

_END = ""


def spelled(caption: str) -> str:
    """The normalised caption, which words, characters and subwords all write."""
    return detokenize(words(caption))


def length(captions: Iterable[str]) -> int:
    """Characters of normalised captions, with one for the end of each."""
    return sum(len(spelled(caption)) + 1 for caption in captions)


class Speller:
    """Characters by how often they come.

    Args:
        captions: of the training part.
    """

    def __init__(self, captions: Iterable[str]) -> None:
        counts = Counter(c for text in captions for word in words(text) for c in (*word, _END))
        # one more for a character that never came
        self._total = sum(counts.values()) + len(counts) + 1
        self._counts = counts

    def nats(self, text: str) -> float:
        """Of the characters of ``text``, without an end."""
        return sum(math.log(self._total / (self._counts[c] + 1)) for c in text)

    def unknown_nats(self, tokenizer: Tokenizer, captions: Iterable[str]) -> float:
        """Of all tokens of ``captions`` that ``tokenizer`` does not know.

        A word has an end of its own; an unknown character is only ever one.
        """
        end = self.nats_of_end() if isinstance(tokenizer, WordTokenizer) else 0.0
        return sum(
            self.nats(token) + end
            for caption in captions
            for token in tokenizer.split(caption)
            if token not in tokenizer
        )

    def nats_of_end(self) -> float:
        """Of the mark after a word."""
        return math.log(self._total / (self._counts[_END] + 1))


def unknown_captions(tokenizer: Tokenizer, captions: Sequence[str]) -> float:
    """The percentage of captions that hold something unknown."""
    needing = sum(
        any(token not in tokenizer for token in tokenizer.split(caption)) for caption in captions
    )
    return 100 * needing / len(captions)


def misspelt(captions: Iterable[str], training: Iterable[str]) -> tuple[float, list[str]]:
    """Written words that stand in no training caption.

    Returns:
        their percentage of all written words, and which they are, the most frequent first.
    """
    known = {word for caption in training for word in words(caption)}
    written = Counter(word for caption in captions for word in words(caption))
    wrong = Counter({word: count for word, count in written.items() if word not in known})
    ordered = sorted(wrong, key=lambda word: (-wrong[word], word))
    return 100 * sum(wrong.values()) / max(1, sum(written.values())), ordered
