"""Retrieval of photos for sentences about a clip.

Photos and sentences are compared as in text retrieval: stems of content words, weighted by the
share of captions with the word and its idf among the photos, then the cosine (G. Salton, C. Buckley
1988). "man" also counts as "person", as in :mod:`negah.data.restyle`.

Axes: N photos.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from negah.arrays import DoubleArray
from negah.data.examples import Example
from negah.data.restyle import meant
from negah.data.storyboards.lexicon import ClassesByStem, load_lexicon
from negah.data.storyboards.sentences import ClipSentences
from negah.errors import DataError, UsageError

#: Words in a smaller share of a clip's sentences are ignored as individual views.
_FEWEST_SAY = 0.1


@dataclass(frozen=True, slots=True)
class MatchedPhoto:
    """A photo that matches some of the sentences.

    Attributes:
        photo: its index among those given.
        fit: the cosine between its captions and the sentences, 0 to 1.
    """

    photo: int
    fit: float


@dataclass(frozen=True, slots=True)
class StoryboardWord:
    """A word of the sentences that has ImageNet classes.

    Attributes:
        stem: of the word.
        share: of the sentences with the word, 0 to 1.
        classes: of ImageNet, ascending.
        borne_out: indices in :attr:`Storyboard.photos` of photos whose own captions contain it.
    """

    stem: str
    share: float
    classes: tuple[int, ...]
    borne_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Sentences about an unavailable clip, with matching photos and classes.

    Attributes:
        name: of the clip.
        split: ``train`` or ``dev``.
        captions: the sentences.
        photos: the most similar photos, best first.
        words: words that have ImageNet classes.
    """

    name: str
    split: str
    captions: tuple[str, ...]
    photos: tuple[MatchedPhoto, ...]
    words: tuple[StoryboardWord, ...]


def make_storyboards(
    groups: Sequence[ClipSentences],
    photos: Sequence[Example],
    *,
    split: str,
    most: int = 24,
    progress: Callable[[int, int], None] | None = None,
) -> list[Storyboard]:
    """A storyboard of every group with a matching photo.

    Args:
        groups: sentences by clip.
        photos: with captions of their own.
        split: of all of them.
        most: maximum number of photos of a storyboard.
        progress: called with the groups done and their number.

    Raises:
        UsageError: ``most`` is below 1.
        DataError: no photo matches any group.
    """
    if most < 1:
        raise UsageError(f"a storyboard has 1 photo or more, not {most}")
    said = [_shares(photo.captions) for photo in photos]
    index = _Index(said)
    lexicon = load_lexicon()
    found = []
    for number, group in enumerate(groups, start=1):
        shares = _shares(group.sentences)
        shown = index.closest(shares, most)
        if shown:
            words = _storyboard_words(shares, [said[one.photo] for one in shown], lexicon)
            found.append(Storyboard(group.name, split, group.sentences, tuple(shown), words))
        if progress is not None:
            progress(number, len(groups))
    if not found:
        raise DataError(
            f"none of the {len(groups):,} clips matches any of the {len(photos):,} photos: are "
            f"sentences and captions in the same language?"
        )
    return found


def _shares(captions: Sequence[str]) -> dict[str, float]:
    """The share of the captions that contain each stem."""
    counts = Counter(stem for caption in captions for stem in meant(caption))
    return {stem: count / len(captions) for stem, count in counts.items()}


def _storyboard_words(
    shares: Mapping[str, float], shown: Sequence[Mapping[str, float]], lexicon: ClassesByStem
) -> tuple[StoryboardWord, ...]:
    return tuple(
        StoryboardWord(
            stem,
            share,
            lexicon[stem],
            tuple(place for place, photo in enumerate(shown) if stem in photo),
        )
        for stem, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
        if share >= _FEWEST_SAY and stem in lexicon
    )


class _Index:
    """An index of photos by the stems of their captions."""

    def __init__(self, said: Sequence[Mapping[str, float]]) -> None:
        photos: Counter[str] = Counter(stem for shares in said for stem in shares)
        self.rarity = {stem: math.log(len(said) / count) for stem, count in photos.items()}
        self.count = len(said)
        places: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for position, shares in enumerate(said):
            weights = {stem: share * self.rarity[stem] for stem, share in shares.items()}
            norm = math.sqrt(math.fsum(weight**2 for weight in weights.values()))
            for stem, weight in weights.items():
                if weight > 0:
                    places[stem].append((position, weight / norm))
        self.places = {
            stem: (np.array([p for p, _ in found]), np.array([w for _, w in found]))
            for stem, found in places.items()
        }

    def closest(self, shares: Mapping[str, float], most: int) -> list[MatchedPhoto]:
        """The photos of highest cosine, in the given order among equals; photos with cosine 0 are
        left out."""
        wanted = {
            stem: share * self.rarity[stem]
            for stem, share in sorted(shares.items())
            if share >= _FEWEST_SAY and stem in self.places
        }
        norm = math.sqrt(math.fsum(weight**2 for weight in wanted.values()))
        cosines_N: DoubleArray = np.zeros(self.count)
        for stem, weight in wanted.items():
            positions, weights = self.places[stem]
            cosines_N[positions] += weights * (weight / norm)
        best = np.argsort(-cosines_N, kind="stable")[:most]
        return [MatchedPhoto(int(at), float(cosines_N[at])) for at in best if cosines_N[at] > 0]
