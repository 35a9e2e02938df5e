"""Stemming (M. Porter, "An algorithm for suffix stripping", 1980).

METEOR stems by a later algorithm of the same author: :mod:`negah.metrics.meteor.stemmer`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


def stemmed(words: Iterable[str]) -> tuple[str, ...]:
    """The stem of each lower-case word ("running" -> "run")."""
    return tuple(map(_stem, words))


@lru_cache(maxsize=2**16)
def _stem(word: str) -> str:
    from snowballstemmer import stemmer

    # one stemmer a word, because a stemmer object is not safe between threads
    found: str = stemmer("porter").stemWord(word)
    return found
