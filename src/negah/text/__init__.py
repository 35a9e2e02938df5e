"""Sentences to token ids and back: normalising, tokenizers, vocabulary."""

from __future__ import annotations

from negah.text.alt import alt_text
from negah.text.normalize import nfc, words
from negah.text.people import neutral_people
from negah.text.stopwords import STOP_WORDS
from negah.text.stored import load_tokenizer, tokenizer_class, tokenizer_from_dict
from negah.text.subwords import SubwordTokenizer
from negah.text.tokenizers import (
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    coverage,
    detokenize,
)
from negah.text.vocabulary import EOS, PAD, SOS, SPECIALS, UNK

__all__ = [
    "EOS",
    "PAD",
    "SOS",
    "SPECIALS",
    "STOP_WORDS",
    "UNK",
    "CharTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "alt_text",
    "coverage",
    "detokenize",
    "load_tokenizer",
    "neutral_people",
    "nfc",
    "tokenizer_class",
    "tokenizer_from_dict",
    "words",
]
