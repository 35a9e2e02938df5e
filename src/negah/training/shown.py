"""Initialisation of words of another language from the concepts that their photos show.

A captioner of one language knows what a dog looks like, but not the word in another language. Its
concepts (:mod:`negah.models.concepts`) predict which of its words each photo supports; a new word
that occurs in the captions of the same photos is initialised from that word: its rows of the
embedding, the output layer and the concepts. Neither a dictionary nor parallel text is needed.

The similarity of a new word and a concept is the correlation, over the training photos, between the
presence of the word in captions and the probability of the concept.

Axes: N photos, W concepts of the initial model, V new words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from negah.arrays import FloatArray
from negah.models import Encoder
from negah.models.concepts import Concepts
from negah.text import SPECIALS, Tokenizer
from negah.training.batches import Batch
from negah.training.inputs import regions_of
from negah.training.sources import TrainingSource

#: Minimum correlation for a match.
_LEAST = 0.15
#: Concepts with at least this share of the best correlation are used, too.
_NEXT_BEST = 0.85
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class ShownWords:
    """The words of an initial model from which new ones are initialised.

    Attributes:
        words: those of the initial model, the best first, by the new word.
        concepts: of the initial model.
    """

    words: Mapping[str, Sequence[str]]
    concepts: Concepts

    def rows(self, tokenizer: Tokenizer, initial: Tokenizer) -> dict[int, list[int]]:
        """The ids of the words in the initial vocabulary, by the id of the new one."""
        ids = {token: number for number, token in enumerate(initial.tokens)}
        return {
            number: rows
            for number, token in enumerate(tokenizer.tokens)
            if (rows := [ids[word] for word in self.words.get(token, ()) if word in ids])
        }

    @torch.no_grad()
    def fill(self, concepts: Concepts) -> None:
        """Initialise the concepts of new words from those of their matches.

        A concept without a match predicts the base rate for every picture.
        """
        places = {word: place for place, word in enumerate(self.concepts.words)}
        for number, word in enumerate(concepts.words):
            rows = [places[one] for one in self.words.get(word, ())]
            if rows:
                concepts.layer.weight[number] = self.concepts.layer.weight[rows].mean(0)
                concepts.layer.bias[number] = self.concepts.layer.bias[rows].mean(0)
            else:
                concepts.layer.weight[number] = 0
        concepts.fresh_words = ()


def find_shown(
    concepts: Concepts, encoder: Encoder, source: TrainingSource, tokenizer: Tokenizer
) -> ShownWords:
    """Find the concepts that the photos of each new word show.

    Args:
        concepts: of the initial model, unchanged.
        encoder: of the run.
        source: provides photos and captions.
        tokenizer: of the run.
    """
    said_NV = np.zeros((len(source.captions), len(tokenizer)), dtype=np.float32)
    for photo, captions in enumerate(source.captions):
        said_NV[photo, [token for text in captions for token in tokenizer.encode(text)]] = 1
    related_WV = _correlation(_concept_probabilities(concepts, encoder, source), said_NV)
    found = {}
    for number in range(len(SPECIALS), len(tokenizer)):
        best = np.argsort(-related_WV[:, number], kind="stable")[:3]
        first = related_WV[best[0], number]
        if first >= _LEAST:
            near = [place for place in best if related_WV[place, number] >= _NEXT_BEST * first]
            found[tokenizer.tokens[number]] = tuple(concepts.words[place] for place in near)
    return ShownWords(found, concepts)


@torch.no_grad()
def _concept_probabilities(
    concepts: Concepts, encoder: Encoder, source: TrainingSource
) -> FloatArray:
    """The probabilities of the concepts, float32 (N, W)."""
    none = np.zeros((0, 0, 0), dtype=np.int64)
    told = []
    for first in range(0, len(source.captions), _AT_ONCE):
        photos = np.arange(first, min(first + _AT_ONCE, len(source.captions)))
        stored = source.read(Batch(photos, np.zeros(len(photos), dtype=np.bool_), none, none), 0)
        features_BFRC = regions_of(encoder, stored.trunk, stored.real_BF)
        told.append(-torch.expm1(concepts.of_clips(features_BFRC, stored.real_BF)))
    found: FloatArray = torch.cat(told).numpy()
    return found


def _correlation(first_NW: FloatArray, second_NV: FloatArray) -> FloatArray:
    """Pearson correlation of every column of one matrix with every column of the other."""
    standard = []
    for values in (first_NW, second_NV):
        centred = values - values.mean(0)
        standard.append(centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-9))
    product: FloatArray = standard[0].T @ standard[1]
    return product
