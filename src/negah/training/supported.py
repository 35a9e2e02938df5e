"""Storyboards whose words are shown by implants of an encoder's concepts.

If an encoder has concepts, these are used instead of ImageNet classes: all frequent content words,
including colours and verbs. The direction of a concept is the regression of the features on its
logit (:mod:`negah.training.implants`); its gain is the increase of the logit on photos with the
word in a caption.

Axes: N photos, R regions, C channels, W concepts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from negah.arrays import BoolArray, FloatArray
from negah.data.storyboards import Storyboard
from negah.data.storyboards.boards import StoryboardWord
from negah.errors import UsageError
from negah.models.concepts import Concepts
from negah.text import words
from negah.training.features import Views, item_of
from negah.training.implants import Implants
from negah.training.storyboards import Boards

#: Number of photos read at a time.
_BATCH = 128
#: A word with at least this probability on a photo need not be implanted.
_SHOWN = 0.5
#: Minimum number of photos with a word for its own gain to be used instead of the median.
_FEWEST = 10


def show_concepts(
    boards: Boards,
    concepts: Concepts | None,
    views: Views,
    captions: Mapping[Path, Sequence[str]],
) -> tuple[Boards, Implants]:
    """Storyboards whose words are concepts, and the implants of these.

    Args:
        boards: with stored photos; others are in no storyboard.
        concepts: of the encoder.
        views: stores of single pictures.
        captions: of photos, by their resolved paths, for measuring gains; some may be missing.

    Returns:
        the same storyboards with other words, and implants for which a gain of 1 is the mean
        increase of the concept's logit.

    Raises:
        UsageError: there are no concepts.
    """
    if concepts is None:
        raise UsageError(
            "clips.storyboards.implants=concepts needs the encoder's concepts, but it has none: "
            "start from a model with concepts, such as a run of cam-rnn-whole (--init), "
            "or set implants to none"
        )
    weight_WC = concepts.layer.weight.detach()
    found = ((at, views["plain"].row(item_of(photo))) for at, photo in enumerate(boards.photos))
    rows = {at: row for at, row in found if row is not None}
    means: list[FloatArray] = []
    shown: list[BoolArray] = []

    @torch.no_grad()
    def measure(features_NRC: FloatArray) -> None:
        regions_NRC = torch.from_numpy(features_NRC).to(weight_WC.device)
        # the mean of a linear layer's output is its output for the mean
        means.append(concepts.layer(regions_NRC.mean(1)).cpu().numpy())
        shown.append((concepts(regions_NRC) >= _SHOWN).cpu().numpy())

    def read() -> Iterator[FloatArray]:
        order = list(rows.values())
        for first in range(0, len(order), _BATCH):
            batch = views["plain"].read(np.array(order[first : first + _BATCH]))
            features_NRC = batch.astype(np.float32)
            measure(features_NRC)
            yield features_NRC

    implants = Implants.of(weight_WC.cpu().numpy(), read(), exclusive=False)
    places = {word: place for place, word in enumerate(concepts.words)}
    said_NW = np.zeros((len(rows), len(places)), dtype=np.bool_)
    for number, at in enumerate(rows):
        for caption in captions.get(boards.photos[at].path.resolve(), ()):
            said_NW[number, [places[word] for word in words(caption) if word in places]] = True
    rises_W = logit_rises(np.concatenate(means), said_NW)
    implants = replace(implants, directions_LC=implants.directions_LC * rises_W[:, None])
    supported = dict(zip(rows, np.concatenate(shown), strict=True))
    told = tuple(replace(b, words=_supported_words(b, places, supported)) for b in boards.boards)
    return replace(boards, boards=told), implants


def logit_rises(means_NW: FloatArray, said_NW: BoolArray) -> FloatArray:
    """The increase of the mean logit on photos captioned with a word, float32 (W,); positive."""
    counts_W = said_NW.sum(0)
    others_W = np.maximum(len(said_NW) - counts_W, 1)
    there_W = (means_NW * said_NW).sum(0) / np.maximum(counts_W, 1)
    elsewhere_W = (means_NW * ~said_NW).sum(0) / others_W
    rises_W = there_W - elsewhere_W
    known_W = (counts_W >= _FEWEST) & (rises_W > 0)
    usual = float(np.median(rises_W[known_W])) if known_W.any() else 1.0
    return np.where(known_W, rises_W, usual).astype(np.float32)


def _supported_words(
    board: Storyboard, places: Mapping[str, int], supported: Mapping[int, BoolArray]
) -> tuple[StoryboardWord, ...]:
    counts = Counter(word for caption in board.captions for word in dict.fromkeys(words(caption)))
    return tuple(
        StoryboardWord(
            word,
            count / len(board.captions),
            (places[word],),
            tuple(
                place
                for place, photo in enumerate(board.photos)
                if supported[photo.photo][places[word]]
            ),
        )
        for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        if word in places
    )
