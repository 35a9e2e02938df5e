"""Text normalisation, tokenizers and vocabularies: sentences to token ids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from negah.lazy_names import lazy_names
from negah.text.in_language import InLanguage
from negah.text.languages import LANGUAGES, Language, language_of
from negah.text.normalize import detokenize, nfc, words
from negah.text.pieces import WholeWord
from negah.text.stopwords import STOP_WORDS
from negah.text.stored import load_tokenizer, tokenizer_class, tokenizer_from_dict
from negah.text.subwords import SubwordTokenizer
from negah.text.tokenizers import (
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    coverage,
)
from negah.text.vocabulary import EOS, PAD, SOS, SPECIALS, UNK, Specials

if TYPE_CHECKING:
    from negah.text.alt import alt_text
    from negah.text.people import neutral_people
else:  # a caption is worded otherwise where that is asked for
    __getattr__ = lazy_names(
        __name__, {"alt_text": "negah.text.alt", "neutral_people": "negah.text.people"}
    )

__all__ = [
    "EOS",
    "LANGUAGES",
    "PAD",
    "SOS",
    "SPECIALS",
    "STOP_WORDS",
    "UNK",
    "CharTokenizer",
    "InLanguage",
    "Language",
    "Specials",
    "SubwordTokenizer",
    "Tokenizer",
    "WholeWord",
    "WordTokenizer",
    "alt_text",
    "coverage",
    "detokenize",
    "language_of",
    "load_tokenizer",
    "neutral_people",
    "nfc",
    "tokenizer_class",
    "tokenizer_from_dict",
    "words",
]
