"""Captions for photos in the style of other sentences, by retrieval.

Clip data sets have far more sentences than clips that are still available, and clips are captioned
in a different style than photos: "a man is riding a horse". A sentence may be used for a photo if
one of the photo's own captions implies it: every content word of the sentence, as a stem, occurs in
that caption ("man" also counts as "person"). The sentence adds no new claim about the photo, and
the captioner learns the style.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from negah.data.examples import Example
from negah.errors import DataError, UsageError
from negah.text import STOP_WORDS, words
from negah.text.stems import stemmed

#: Sentences with a single content word ("a man") are not informative enough.
_FEWEST = 2

#: Words for people. A sentence that says "person" or "someone" fits a photo of any of them.
_PEOPLE = frozenset(
    {
        *("man", "men", "guy", "woman", "women", "lady", "boy", "girl", "kid", "child", "children"),
        *("player", "rider", "skier", "surfer", "climber", "biker", "cyclist"),
        *("snowboarder", "skateboarder"),
    }
)
_SOMEBODY = frozenset({"person", "someone", "somebody"})

Content = frozenset[str]


@dataclass(frozen=True, slots=True)
class Restyled:
    """The photos with their new captions.

    Attributes:
        examples: photos with new captions: the sentences, most specific first, then their own
            captions that are kept.
        sentences: number of distinct sentences used.
    """

    examples: tuple[Example, ...]
    sentences: int


def restyle(
    examples: Sequence[Example],
    sentences: Iterable[str],
    *,
    per_photo: int = 5,
    shortest: int = 4,
    support: int = 2,
    own: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Restyled:
    """Caption photos with those of ``sentences`` that their own captions support.

    Args:
        examples: photos with captions.
        sentences: in the target style; among sentences with the same content, more frequent ones
            are preferred.
        per_photo: maximum number for a photo. Sentences of different content come first, those with
            rarer content before others.
        shortest: sentences of fewer words are left out; they are titles more often than not.
        support: sentences whose content occurs fewer times than this are left out; most are odd.
        own: a photo's own captions of at most this many words are kept, after the sentences.
        progress: called with the photos done and their number.

    Raises:
        UsageError: ``per_photo`` is below 1.
        DataError: there are no sentences, or none fits any photo.
    """
    if per_photo < 1:
        raise UsageError(f"per_photo is 1 or more, not {per_photo}")
    wordings = _wordings(sentences, shortest, support)
    said = [[meant(caption) for caption in example.captions] for example in examples]
    weights = _weights(said)
    places = defaultdict(list)
    for meaning in wordings:
        if len(meaning) >= _FEWEST and all(stem in weights for stem in meaning):
            # indexed by its rarest stem, so that a caption is compared with few sentences
            places[max(meaning, key=lambda stem: (weights[stem], stem))].append(meaning)
    found, used = [], set()
    for number, (example, captions) in enumerate(zip(examples, said, strict=True), start=1):
        fitting = {
            meaning
            for caption in captions
            for stem in caption
            for meaning in places.get(stem, ())
            if meaning <= caption
        }
        chosen = _choose(fitting, wordings, weights, per_photo)
        used.update(chosen)
        chosen += [caption for caption in example.captions if len(words(caption)) <= own]
        if chosen:
            found.append(replace(example, captions=tuple(chosen)))
        if progress is not None:
            progress(number, len(examples))
    if not used:
        raise DataError(
            f"none of the {len(wordings):,} sentences is supported by a caption of the "
            f"{len(examples):,} photos: are they in the same language?"
        )
    return Restyled(tuple(found), len(used))


def content(sentence: str) -> Content:
    """The stems of a sentence's content words."""
    return frozenset(stemmed(word for word in words(sentence) if word not in STOP_WORDS))


def meant(caption: str) -> Content:
    """The content of a photo's caption, with "person" added for any word for people."""
    found = content(caption)
    if not _PEOPLE.isdisjoint(words(caption)):
        found |= content(" ".join(_SOMEBODY))
    return found


def _wordings(sentences: Iterable[str], shortest: int, support: int) -> dict[Content, list[str]]:
    """Sentences by their content, the most frequent first; as given among equals."""
    counts = Counter(" ".join(sentence.split()) for sentence in sentences)
    groups, said = defaultdict(list), Counter[Content]()
    for sentence, count in counts.most_common():
        meaning = content(sentence)
        said[meaning] += count
        if len(sentence.split()) >= shortest:
            groups[meaning].append(sentence)
    wordings = {meaning: group for meaning, group in groups.items() if said[meaning] >= support}
    if not wordings:
        raise DataError(
            f"of {len(counts):,} different sentences none has {shortest} words or more and "
            f"content that occurs {support} times: there is no style to transfer"
        )
    return wordings


def _weights(said: Sequence[Sequence[Content]]) -> dict[str, float]:
    """The idf of each stem: the logarithm of photos over photos with it."""
    photos: Counter[str] = Counter()
    for captions in said:
        photos.update(frozenset[str]().union(*captions))
    return {stem: math.log(len(said) / count) for stem, count in photos.items()}


def _choose(
    fitting: Iterable[Content],
    wordings: dict[Content, list[str]],
    weights: dict[str, float],
    most: int,
) -> list[str]:
    """The contents of highest weight in their most frequent wording, then further wordings."""

    def rank(meaning: Content) -> tuple[float, list[str]]:
        # summed in a fixed order, so that equal contents have the same weight in every run
        return -math.fsum(weights[stem] for stem in meaning), sorted(meaning)

    ordered = sorted(fitting, key=rank)
    chosen = [wordings[meaning][0] for meaning in ordered[:most]]
    for meaning in ordered:
        chosen += wordings[meaning][1 : 1 + most - len(chosen)]
    return chosen
