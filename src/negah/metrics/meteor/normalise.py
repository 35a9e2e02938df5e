"""METEOR's normalisation: further splitting of punctuation after the PTB tokenizer.

The COCO caption evaluation hands PTB tokens to METEOR with its option ``-norm``, which splits and
lowercases them once more: "t-shirt" becomes two words, "man 's" becomes "man ' s", "u.s." becomes
"us". These rules are written from the option's observed output, and compared with it on every
distinct token of the caption data and on random strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: Letters that form words; in other scripts every character is a separate word.
_L = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e\u0400-\u0481\u048a-\u0527"
_PLAIN = re.compile("[a-z0-9 ]*")
_LETTER = re.compile(f"[{_L}]")
_QUOTES = str.maketrans("`\u2018\u2019\u201c\u201d", "'''\"\"")
# In this order; as in one pass of substitutions, a character that one match has used does not
# start the next: "a-b-c" becomes "a b-c".
_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        ("''", '"'),
        (rf"([^{_L}0-9\s.',-])", r" \1 "),
        (r"(\.{2,})", r" \1 "),
        ("--", "-"),
        (rf"([{_L}0-9.])-([{_L}0-9])", r"\1 \2"),
        ("\u2013", "-"),
        (r"([^0-9]),([^0-9])", r"\1 , \2"),
        (r"([0-9]),([^0-9])", r"\1 , \2"),
        (r"([^0-9]),([0-9])", r"\1 , \2"),
        (rf"([^{_L}])'([^{_L}])", r"\1 ' \2"),
        (rf"([^{_L}0-9])'([{_L}])", r"\1 ' \2"),
        (rf"([{_L}])'([^{_L}])", r"\1 ' \2"),
        (rf"([{_L}])'([{_L}])", r"\1 '\2"),
        (r"([0-9])'(s)", r"\1 '\2"),
    )
)


class Normaliser:
    """From PTB tokens to METEOR's words.

    Args:
        prefixes: abbreviations that keep their period.
        number_prefixes: those that keep it before a number.
    """

    def __init__(self, prefixes: Iterable[str], number_prefixes: Iterable[str] = ()) -> None:
        self._prefixes = frozenset(prefixes)
        self._number_prefixes = frozenset(number_prefixes)

    def __call__(self, tokens: Sequence[str]) -> list[str]:
        """METEOR's words of a tokenised caption, lowercased. Never raises."""
        text = f" {' '.join(tokens)} "
        if _PLAIN.fullmatch(text):
            return text.split()
        text = text.translate(_QUOTES)
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        parts = text.split()
        words: list[str] = []
        for part, after in zip(parts, [*(p[0] for p in parts[1:]), ""], strict=False):
            words.extend(word.lower() for word in self._without_period(part, after))
        return words

    def _without_period(self, word: str, after: str) -> tuple[str, ...]:
        """Separate a word from its final period, unless that belongs to the word."""
        stem = word[:-1]
        if not word.endswith(".") or not stem or set(stem) == {"."}:
            return (word,)
        if "." in stem and _LETTER.search(stem):
            return (word.replace(".", ""),)
        if stem in self._prefixes or "a" <= after <= "z":
            return (word,)
        if stem in self._number_prefixes and "0" <= after <= "9":
            return (word,)
        return (stem, ".")
