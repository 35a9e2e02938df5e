"""Sentences to token ids and back, behind one interface.

The first four ids are the specials ``<PAD> <SOS> <EOS> <UNK>``; the rest are ordered by count, then
alphabetically, so that the same captions always give the same vocabulary. Build it from the
training captions only: a word that occurs only in held-out captions must become ``<UNK>``.
Tokenizers are stored as JSON, never as pickle, and validated when read, since a bundle may come
from anyone.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from negah.errors import DataError
from negah.files import write_json
from negah.text.languages import DEFAULT, LANGUAGES, Language, language_of
from negah.text.languages.mixed import JOINT
from negah.text.vocabulary import (
    EOS,
    PAD,
    SOS,
    SPECIAL_IDS,
    SPECIALS,
    UNK,
    Specials,
    check_tokens,
    count_tokens,
    frequent_tokens,
)

MAX_FILE_BYTES = 64 * 2**20


class Tokenizer(ABC):
    """The interface of tokenizers.

    Attributes:
        kind: the name under which it is stored ("word", "char", "subword").
        tokens: the text of every id, specials first.
        specials: the ids of the special tokens.
        language: of the captions.

    Raises:
        DataError: the tokens cannot be a vocabulary: specials missing or not in front,
            duplicates, not text, too many or too long.
        UnknownNameError: no such language.
    """

    kind: ClassVar[str]
    specials: Specials = SPECIAL_IDS

    def __init__(self, tokens: Sequence[str], *, language: str = DEFAULT) -> None:
        check_tokens(tokens)
        self.language: Language = language_of(language)
        self.tokens: tuple[str, ...] = tuple(tokens)
        self._ids = {token: index for index, token in enumerate(self.tokens)}

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """The tokens of ``text`` as strings, known or not."""

    @abstractmethod
    def join(self, tokens: Iterable[str]) -> str:
        """Readable text from tokens as strings."""

    @abstractmethod
    def options(self) -> dict[str, bool]:
        """The keyword arguments of this tokenizer, besides its tokens."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.kind, self.language.code, self.tokens))

    def __repr__(self) -> str:
        options = "".join(f", {name}={value}" for name, value in self._stored_options().items())
        return f"{type(self).__name__}({len(self)} tokens{options})"

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and self._ids.get(token, UNK) >= len(SPECIALS)

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``; ``UNK`` for unknown tokens. No ``SOS`` or ``EOS`` is added.

        The spelling of a special in ``text`` ("<EOS>") never gives its id, but ``UNK``.
        """
        return [self._ids[token] if token in self else UNK for token in self.split(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text from ids: up to the first ``EOS``, without ``PAD`` and ``SOS``.

        Raises:
            DataError: an id lies outside the vocabulary.
        """
        found: list[str] = []
        for index in map(int, ids):
            if index == EOS:
                break
            if not 0 <= index < len(self.tokens):
                raise DataError(
                    f"token id {index} is outside the vocabulary, whose ids are 0 to"
                    f" {len(self.tokens) - 1}; use the tokenizer that the ids were made with"
                )
            if index not in (PAD, SOS):
                found.append(self.tokens[index])
        return self.join(found)

    def extended(self, captions: Iterable[str], *, min_count: int) -> Self:
        """The vocabulary extended by the frequent new tokens of ``captions``.

        The ids of existing tokens do not change.

        Raises:
            UsageError: ``min_count`` is below 1.
        """
        found, _ = count_tokens(self.split, captions, min_count)
        new = [token for token in found if token not in self._ids]
        return self.from_dict({**self.to_dict(), "tokens": [*self.tokens, *new]})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: kind, language unless it is English, options, tokens."""
        return {"kind": self.kind, **self._stored_options(), "tokens": list(self.tokens)}

    def _stored_options(self) -> dict[str, Any]:
        code = self.language.code
        return {**({} if code == DEFAULT else {"language": code}), **self.options()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`. ``values`` may come from anywhere and are checked.

        Raises:
            DataError: another kind, unknown or missing keys, wrong types, or tokens that
                cannot be a vocabulary.
        """
        if not isinstance(values, Mapping):
            raise DataError(f"a tokenizer is stored as an object, not as {_type(values)}")
        if values.get("kind") != cls.kind:
            raise DataError(
                f"this is a tokenizer of kind {values.get('kind')!r}, not {cls.kind!r};"
                " read it with negah.text.tokenizer_from_dict"
            )
        options = cls(SPECIALS).options()
        if set(values) - {"language"} != {"kind", "tokens", *options}:
            raise DataError(
                f"a stored {cls.kind} tokenizer has the keys kind, tokens,"
                f" {', '.join(sorted(options))}, and language where that is not {DEFAULT!r}; "
                f"given: {', '.join(sorted(map(str, values)))}"
            )
        language = stored_language(values)
        for name in options:
            if not isinstance(values[name], bool):
                raise DataError(
                    f"{name} of a stored tokenizer is true or false, not {values[name]!r}"
                )
        stored = {name: values[name] for name in options}
        return cls(values["tokens"], language=language, **stored)

    def save(self, path: str | Path) -> None:
        """Write the tokenizer as JSON (UTF-8), atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a tokenizer that :meth:`save` wrote.

        Raises:
            DataError: the file is missing, too large, not JSON, or not a tokenizer.
        """
        return cls.from_dict(read_stored(path))


