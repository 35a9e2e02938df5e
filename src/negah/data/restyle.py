"""Photos captioned in the style of other sentences, by retrieval.

Data sets of clips come with far more sentences than clips that one can still get, and people
caption a clip in other words than a photo: "a man is riding a horse", and no more. A sentence
may be said of a photo if one of the photo's own captions says all that it says: every content
word of the sentence, as a stem, stands in that one caption, where a man is a person, too.
Nothing new is claimed of the photo, and the captioner learns how such captions sound.
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

#: A sentence of one content word ("a man") says too little to learn from.
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
    """What became of the photos.

    Attributes:
        examples: those that have captions now, with such sentences as captions, the most
            telling first, and then their own that stay.
        sentences: how many different sentences are used.
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
    """Caption photos with those of ``sentences`` that their own captions bear out.

    Args:
        examples: photos with captions.
        sentences: in the wanted style; one that comes several times is preferred to one that
            says the same and comes once.
        per_photo: at most so many a photo. Sentences of different content come first; of
            those, the ones with the rarer content.
        shortest: sentences of fewer words are left out; they are titles more often than not.
        support: sentences whose content comes fewer times than this among all are left out; they
            are odd more often than not.
        own: captions of a photo's own that have at most so many words stay, after the sentences.
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
            # filed under its rarest stem, so that a caption is compared with few sentences
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
            f"none of the {len(wordings):,} sentences says what a caption of the "
            f"{len(examples):,} photos says: are they of the same language?"
        )
    return Restyled(tuple(found), len(used))


def content(sentence: str) -> Content:
    """The stems of a sentence's content words."""
    return frozenset(stemmed(word for word in words(sentence) if word not in STOP_WORDS))


def meant(caption: str) -> Content:
    """The content of a photo's caption, and that whoever is in it is a person."""
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
            f"of {len(counts):,} different sentences none has {shortest} words or more and content "
            f"that comes {support} times: there is no style to take over"
        )
    return wordings


def _weights(said: Sequence[Sequence[Content]]) -> dict[str, float]:
    """How telling each stem is: the logarithm of photos over photos with it."""
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
    """The most telling contents in their most frequent wording, then further wordings."""

    def rank(meaning: Content) -> tuple[float, list[str]]:
        # sums in one order, so that equal contents weigh the same in every run
        return -math.fsum(weights[stem] for stem in meaning), sorted(meaning)

    ordered = sorted(fitting, key=rank)
    chosen = [wordings[meaning][0] for meaning in ordered[:most]]
    for meaning in ordered:
        chosen += wordings[meaning][1 : 1 + most - len(chosen)]
    return chosen
