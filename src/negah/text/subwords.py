"""Subwords: byte-pair encoding, learned by a library and applied by our own code.

R. Sennrich, B. Haddow, A. Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL
2016: start from characters and repeatedly merge the most frequent pair of neighbours. Frequent
words become one token, rare ones several, and no word of known characters is ``<UNK>``. Learning
the merges needs ``tokenizers`` (extra ``train``); applying them needs no dependency, so a bundle
with such a tokenizer works with the base install. The sentence is normalised as for a word
tokenizer, so that both print the same text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, Self

from negah.errors import DataError, MissingExtraError, UsageError
from negah.text.languages import DEFAULT, language_of
from negah.text.tokenizers import Tokenizer, stored_language
from negah.text.vocabulary import (
    MAX_TOKEN_LENGTH,
    MAX_TOKENS,
    SPECIALS,
    frequent_tokens,
)

#: Precedes the first character of every word; in a text it is replaced by ``_``.
START = "\u2581"

#: Number of words whose pieces are cached.
_REMEMBERED = 1 << 16


class SubwordTokenizer(Tokenizer):
    """Byte-pair encoding of the words of a word tokenizer.

    The first piece of a word starts with :data:`START`, so that pieces can be joined to words
    again.

    Args:
        tokens: the text of every id, specials first.
        merges: pairs of neighbours to join, the earliest first.
        language: the code of the language of the words.

    Raises:
        DataError: the tokens cannot be a vocabulary, or a merge is not a pair of tokens whose
            joined text is a token.
    """

    kind = "subword"

    def __init__(
        self,
        tokens: Sequence[str],
        merges: Sequence[Sequence[str]] = (),
        *,
        language: str = DEFAULT,
    ) -> None:
        super().__init__(tokens, language=language)
        for token in self.tokens[len(SPECIALS) :]:
            if token.split() != [token] or START in token[1:]:
                raise DataError(
                    f"a token of a subword tokenizer holds no space, and {START!r} only at its "
                    f"start: {token!r}"
                )
        self._check_merges(merges)
        self.merges: tuple[tuple[str, str], ...] = tuple((left, right) for left, right in merges)
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._pieces: dict[str, tuple[str, ...]] = {}

    @classmethod
    def build(
        cls,
        captions: Iterable[str],
        *,
        vocabulary_size: int = 1000,
        min_count: int = 5,
        language: str = DEFAULT,
    ) -> Self:
        """The ``vocabulary_size`` tokens that byte-pair encoding finds in ``captions``.

        Fewer if no pair of neighbours occurs ``min_count`` times any more.

        Args:
            captions: of the training part.
            vocabulary_size: V, specials and characters included.
            min_count: rarer characters are ``<UNK>``; rarer pairs are not joined.
            language: of the captions, by its code.

        Raises:
            UsageError: ``min_count`` is below 1, or the characters alone are more than
                ``vocabulary_size``.
            DataError: no character is that frequent.
            MissingExtraError: ``tokenizers`` is not installed.
        """
        words = language_of(language).tokens
        found = [word for caption in captions for word in map(_marked, words(caption))]
        alphabet = frequent_tokens(list, found, min_count)[len(SPECIALS) :]
        if len(SPECIALS) + len(alphabet) > vocabulary_size:
            raise UsageError(
                f"vocabulary_size is {vocabulary_size}, but the captions have {len(alphabet)} "
                f"characters and there are {len(SPECIALS)} specials; give "
                f"{len(SPECIALS) + len(alphabet)} or more, or a higher min_count"
            )
        known = set(alphabet)
        usable = {
            word: count
            for word, count in sorted(Counter(found).items())
            if known.issuperset(word) and len(word) <= MAX_TOKEN_LENGTH
        }
        return cls(*_learn(usable, alphabet, vocabulary_size, min_count), language=language)

    def options(self) -> dict[str, bool]:
        """None."""
        return {}

    def split(self, text: str) -> list[str]:
        """The pieces of ``text``; an unknown character is a piece of its own.

        No piece crosses a multiple of 256 characters in a word.
        """
        words = self.language.tokens(text)
        return [piece for word in words for piece in self._split_word(_marked(word))]

    def join(self, tokens: Iterable[str]) -> str:
        """Pieces to words, and words to text as the language writes them."""
        return self.language.join("".join(tokens).replace(START, " ").split())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: kind, language unless it is English, merges, tokens."""
        return {**super().to_dict(), "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`; see :meth:`Tokenizer.from_dict`.

        Raises:
            DataError: as there, and for malformed merges.
        """
        keys = {"kind", "merges", "tokens"}
        if isinstance(values, Mapping) and values.get("kind") == cls.kind:
            if set(values) - {"language"} != keys:
                raise DataError(
                    f"a stored subword tokenizer has the keys {', '.join(sorted(keys))}, and "
                    f"language where that is not {DEFAULT!r}; "
                    f"given: {', '.join(sorted(map(str, values)))}"
                )
            tokens = super().from_dict({k: v for k, v in values.items() if k != "merges"}).tokens
            return cls(tokens, values["merges"], language=stored_language(values))
        return super().from_dict(values)

    def _split_word(self, word: str) -> tuple[str, ...]:
        pieces = self._pieces.get(word)
        if pieces is None:
            # no token is longer than such a part, and merging takes time quadratic in its length
            parts = (
                word[at : at + MAX_TOKEN_LENGTH] for at in range(0, len(word), MAX_TOKEN_LENGTH)
            )
            pieces = tuple(piece for part in parts for piece in self._merge(list(part)))
            if len(self._pieces) < _REMEMBERED and len(word) <= MAX_TOKEN_LENGTH:
                self._pieces[word] = pieces
        return pieces

    def _merge(self, pieces: list[str]) -> list[str]:
        """Join the pair of the lowest rank, the leftmost of equals, until none is left."""
        last = len(self.merges)
        while len(pieces) > 1:
            ranks = [self._ranks.get(pair, last) for pair in pairwise(pieces)]
            best = min(ranks)
            if best == last:
                break
            at = ranks.index(best)
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        return pieces

    def _check_merges(self, merges: Any) -> None:
        if not isinstance(merges, list | tuple):
            raise DataError(f"merges of a tokenizer are a list, not {type(merges).__name__}")
        if len(merges) > MAX_TOKENS:
            raise DataError(f"a tokenizer has at most {MAX_TOKENS:,} merges, not {len(merges):,}")
        for index, pair in enumerate(merges):
            if (
                not isinstance(pair, list | tuple)
                or len(pair) != 2
                or not all(isinstance(piece, str) for piece in pair)
            ):
                raise DataError(f"merge {index} is not a pair of tokens: {pair!r:.99}")
            for piece in (*pair, "".join(pair)):
                if piece not in self:
                    raise DataError(
                        f"merge {index} needs the token {piece!r:.99}, which is not in the "
                        f"vocabulary: {pair!r:.99}"
                    )
        if len({tuple(pair) for pair in merges}) < len(merges):
            raise DataError("a pair occurs twice in the merges of a tokenizer")


def _marked(word: str) -> str:
    return START + word.replace(START, "_")


def _learn(
    counts: Mapping[str, int], alphabet: Sequence[str], vocabulary_size: int, min_count: int
) -> tuple[list[str], list[list[str]]]:
    """Tokens and merges, by the library."""
    try:
        library: Any = import_module("tokenizers")
    except ImportError:
        raise MissingExtraError("tokenizers", "learning a subword tokenizer") from None
    learner = library.Tokenizer(library.models.BPE())
    # words contain no spaces, so the library can split at the spaces between them
    learner.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=min_count,
        special_tokens=list(SPECIALS),
        initial_alphabet=list(alphabet),
        show_progress=False,
    )
    learner.train_from_iterator(
        (" ".join([word] * count) for word, count in counts.items()), trainer
    )
    model = json.loads(learner.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    # a pair is a list since version 0.20 of the library; before, it was a string "left right"
    pairs = [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model["merges"]]
    return tokens, pairs
