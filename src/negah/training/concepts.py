"""What an encoder's concepts learn from: which words the captions of each photo say.

Axes: B photos or clips, F frames, R regions, C channels, W concepts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from negah.arrays import BoolArray, FloatArray
from negah.errors import UsageError
from negah.models import Encoder
from negah.models.concepts import concept_loss, concept_words
from negah.text import Tokenizer

#: Words that are said of fewer photos are not judged: a rank among so few says little.
LEAST_SHOWN = 5


class ConceptTruth:
    """Which concepts are said of each photo or clip.

    Args:
        captions: all of each, by the places that batches name.
        tokenizer: of the run.
        words: of the concepts; all are words of the tokenizer.
    """

    def __init__(
        self, captions: Sequence[Sequence[str]], tokenizer: Tokenizer, words: Sequence[str]
    ) -> None:
        self.words = tuple(words)
        place = np.full(len(tokenizer), -1)
        ids = {token: index for index, token in enumerate(tokenizer.tokens)}
        place[[ids[word] for word in words]] = np.arange(len(words))
        self._said: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
        for group in captions:
            tokens = np.array([i for text in group for i in tokenizer.encode(text)], np.int64)
            found = np.unique(place[tokens])
            self._said.append(found[found >= 0])

    def rates(self) -> Tensor:
        """The share of photos that each concept is said of, float32 (W,)."""
        said = np.concatenate(self._said)
        return torch.from_numpy(np.bincount(said, minlength=len(self.words))).float() / len(
            self._said
        )

    def said(self, photos: Tensor) -> Tensor:
        """Whether each concept is said, bool (B, W), of photos by their places, int64 (B,)."""
        said_BW = torch.zeros(len(photos), len(self.words), dtype=torch.bool)
        for row, photo in enumerate(photos.tolist()):
            said_BW[row, torch.from_numpy(self._said[photo])] = True
        return said_BW

    def loss(
        self, encoder: Encoder, features_BFRC: Tensor, real_BF: Tensor | None, photos: Tensor
    ) -> Tensor:
        """See :func:`~negah.models.concepts.concept_loss`."""
        assert encoder.concepts is not None
        absent_BW = encoder.concepts.of_clips(features_BFRC, real_BF)
        return concept_loss(absent_BW, self.said(photos).to(absent_BW.device))


def mean_average_precision(
    scores_BW: FloatArray, said_BW: BoolArray, least: int = LEAST_SHOWN
) -> float | None:
    """How well scores put the photos that show a word before those that do not, in [0, 1].

    The average precision of a word is the mean of the precisions at the places where its photos
    stand, without interpolation.

    Args:
        scores_BW: what ranks the photos, such as probabilities; of ties the first leads.
        said_BW: whether the word is said of the photo.
        least: words that are said of fewer photos do not count.

    Returns:
        the mean over the words; None where none counts.
    """
    counted = said_BW.sum(0) >= max(least, 1)
    if not counted.any():
        return None
    order_BW = np.argsort(-scores_BW[:, counted], axis=0, kind="stable")
    hits_BW = np.take_along_axis(said_BW[:, counted], order_BW, axis=0)
    precision_BW = hits_BW.cumsum(0) / np.arange(1, len(hits_BW) + 1)[:, None]
    return float(((precision_BW * hits_BW).sum(0) / hits_BW.sum(0)).mean())


def add_concepts(
    encoder: Encoder, tokenizer: Tokenizer, captions: Sequence[Sequence[str]] | None = None
) -> ConceptTruth | None:
    """Give the encoder of a run its concepts.

    Args:
        encoder: whose options say how many.
        tokenizer: of the run: the most frequent content words of its vocabulary are taken.
        captions: of each photo, where the encoder learns.

    Returns:
        what the concepts learn from; None where there are none, or nothing is learned.

    Raises:
        UsageError: the vocabulary has no content word.
    """
    words = concept_words(tokenizer, encoder.options)
    if encoder.options.concepts and not words:
        raise UsageError(
            "encoder.concepts are content words, and the captions hold none that is frequent "
            "enough: lower text.min_count, or set encoder.concepts=0"
        )
    if captions is None or not words:
        encoder.add_concepts(words)
        return None
    truth = ConceptTruth(captions, tokenizer, words)
    encoder.add_concepts(words, truth.rates())
    return truth
