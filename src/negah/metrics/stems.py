"""Words to their stems, as CIDEr's paper takes them."""

from __future__ import annotations

from functools import lru_cache

from negah.metrics.captions import Tokenised, Tokens, as_tokens


def stemmed(caption: Tokenised) -> Tokens:
    """The stems of a caption's tokens (M. Porter, "An algorithm for suffix stripping", 1980)."""
    return tuple(_stem(token) for token in as_tokens(caption))


@lru_cache(maxsize=2**16)
def _stem(token: str) -> str:
    from snowballstemmer import stemmer

    # one stemmer a word, because a stemmer object is not safe between threads
    found: str = stemmer("porter").stemWord(token)
    return found
