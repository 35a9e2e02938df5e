"""English: the words of the COCO caption evaluation, Porter's stems, PTB stop words."""

from __future__ import annotations

from collections.abc import Iterable

from negah.text.languages.language import Language
from negah.text.normalize import CLOSE, detokenize, words
from negah.text.stems import stemmed
from negah.text.stopwords import CONTENT, OPEN_WORDS, RELATIONS, STOP_WORDS


class English(Language):
    """English, the default language."""

    code = "en"
    name = "English"
    signature = "ptb"
    stop_words = STOP_WORDS
    open_words = OPEN_WORDS
    relations = RELATIONS
    close_words = CLOSE

    def tokens(self, text: str) -> list[str]:
        """See :func:`negah.text.normalize.words`."""
        return words(text)

    def join(self, tokens: Iterable[str]) -> str:
        """See :func:`negah.text.normalize.detokenize`."""
        return detokenize(tokens)

    def stems(self, words: Iterable[str]) -> tuple[str, ...]:
        """See :func:`negah.text.stems.stemmed`."""
        return stemmed(words)

    def is_content_word(self, word: str) -> bool:
        """Whether a token has two or more letters and nothing else, and is not a stop word."""
        return CONTENT.fullmatch(word) is not None


ENGLISH = English()
