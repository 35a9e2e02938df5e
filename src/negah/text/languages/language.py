"""What a language is to the toolkit: the protocol that each one satisfies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from negah.text.normalize import nfc


class Language(ABC):
    """How captions of one language are read, counted and written.

    Subclass it, make one object, and register that (``negah.text.languages``). All methods are
    pure functions of their arguments, and never raise for any text.

    Attributes:
        code: of the language, as ``text.language`` names it (ISO 639-1: "fa").
        name: in English, for messages ("Persian").
        direction: of its script.
        signature: what the signatures of metrics say of its tokens; with a version in it, since
            scores of other tokens are other numbers ("fa-1").
        stop_words: tokens of closed classes, which show nothing: articles, prepositions, ...
        open_words: tokens that another one has to follow, so that a caption which ends in one has
            broken off.
        relations: content words by their letters that no picture shows: "front" in "in front of".
        digits: the ten digits as its readers write them.
        close_words: tokens that :meth:`join` may write close to others, or otherwise than they are;
            all other sentences are their words with spaces between. None: any may be.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    direction: ClassVar[Literal["ltr", "rtl"]] = "ltr"
    signature: ClassVar[str]
    stop_words: ClassVar[frozenset[str]] = frozenset()
    open_words: ClassVar[frozenset[str]] = frozenset()
    relations: ClassVar[frozenset[str]] = frozenset()
    digits: ClassVar[str] = "0123456789"
    close_words: ClassVar[frozenset[str] | None] = None

    def normalise(self, text: str) -> str:
        """``text`` in one spelling, with its punctuation and case; idempotent."""
        return nfc(text)

    @abstractmethod
    def tokens(self, text: str) -> list[str]:
        """The words of a sentence: what a captioner learns to write, without spaces in them.

        Punctuation is left out. ``tokens(join(tokens(text))) == tokens(text)``.
        """

    @abstractmethod
    def join(self, tokens: Iterable[str]) -> str:
        """Readable text from words as :meth:`tokens` gives them."""

    def metric_tokens(self, text: str) -> list[str]:
        """The words of a sentence as metrics count them; by default :meth:`tokens`."""
        return self.tokens(text)

    def stems(self, words: Iterable[str]) -> tuple[str, ...]:
        """What each word has in common with its inflected forms; by default the word itself."""
        return tuple(words)

    def is_content_word(self, word: str) -> bool:
        """Whether a token is a word of content: two letters or more, and no stop word."""
        letters = word.replace("\u200c", "")
        return len(letters) > 1 and letters.isalpha() and word not in self.stop_words

    def is_visible(self, word: str) -> bool:
        """Whether a token is a content word that a picture can show."""
        return self.is_content_word(word) and word not in self.relations

    def number(self, text: str) -> str:
        """``text`` with its numbers as readers of the language write them; by default its digits.

        ``text`` has them in digits 0 to 9, with a decimal point, and "%" behind them.
        """
        return text.translate(self._shown_digits())

    @property
    def messages(self) -> Mapping[str, str]:
        """What pages say in this language, by what they say in English; that where it is missing.

        Names in braces stand for what is put in, and are kept: "{done} of {all} done".
        """
        return {}

    def say(self, message: str, **values: object) -> str:
        """A message in this language, with values in the place of the names in its braces.

        Numbers among them are written by :meth:`number`, texts stay as they are.
        """
        shown = {
            name: value if isinstance(value, str) else self.number(str(value))
            for name, value in values.items()
        }
        return self.messages.get(message, message).format(**shown)

    def _shown_digits(self) -> Mapping[int, str]:
        return {ord("0") + value: digit for value, digit in enumerate(self.digits)}

    def __repr__(self) -> str:
        return f"<{self.name} ({self.code})>"
