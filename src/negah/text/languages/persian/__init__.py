"""Persian: one spelling of letters and half-spaces, words for captions and metrics.

A small normaliser of our own. hazm and parsivar do more (tagging, lemmas, informal text), bring
gensim, scikit-learn or nltk with them, and change their output between versions, which a metric's
signature cannot have; see ``docs/persian.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from negah.text.languages.language import Language
from negah.text.languages.persian.letters import HALF_SPACE, NON_JOINING, as_counted, one_spelling
from negah.text.languages.persian.lexicon import NOUNS, OPEN_WORDS, RELATIONS, STOP_WORDS
from negah.text.languages.persian.spacing import spaced

#: A word: letters, digits, the half-space, the decimal point.
_WORD = f"(?:[^\\W_]|[{HALF_SPACE}\u0654]|(?<=[۰-۹])٫(?=[۰-۹]))+"
#: Words between which nothing but a space stands, and which may belong together.
_RUN_OF_WORDS = re.compile(f"{_WORD}(?: {_WORD})*")
_PLURALS = "ها|های|هایی|هایش|هایشان|هایم|هایمان"
_ENDINGS = re.compile(
    f"(?:{HALF_SPACE}(?:{_PLURALS}|تر|تری|ترین|ای|ام|اش|ات|شان|مان|تان)"
    f"|(?<=[{''.join(sorted(NON_JOINING))}])(?:{_PLURALS}))\\Z"
)


class Persian(Language):
    """Words are those between spaces, once half-spaces are where they belong."""

    code = "fa"
    name = "Persian"
    direction = "rtl"
    signature = "fa-1"
    stop_words = STOP_WORDS
    open_words = OPEN_WORDS
    relations = RELATIONS
    digits = "۰۱۲۳۴۵۶۷۸۹"

    def normalise(self, text: str) -> str:
        """``text`` in one spelling, punctuation and line ends as they stand.

        >>> Persian().normalise("كتاب ها را مي خواند?")
        'کتاب‌ها را می‌خواند؟'
        """
        # words are joined over spaces alone: a mark between two parts them
        lines = []
        for line in text.splitlines() or [""]:
            parts = one_spelling(line)
            lines.append(_RUN_OF_WORDS.sub(lambda run: " ".join(spaced(run[0].split(" "))), parts))
        return "\n".join(lines)

    def tokens(self, text: str) -> list[str]:
        """The words of a sentence, without marks, each in one spelling.

        >>> Persian().tokens("سگ ها می دوند.")
        ['سگ‌ها', 'می‌دوند']
        """
        found: list[str] = []
        for run in _RUN_OF_WORDS.findall(self.normalise(text)):
            found += (as_counted(word).lower() for word in run.split(" ") if word)
        return found

    def join(self, tokens: Iterable[str]) -> str:
        """Words with spaces between them; half-spaces are in the words."""
        return " ".join(tokens)

    def stems(self, words: Iterable[str]) -> tuple[str, ...]:
        """Words without plural, comparative, owner and the ی of "a", as far as that is sure."""
        return tuple(map(_stem, words))


def _stem(word: str) -> str:
    stem = word
    while (match := _ENDINGS.search(stem, 1)) is not None:
        stem = stem[: match.start()]
    return stem[:-1] if stem.endswith("ی") and stem[:-1] in NOUNS else stem


PERSIAN = Persian()
