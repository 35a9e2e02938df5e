"""A caption prepared for matching, and all matches between two captions.

The four stages of METEOR: words that are equal, that have the same stem, that share a synonym set
(of their own or of a base form), and phrases that are paraphrases. Every stage gives all it finds:
a pair of words that two stages know is two matches, and so is a pair of phrases that the table
holds in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from negah.metrics.meteor.lexicon import Lexicon

STAGES = ("exact", "stem", "synonym", "paraphrase")
EXACT, STEM, SYNONYM, PARAPHRASE = range(4)


class Match(NamedTuple):
    """A match of a run of words of the hypothesis with a run of words of the reference.

    Attributes:
        reference: first word in the reference, from 0.
        reference_length: words in the reference.
        hypothesis: first word in the hypothesis, from 0.
        hypothesis_length: words in the hypothesis.
        stage: index into :data:`STAGES`.
    """

    reference: int
    reference_length: int
    hypothesis: int
    hypothesis_length: int
    stage: int


_PLACE_AND_STAGE = attrgetter("reference", "stage")


class AnalysedCaption:
    """The words of a caption with their stems, synonym sets and phrases.

    Args:
        tokens: as :func:`negah.text.words` gives them.
        lexicon: METEOR's data.
    """

    __slots__ = (
        "functions",
        "nodes",
        "paraphrased",
        "places",
        "stems",
        "synsets",
        "words",
    )

    def __init__(self, tokens: Sequence[str], lexicon: Lexicon) -> None:
        self.words = lexicon.normalise(tokens)
        self.functions = [word in lexicon.function_words for word in self.words]
        #: word -> its positions, stem -> positions of words with that stem
        self.places: dict[str, list[int]] = {}
        self.stems: dict[str, list[int]] = {}
        #: synonym set -> positions of its words
        self.synsets: dict[int, list[int]] = {}
        #: node of a phrase -> starts and lengths
        self.nodes: dict[int, list[tuple[int, int]]] = {}
        for place, word in enumerate(self.words):
            self.places.setdefault(word, []).append(place)
            self.stems.setdefault(lexicon.stem(word), []).append(place)
            for synset in lexicon.synsets(word):
                self.synsets.setdefault(synset, []).append(place)
        for start, length, node in lexicon.phrases(self.words):
            self.nodes.setdefault(node, []).append((start, length))
        #: the nodes that have paraphrases, with them
        self.paraphrased = [
            (node, found) for node in self.nodes if (found := lexicon.paraphrases(node))
        ]


def find_matches(hypothesis: AnalysedCaption, reference: AnalysedCaption) -> list[Match]:
    """All matches of all stages, by place in the reference, then in the order of the stages.

    Within a stage they come by place in the hypothesis. Of the paraphrases those come first that
    the table gives for the reference's phrase, the shorter phrase before the longer and each in
    the order of the table; then those for the hypothesis's phrases. The order decides between
    alignments that are as good (see :mod:`negah.metrics.meteor.alignment`).
    """
    found: list[Match] = []
    for word, places in hypothesis.places.items():
        for there in reference.places.get(word, ()):
            found.extend(Match(there, 1, here, 1, EXACT) for here in places)
    for stem, places in hypothesis.stems.items():
        for there in reference.stems.get(stem, ()):
            found.extend(
                Match(there, 1, here, 1, STEM)
                for here in places
                if hypothesis.words[here] != reference.words[there]
            )
    pairs = {
        (there, here)
        for synset in hypothesis.synsets.keys() & reference.synsets.keys()
        for there in reference.synsets[synset]
        for here in hypothesis.synsets[synset]
        if hypothesis.words[here] != reference.words[there]
    }
    found.extend(Match(there, 1, here, 1, SYNONYM) for there, here in pairs)
    found.sort()
    found.extend(_paraphrases(hypothesis, reference))
    found.sort(key=_PLACE_AND_STAGE)
    return found


def _paraphrases(hypothesis: AnalysedCaption, reference: AnalysedCaption) -> Iterator[Match]:
    """The matches of the last stage; of those that start at one word, the first comes first."""
    ranked = [
        ((match.reference_length, rank, match.hypothesis), match)
        for node, others in reference.paraphrased
        for other, rank in _common(others, hypothesis.nodes)
        for match in _phrase_matches(hypothesis.nodes[other], reference.nodes[node])
    ]
    yield from _in_order(ranked)
    ranked = [
        ((match.hypothesis, match.hypothesis_length, rank), match)
        for node, others in hypothesis.paraphrased
        for other, rank in _common(others, reference.nodes)
        for match in _phrase_matches(hypothesis.nodes[node], reference.nodes[other])
    ]
    yield from _in_order(ranked)


def _common(
    ranks: dict[int, int], nodes: dict[int, list[tuple[int, int]]]
) -> list[tuple[int, int]]:
    """The phrases of a caption that are among some paraphrases, with their ranks."""
    return [(node, ranks[node]) for node in ranks.keys() & nodes.keys()]


def _in_order(ranked: list[tuple[tuple[int, int, int], Match]]) -> Iterator[Match]:
    ranked.sort()
    return (match for _, match in ranked)


def _phrase_matches(here: list[tuple[int, int]], there: list[tuple[int, int]]) -> list[Match]:
    return [
        Match(reference, reference_length, hypothesis, hypothesis_length, PARAPHRASE)
        for reference, reference_length in there
        for hypothesis, hypothesis_length in here
    ]
