"""Persian: normalisation of letters and half-spaces, and tokens for captions and metrics.

A small normaliser of our own. hazm and parsivar do more (tagging, lemmas, informal text), but
depend on gensim, scikit-learn or nltk and change their output between versions, which would make
metric signatures meaningless; see ``docs/persian.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import resources

from negah.text.languages.language import Language
from negah.text.languages.persian.letters import HALF_SPACE, NON_JOINING, as_counted, one_spelling
from negah.text.languages.persian.lexicon import (
    INFINITIVES,
    NOUNS,
    OPEN_WORDS,
    RELATIONS,
    STOP_WORDS,
)
from negah.text.languages.persian.spacing import spaced

#: A word: letters, digits, the half-space, the decimal point.
_WORD = f"(?:[^\\W_]|[{HALF_SPACE}\u0654]|(?<=[۰-۹])٫(?=[۰-۹]))+"
#: Words separated only by spaces, which may belong together.
_RUNS = re.compile(f"{_WORD}(?: {_WORD})*")
_WORDS = re.compile(_WORD)
_LINES = re.compile(r"[^\r\n]+")
_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_PERCENT = re.compile(r"(?<=[0-9])%")
_PLURALS = "ها|های|هایی|هایش|هایشان|هایم|هایمان"
_ENDINGS = re.compile(
    f"(?:{HALF_SPACE}(?:{_PLURALS}|تر|تری|ترین|ای|ام|اش|ات|شان|مان|تان)"
    f"|(?<=[{''.join(sorted(NON_JOINING))}])(?:{_PLURALS}))\\Z"
)


class Persian(Language):
    """Words are separated by spaces, after half-spaces have been normalised."""

    code = "fa"
    name = "Persian"
    direction = "rtl"
    signature = "fa-1"
    stop_words = STOP_WORDS
    open_words = OPEN_WORDS
    relations = RELATIONS
    digits = "۰۱۲۳۴۵۶۷۸۹"

    def normalise(self, text: str) -> str:
        """``text`` in a normalised spelling, punctuation and line ends unchanged.

        >>> Persian().normalise("كتاب ها را مي خواند?")
        'کتاب‌ها را می‌خواند؟'
        """
        return _LINES.sub(lambda line: _spaced_line(one_spelling(line[0])), text)

    def tokens(self, text: str) -> list[str]:
        """The words of a sentence in a normalised spelling, without punctuation.

        >>> Persian().tokens("سگ ها می دوند.")
        ['سگ‌ها', 'می‌دوند']
        """
        return _counted(_WORDS.findall(self.normalise(text).lower()))

    def join(self, tokens: Iterable[str]) -> str:
        """Words separated by spaces; half-spaces are part of the words."""
        return " ".join(tokens)

    def stems(self, words: Iterable[str]) -> tuple[str, ...]:
        """Words without plural, comparative, possessive and indefinite ی endings, where
        unambiguous."""
        return tuple(map(_stem, words))

    def lemma(self, word: str) -> str:
        """The infinitive of a verb that is not light; any other word itself.

        >>> Persian().lemma("می‌دوند")
        'دویدن'
        """
        return INFINITIVES.get(word, word)

    def number(self, text: str) -> str:
        """``text`` with Persian digits, decimal points and percent signs.

        >>> Persian().number("0.4%")
        '۰٫۴٪'
        """
        return super().number(_PERCENT.sub("٪", _POINT.sub("٫", text)))

    @cached_property
    def messages(self) -> Mapping[str, str]:
        """What pages say in Persian: ``messages.json`` beside this module."""
        table = resources.files(__name__).joinpath("messages.json").read_text(encoding="utf-8")
        return dict(json.loads(table))


def _spaced_line(line: str) -> str:
    # words are joined only across spaces: punctuation separates them
    line = _RUNS.sub(lambda run: " ".join(spaced(run[0].split(" "))), line)
    # of half-spaces between spaces nothing is left
    return " ".join(filter(None, line.split(" ")))


def _counted(words: list[str]) -> list[str]:
    """Words as metrics count them, which may join them: «راه ی آهن» is «راه‌آهن»."""
    while (found := spaced([as_counted(word) for word in words])) != words:
        words = found
    return found


def _stem(word: str) -> str:
    stem = word
    while (match := _ENDINGS.search(stem, 1)) is not None:
        stem = stem[: match.start()]
    return stem[:-1] if stem.endswith("ی") and stem[:-1] in NOUNS else stem


PERSIAN = Persian()
