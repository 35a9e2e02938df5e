"""The interface of a language."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from negah.text.normalize import nfc


class Language(ABC):
    """How captions in one language are normalised, tokenised and written.

    Register one instance of a subclass (``negah.text.languages``). All methods are pure functions
    of their arguments and accept any text without raising.

    Attributes:
        code: of the language, as ``text.language`` names it (ISO 639-1: "fa").
        name: in English, for messages ("Persian").
        direction: of its script.
        signature: names its tokenisation in the signatures of metrics, with a version, since scores
            of different tokenisations are not comparable ("fa-1").
        stop_words: function words: articles, prepositions, ...
        open_words: tokens that must be followed by another, so a caption that ends in one is
            truncated.
        relations: words that are not stop words but show nothing: "front" in "in front of".
        digits: the ten digits of its script.
        close_words: tokens that :meth:`join` may attach to others or change; all other tokens are
            joined by spaces. None: any token may be.
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
        """``text`` in a normalised spelling, with its punctuation and case; idempotent."""
        return nfc(text)

    @abstractmethod
    def tokens(self, text: str) -> list[str]:
        """The words of a sentence, as a captioner learns to write them; they contain no spaces.

        Punctuation is left out. ``tokens(join(tokens(text))) == tokens(text)``.
        """

    @abstractmethod
    def join(self, tokens: Iterable[str]) -> str:
        """Readable text from words as :meth:`tokens` gives them."""

    def metric_tokens(self, text: str) -> list[str]:
        """The words of a sentence as metrics count them; by default :meth:`tokens`."""
        return self.tokens(text)

    def stems(self, words: Iterable[str]) -> tuple[str, ...]:
        """The stem of each word; by default the word itself."""
        return tuple(words)

    def lemma(self, word: str) -> str:
        """The dictionary form of a word; by default the word itself.

        The decoding option ``no_repeat_content`` counts words with the same lemma as one word.
        """
        return word

    def is_content_word(self, word: str) -> bool:
        """Whether a token is a content word: two letters or more, and not a stop word."""
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
