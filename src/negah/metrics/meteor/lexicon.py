"""METEOR's lexical data: stems, synonym sets, paraphrases, function words.

Reads the compiled arrays of :mod:`negah.metrics.meteor.data`; look-ups of words and phrases are
cached, since captions use few words very often.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from negah.metrics.meteor.cache import Array
from negah.metrics.meteor.data import NODE_BITS
from negah.metrics.meteor.normalise import Normaliser
from negah.metrics.meteor.stemmer import stem

_REMEMBERED = 1 << 17
# The detachment rules of WordNet's morphological processing (morphy(7WN)): endings of nouns, verbs
# and adjectives with what replaces them. In each class the first that gives a lemma counts.
_DETACHMENTS = (
    (
        *(("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z")),
        *(("ches", "ch"), ("shes", "sh"), ("men", "man"), ("ies", "y")),
    ),
    (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", "")),
        *(("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
)


class Lexicon:
    """Look-ups by word and by phrase.

    Args:
        arrays: as :func:`negah.metrics.meteor.data.load_arrays` gives them.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._ids = {word: index for index, word in enumerate(_lines(arrays["words"]))}
        self._words = list(self._ids)
        self._lemma_ends, self._lemma_synsets = arrays["lemma_ends"], arrays["lemma_synsets"]
        self._form_ends, self._form_bases = arrays["form_ends"], arrays["form_bases"]
        self._node_keys = arrays["node_keys"]
        self._paraphrase_ends, self._paraphrases = arrays["paraphrase_ends"], arrays["paraphrases"]
        self.function_words = frozenset(_lines(arrays["function_words"]))
        self.normalise = Normaliser(_lines(arrays["prefixes"]), _lines(arrays["number_prefixes"]))
        self.stem = lru_cache(_REMEMBERED)(stem)
        self.synsets = lru_cache(_REMEMBERED)(self._find_synsets)
        self.paraphrases = lru_cache(_REMEMBERED)(self._find_paraphrases)
        self._child = lru_cache(_REMEMBERED)(self._find_child)

    def phrases(self, words: Sequence[str]) -> list[tuple[int, int, int]]:
        """The start, length and node of every run of words that starts a phrase of the table."""
        ids = [self._ids.get(word, -1) for word in words]
        found = []
        for start in range(len(ids)):
            node = 0
            for end in range(start, len(ids)):
                node = self._child(node, ids[end]) if ids[end] >= 0 else 0
                if not node:
                    break
                found.append((start, end + 1 - start, node))
        return found

    def _find_child(self, node: int, word: int) -> int:
        """The node of a phrase with one more word, or 0."""
        key = node << NODE_BITS | word
        place = int(np.searchsorted(self._node_keys, key))
        if place < len(self._node_keys) and int(self._node_keys[place]) == key:
            return place + 1
        return 0

    def _find_paraphrases(self, node: int) -> dict[int, int]:
        """The nodes that the table gives for a node's phrase, in its own direction, by rank."""
        row = _row(self._paraphrase_ends, self._paraphrases, node)
        return {other: rank for rank, other in enumerate(row)}

    def _find_synsets(self, word: str) -> frozenset[int]:
        """The synonym sets of a word and of its base forms."""
        found = set(self._synsets_of_lemma(word))
        for base in self._bases(word):
            found.update(self._synsets_of_lemma(base))
        return frozenset(found)

    def _bases(self, word: str) -> Iterable[str]:
        index = self._ids.get(word)
        irregular = [] if index is None else _row(self._form_ends, self._form_bases, index)
        if irregular:
            return [self._words[base] for base in irregular]
        if len(word) <= 2 or word.endswith("ss"):
            return []
        bases = []
        for rules in _DETACHMENTS:
            candidates = (
                word.removesuffix(ending) + replacement
                for ending, replacement in rules
                if word.endswith(ending)
            )
            bases.extend([base for base in candidates if self._synsets_of_lemma(base)][:1])
        return bases

    def _synsets_of_lemma(self, lemma: str) -> list[int]:
        index = self._ids.get(lemma)
        return [] if index is None else _row(self._lemma_ends, self._lemma_synsets, index)


def _lines(text: Array) -> list[str]:
    return text.tobytes().decode("utf-8").split("\n") if len(text) else []


def _row(ends: Array, values: Array, index: int) -> list[int]:
    start = int(ends[index - 1]) if index else 0
    row: list[int] = values[start : int(ends[index])].tolist()
    return row
