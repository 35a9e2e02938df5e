"""Implants of ImageNet classes for a fine-tuned encoder.

A fine-tuned encoder has no ImageNet classifier any more, and its concepts are words of its training
captions. For other classes, the original ImageNet weights give the logits of the available photos,
and the direction of a class in the features of the fine-tuned encoder is found by regression on
that logit, as in :mod:`negah.training.implants`.

Axes: N photos, R regions, C channels, L classes, W concepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from negah.arrays import FloatArray
from negah.data.storyboards.boards import StoryboardWord
from negah.models import EncoderOptions
from negah.models.backbones import load_classifier
from negah.models.encoders import load_encoder
from negah.text.stems import stemmed
from negah.training.features import FeatureFolder, Views, item_of, prepare_features
from negah.training.implants import Implants
from negah.training.storyboards import Boards

#: Number of photos read at a time.
_BATCH = 256
#: The increase of a class logit at a gain of 1, so that classes and concepts share one range of
#: gains.
_LOGITS = 7.0


def tell_classes(
    boards: Boards, options: EncoderOptions, folder: FeatureFolder, device: torch.device
) -> Boards:
    """Storyboards with the logits of ImageNet's classes for each of their photos.

    Args:
        boards: with the photos.
        options: of the fine-tuned encoder; its name is used.
        folder: of the stored features of the ImageNet weights.
        device: where PyTorch would compute them.

    Raises:
        UsageError: there are no ImageNet weights of that name, or none with a classifier.
    """
    encoder = load_encoder(EncoderOptions(name=options.name))
    classifier_LC = load_classifier(options.name, "auto").numpy()
    store = prepare_features(encoder, boards.photos, folder, flips=False, device=device)["plain"]
    logits_NL = np.full((len(boards.photos), len(classifier_LC)), np.nan, dtype=np.float32)
    rows = {at: store.row(item_of(photo)) for at, photo in enumerate(boards.photos)}
    known = [(at, row) for at, row in rows.items() if row is not None]
    for first in range(0, len(known), _BATCH):
        places, stored = zip(*known[first : first + _BATCH], strict=True)
        features_NRC = store.read(np.array(stored))
        logits_NL[list(places)] = features_NRC.mean(1, dtype=np.float32) @ classifier_LC.T
    return replace(boards, logits_NL=logits_NL)


def add_classes(
    boards: Boards, told: Boards, concepts: Implants, views: Views
) -> tuple[Boards, Implants]:
    """Storyboards with classes for words that are not concepts.

    Args:
        boards: with :attr:`Boards.logits_NL`, and words of classes.
        told: the same storyboards with words of concepts.
        concepts: the implants of the concepts.
        views: stores of single pictures.

    Returns:
        storyboards with both kinds of words, and the implants of both: first those of the concepts,
        then those of the classes.
    """
    assert boards.logits_NL is not None
    store, known_N = views["plain"], ~np.isnan(boards.logits_NL[:, 0])
    rows = {at: store.row(item_of(photo)) for at, photo in enumerate(boards.photos) if known_N[at]}
    known = [(at, row) for at, row in rows.items() if row is not None]

    def read() -> Iterator[tuple[FloatArray, FloatArray]]:
        assert boards.logits_NL is not None
        for first in range(0, len(known), _BATCH):
            places, stored = zip(*known[first : first + _BATCH], strict=True)
            yield store.read(np.array(stored)).astype(np.float32), boards.logits_NL[list(places)]

    classes = Implants.of_logits(read())
    directions_LC = np.concatenate([concepts.directions_LC, classes.directions_LC * _LOGITS])
    offset = len(concepts.directions_LC)
    merged = tuple(
        replace(board, words=(*board.words, *_untold(before.words, board.words, offset)))
        for board, before in zip(told.boards, boards.boards, strict=True)
    )
    return replace(told, boards=merged), replace(concepts, directions_LC=directions_LC)


def _untold(
    classes: Sequence[StoryboardWord], concepts: Sequence[StoryboardWord], offset: int
) -> Iterator[StoryboardWord]:
    """The words with classes that are not concepts, by the indices of their directions."""
    told = set(stemmed(word.stem for word in concepts))
    for word in classes:
        if word.stem not in told:
            yield replace(word, classes=tuple(label + offset for label in word.classes))
