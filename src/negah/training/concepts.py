"""Training targets of an encoder's concepts: the words of the captions of each photo.

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

#: Words of fewer photos are not evaluated: a ranking of so few is not meaningful.
LEAST_SHOWN = 5


class ConceptTruth:
    """The concepts in the captions of each photo or clip.

    Args:
        captions: all captions of each, by the indices used in batches.
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
        """The base rate of each concept, the share of photos captioned with it, float32 (W,)."""
        said = np.concatenate(self._said)
        return torch.from_numpy(np.bincount(said, minlength=len(self.words))).float() / len(
            self._said
        )

    def said(self, photos: Tensor) -> Tensor:
        """Whether each concept is in the captions of photos, bool (B, W); photos by index, int64
        (B,)."""
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
    """Mean average precision of scores that rank photos for each word, in [0, 1].

    The average precision of a word is the mean of the precisions at the ranks of its photos,
    without interpolation.

    Args:
        scores_BW: scores of the photos, such as probabilities; ties keep their order.
        said_BW: whether the word is in the captions of the photo.
        least: words of fewer photos are left out.

    Returns:
        the mean over the words; None if none is left.
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
    """Add concepts to the encoder of a run.

    Args:
        encoder: its options give the number of concepts.
        tokenizer: of the run: the most frequent content words of its vocabulary are taken.
        captions: of each photo, if the encoder is trained.

    Returns:
        the training targets of the concepts; None if there are none, or nothing is trained.

    Raises:
        UsageError: the vocabulary has no content word.
    """
    words = concept_words(tokenizer, encoder.options)
    if encoder.options.concepts and not words:
        raise UsageError(
            "encoder.concepts are content words, and none in the captions is frequent enough: "
            "lower text.min_count, or set encoder.concepts=0"
        )
    if captions is None or not words:
        encoder.add_concepts(words)
        return None
    truth = ConceptTruth(captions, tokenizer, words)
    encoder.add_concepts(words, truth.rates())
    return truth