class WordTokenizer(Tokenizer):
    """Words, as split by the caption metrics of the language; lower-case for English.

    Stemming and stop-word removal are off by default and should stay off for a captioner: with them
    its output is not a sentence ("dog run grass"), while metrics and readers expect sentences. They
    exist for studies of their effect.

    Args:
        tokens: the text of every id, specials first.
        language: the code of their language.
        stem: reduce words to their stem, as the language says (English: M. Porter, "An algorithm
            for suffix stripping", 1980).
        remove_stop_words: leave out the stop words of the language.
    """

    kind = "word"

    def __init__(
        self,
        tokens: Sequence[str],
        *,
        language: str = DEFAULT,
        stem: bool = False,
        remove_stop_words: bool = False,
    ) -> None:
        super().__init__(tokens, language=language)
        self.stem = stem
        self.remove_stop_words = remove_stop_words
        for token in self.tokens:
            if token.split() != [token]:
                raise DataError(f"a token of a word tokenizer holds no space: {token!r}")

    @classmethod
    def build(
        cls,
        captions: Iterable[str],
        *,
        min_count: int = 5,
        language: str = DEFAULT,
        stem: bool = False,
        remove_stop_words: bool = False,
    ) -> Self:
        """The vocabulary of ``captions``: every word that occurs at least ``min_count`` times.

        Raises:
            UsageError: ``min_count`` is below 1.
            DataError: no word is that frequent.
        """
        options = {"stem": stem, "remove_stop_words": remove_stop_words}
        splitter = cls(SPECIALS, language=language, **options)
        tokens = frequent_tokens(splitter.split, captions, min_count)
        return cls(tokens, language=language, **options)

    def options(self) -> dict[str, bool]:
        """``stem`` and ``remove_stop_words``."""
        return {"stem": self.stem, "remove_stop_words": self.remove_stop_words}

    def split(self, text: str) -> list[str]:
        """The words of ``text``, see :meth:`negah.text.languages.Language.tokens`."""
        found = self.language.tokens(text)
        if self.remove_stop_words:
            found = [word for word in found if word not in self.language.stop_words]
        return list(self.language.stems(found)) if self.stem else found

    def join(self, tokens: Iterable[str]) -> str:
        """Words to text, as the language writes them."""
        words, close = list(tokens), self.language.close_words
        if close is not None and close.isdisjoint(words):  # as in nearly all captions
            return " ".join(words)
        return self.language.join(words)


class CharTokenizer(Tokenizer):
    """Characters: Unicode code points of the text in composed form (NFC).

    Args:
        tokens: the text of every id, specials first.
        normalize: encode the normalised sentence, lower-case and without punctuation, as a word
            tokenizer would print it, which makes character and word models comparable. With False,
            decoding returns exactly ``language.normalise(text)``, which is ``nfc(text)`` in
            English.
        language: the code of their language.
    """

    kind = "char"

    def __init__(
        self, tokens: Sequence[str], *, language: str = DEFAULT, normalize: bool = False
    ) -> None:
        super().__init__(tokens, language=language)
        self.normalize = normalize
        for token in self.tokens[len(SPECIALS) :]:
            if len(token) != 1:
                raise DataError(f"a token of a char tokenizer is one character, not {token!r}")

    @classmethod
    def build(
        cls,
        captions: Iterable[str],
        *,
        min_count: int = 5,
        language: str = DEFAULT,
        normalize: bool = False,
    ) -> Self:
        """The alphabet of ``captions``: every character that occurs at least ``min_count`` times.

        Raises:
            UsageError: ``min_count`` is below 1.
            DataError: no character is that frequent.
        """
        splitter = cls(SPECIALS, language=language, normalize=normalize)
        tokens = frequent_tokens(splitter.split, captions, min_count)
        return cls(tokens, language=language, normalize=normalize)

    def options(self) -> dict[str, bool]:
        """``normalize``."""
        return {"normalize": self.normalize}

    def split(self, text: str) -> list[str]:
        """The characters of ``text``."""
        language = self.language
        if self.normalize:
            return list(language.join(language.tokens(text)))
        return list(language.normalise(text))

    def join(self, tokens: Iterable[str]) -> str:
        """Characters to text."""
        return "".join(tokens)


def coverage(tokenizer: Tokenizer, captions: Iterable[str]) -> float:
    """The share of the tokens of ``captions`` that ``tokenizer`` knows, in [0, 1].

    Raises:
        DataError: the captions hold no tokens.
    """
    known = total = 0
    for caption in captions:
        tokens = tokenizer.split(caption)
        total += len(tokens)
        known += sum(token in tokenizer for token in tokens)
    if not total:
        raise DataError("the captions hold no tokens, so no share of them is known")
    return known / total


def read_stored(path: str | Path) -> Any:
    """The JSON of a stored tokenizer, not yet checked.

    Raises:
        DataError: the file is missing, too large, or not JSON.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(
                f"{path}: larger than {MAX_FILE_BYTES // 2**20} MiB, so it is not a tokenizer"
            )
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a tokenizer in JSON ({error})") from None


def stored_language(values: Mapping[str, Any]) -> str:
    """The code of the language of a stored tokenizer; English where none is stored.

    Raises:
        DataError: the language is not known here.
    """
    code = values.get("language", DEFAULT)
    known = isinstance(code, str) and all(one in LANGUAGES for one in code.split(JOINT))
    if not isinstance(code, str) or not known:
        raise DataError(
            f"the language of this tokenizer is {code!r:.40}, and known are "
            f"{', '.join(LANGUAGES)}; other languages come from packages with an entry point in "
            f"the group negah.languages"
        )
    return code


def _type(value: object) -> str:
    return type(value).__name__
