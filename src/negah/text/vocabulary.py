"""Building and validating vocabularies: the tokens, their order, and the checks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from negah.errors import DataError, UsageError
from negah.text.normalize import nfc

PAD, SOS, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<PAD>", "<SOS>", "<EOS>", "<UNK>")


@dataclass(frozen=True, slots=True)
class Specials:
    """The ids of the special tokens of a vocabulary, for decoding.

    Attributes:
        start: the first input of the model.
        end: the token that ends a caption; not one of its words.
        never: ids that are never produced, such as padding.
    """

    start: int
    end: int
    never: tuple[int, ...] = ()


#: Of the tokenizers of this package.
SPECIAL_IDS = Specials(start=SOS, end=EOS, never=(PAD, SOS, UNK))


MAX_TOKENS = 1_000_000
MAX_TOKEN_LENGTH = 256
# Captions are printed to terminals, which execute control characters.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def frequent_tokens(
    split: Callable[[str], list[str]], captions: Iterable[str], min_count: int
) -> list[str]:
    """The specials, then every token of ``captions`` that occurs at least ``min_count`` times.

    Ordered by descending count, then alphabetically.

    Raises:
        UsageError: ``min_count`` is below 1.
        DataError: no token is that frequent.
    """
    frequent, total = count_tokens(split, captions, min_count)
    if not frequent:
        raise DataError(
            f"none of {total} different tokens occurs {min_count} times or more in the captions; "
            f"give more captions or a lower min_count"
        )
    return [*SPECIALS, *frequent]


def count_tokens(
    split: Callable[[str], list[str]], captions: Iterable[str], min_count: int
) -> tuple[list[str], int]:
    """The tokens of :func:`frequent_tokens` without specials, and the number of different ones.

    Raises:
        UsageError: ``min_count`` is below 1.
    """
    if min_count < 1:
        raise UsageError(f"min_count is 1 or more, not {min_count}")
    counts = Counter(token for caption in captions for token in split(caption))
    frequent = [
        token
        for token, count in counts.items()
        if count >= min_count and len(token) <= MAX_TOKEN_LENGTH and not _CONTROL.search(token)
    ]
    return sorted(frequent, key=lambda token: (-counts[token], token)), len(counts)


def check_tokens(tokens: Any) -> None:
    """Refuse an invalid vocabulary.

    Raises:
        DataError: not a list of text, specials missing or not in front, duplicates, control
            characters, text that is not NFC, too many or too long tokens.
    """
    if not isinstance(tokens, list | tuple):
        raise DataError(f"the tokens of a tokenizer are a list, not {type(tokens).__name__}")
    if len(tokens) > MAX_TOKENS:
        raise DataError(f"a tokenizer has at most {MAX_TOKENS:,} tokens, not {len(tokens):,}")
    if tuple(tokens[: len(SPECIALS)]) != SPECIALS:
        raise DataError(
            f"the first tokens of a tokenizer are {' '.join(SPECIALS)}, not {tokens[:4]!r:.99}"
        )
    for index, token in enumerate(tokens):
        if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_LENGTH:
            raise DataError(
                f"token {index} is not text of 1 to {MAX_TOKEN_LENGTH} characters: {token!r:.99}"
            )
        if nfc(token) != token or _CONTROL.search(token):
            raise DataError(
                f"token {index} is not plain text in Unicode's composed form (NFC): {token!r}"
            )
    if len(set(tokens)) < len(tokens):
        twice = next(token for token, count in Counter(tokens).items() if count > 1)
        raise DataError(f"token {twice!r} occurs twice in a tokenizer")
