"""The tokenizer of a Hugging Face model, as a vocabulary for decoding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from negah.errors import BundleError
from negah.hf.loading import attempt
from negah.hf.model_folder import ModelFolder
from negah.text.vocabulary import Specials

#: What would break a caption into lines, or tell a terminal something.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROLS = re.compile(rf"\s*{_CONTROL.pattern}+\s*")


def load_tokenizer(source: ModelFolder) -> Any:
    """The fast tokenizer of a folder.

    Raises:
        BundleError: there is none, or only a slow one written in Python.
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
        texts: of the V scored ids, see :func:`token_texts`.
        specials: the special tokens for decoding.

    Attributes:
        specials: as given.
        tokens: the text of each id without the marks of pieces ("##ing", "Ġdog", "▁dog") and
            spaces around it. Several ids may have the same text: a word at the start of a
            sentence and inside, a word and the end of one. Bytes that are no letter by
            themselves, and control characters, read "\\ufffd".
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], specials: Specials) -> None:
        self._tokenizer = tokenizer
        self.specials = specials
        self.tokens = tuple(_CONTROL.sub("\ufffd", text.strip()) for text in texts)

    def decode(self, ids: Iterable[int]) -> str:
        """The sentence, one line, without special tokens and spaces around it."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return _CONTROLS.sub(" ", text).strip()


def token_texts(tokenizer: Any, size: int) -> list[str]:
    """The text of each id below ``size`` by itself, as the tokenizer decodes it.

    Ids without a token have an empty text.
    """
    backend = tokenizer.backend_tokenizer
    names = {number: name for name, number in backend.get_vocab(True).items()}
    join = (lambda piece: piece) if backend.decoder is None else _decode_pieces(backend.decoder)
    return [join(names[i]) if i in names else "" for i in range(size)]


def _decode_pieces(decoder: Any) -> Any:
    def join(piece: str) -> str:
        text: str = decoder.decode([piece])
        return text.removeprefix("##")

    return join


def meaningless(tokenizer: Any, texts: Sequence[str]) -> set[int]:
    """Ids that captions never contain: special tokens, ids without a token, and those whose text
    has control characters or line breaks.
    """
    size = len(texts)
    marked = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    unnamed = set(range(size)) - set(tokenizer.get_vocab().values())
    control = {i for i, text in enumerate(texts) if _CONTROL.search(text)}
    return {i for i in {*marked, *tokenizer.all_special_ids} if 0 <= i < size} | unnamed | control
