"""Tokenizer classes by name, and loading of stored tokenizers of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from negah.errors import DataError, UnknownNameError
from negah.text.subwords import SubwordTokenizer
from negah.text.tokenizers import CharTokenizer, Tokenizer, WordTokenizer, read_stored

_KINDS: dict[str, type[Tokenizer]] = {
    kind.kind: kind for kind in (WordTokenizer, CharTokenizer, SubwordTokenizer)
}


def tokenizer_class(kind: str) -> type[Tokenizer]:
    """The tokenizer class of ``kind`` ("word", "char", "subword").

    Raises:
        UnknownNameError: no such kind.
    """
    if kind not in _KINDS:
        raise UnknownNameError("tokenizer", kind, _KINDS)
    return _KINDS[kind]


def tokenizer_from_dict(values: Mapping[str, Any]) -> Tokenizer:
    """A tokenizer of any kind from the result of its ``to_dict``.

    Raises:
        DataError: as :meth:`Tokenizer.from_dict`, or an unknown kind.
    """
    if not isinstance(values, Mapping):
        raise DataError(f"a tokenizer is stored as an object, not as {type(values).__name__}")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise DataError(f"unknown kind of tokenizer {kind!r}; known: {', '.join(sorted(_KINDS))}")
    return _KINDS[kind].from_dict(values)


def load_tokenizer(path: str | Path) -> Tokenizer:
    """A tokenizer of any kind from the file that its ``save`` wrote.

    Raises:
        DataError: the file is missing, too large, not JSON, or not a tokenizer.
    """
    return tokenizer_from_dict(read_stored(path))
