"""The tokenizer of a model of Hugging Face, as decoding and captions see it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from negah.errors import BundleError
from negah.hf.loading import attempt
from negah.hf.source import Source
from negah.text.vocabulary import Specials


def load_tokenizer(source: Source) -> Any:
    """The fast tokenizer of a folder.

    Raises:
        BundleError: there is none, or only one that is written in Python.
    """
    tokenizer = attempt(
        source,
        lambda: AutoTokenizer.from_pretrained(
            str(source.folder), local_files_only=True, trust_remote_code=False, use_fast=True
        ),
    )
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise BundleError(
            f"{source.name}: its tokenizer ({type(tokenizer).__name__}) has no tokenizer.json, "
            "which is needed"
        )
    return tokenizer


class HfVocabulary:
    """The :class:`~negah.decoding.protocol.Vocabulary` of a tokenizer.

    Args:
        tokenizer: a fast one.
        size: V, how many ids the model scores; it may score some that stand for nothing.
        specials: which of them mean something to decoding.
    """

    def __init__(self, tokenizer: Any, size: int, specials: Specials) -> None:
        self._tokenizer = tokenizer
        self._size = size
        self.specials = specials

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """The text of each id without the marks of pieces ("##ing", "Ġdog", "▁dog").

        Several ids may have the same text: a word at the start of a sentence and inside. Bytes
        that are no letter by themselves read "\\ufffd".
        """
        backend = self._tokenizer.backend_tokenizer
        names = {number: name for name, number in backend.get_vocab(True).items()}
        join = (lambda piece: piece) if backend.decoder is None else _plain(backend.decoder)
        return tuple(join(names[i]) if i in names else "" for i in range(self._size))

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence, without special tokens and spaces around it."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()


def _plain(decoder: Any) -> Any:
    def join(piece: str) -> str:
        text: str = decoder.decode([piece])
        return text.removeprefix("##").strip()

    return join


def meaningless(tokenizer: Any, size: int) -> set[int]:
    """Ids below ``size`` that no caption contains: special tokens, and those without a token."""
    marked = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    unnamed = set(range(size)) - set(tokenizer.get_vocab().values())
    return {i for i in {*marked, *tokenizer.all_special_ids} if 0 <= i < size} | unnamed
