"""Diversity of captions, which shows whether a model ignores its input.

A model that writes "a man is standing" for every photo still gets fair scores, so these statistics
are reported with the scores. distinct-1 and distinct-2 are of J. Li et al., "A diversity-promoting
objective function for neural conversation models", NAACL 2016: different n-grams over words.
self-CIDEr, for several captions of one image, is of Q. Wang, A. B. Chan, "Describing like humans:
on diversity in image captioning", CVPR 2019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from negah.arrays import DoubleArray, IntArray
from negah.errors import DataError
from negah.metrics.captions import Captions, Tokenised, Tokens, WordIds, as_tokens
from negah.metrics.cider import Consensus, prepared
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.ngrams import count_ngrams, runs
from negah.metrics.result import MeanScore


@dataclass(frozen=True, slots=True)
class Diversity:
    """Diversity statistics of one caption for each of N images.

    Attributes:
        distinct_1: different words over words, in [0, 1].
        distinct_2: different pairs of neighbouring words over words, in [0, 1].
        vocabulary: number of different words used.
        mean_length: words in a caption.
        most_common: the commonest caption, its words with spaces between them.
        identical: share of the images that have that caption, in (0, 1].
        unique: different captions over captions, in (0, 1].
        repetitive: share of the captions that repeat a word immediately, or contain a pair of words
            twice, in [0, 1].
        novel: share of the captions that do not occur in the training captions, in [0, 1]; None if
            these were not given.
    """

    distinct_1: float
    distinct_2: float
    vocabulary: int
    mean_length: float
    most_common: str
    identical: float
    unique: float
    repetitive: float
    novel: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def diversity(
    captions: Sequence[Tokenised], training: Collection[Tokens] | None = None
) -> Diversity:
    """Diversity of tokenised captions, one for each image.

    Args:
        captions: N tokenised captions.
        training: the tokenised captions that the model was trained on.

    Raises:
        DataError: no captions, or one string in place of a list of them.
    """
    if isinstance(captions, str) or not len(captions):
        raise DataError("diversity needs a list of one or more captions")
    vocabulary = WordIds()
    numbered = Captions.of(captions, vocabulary)
    table, (_, pairs) = count_ngrams(numbered, len(vocabulary), max_order=2)
    size = max(1, table.sizes[1])
    wide = np.sort(pairs.captions * size + pairs.grams)
    firsts, times = runs(wide)
    repeated = wide[firsts[times > 1]] // size
    return diversity_of(numbered, len(vocabulary), table.sizes[1], repeated, captions, training)


def diversity_of(
    numbered: Captions,
    vocabulary: int,
    pairs: int,
    repeated: IntArray,
    captions: Sequence[Tokenised],
    training: Collection[Tokens] | None,
) -> Diversity:
    """As :func:`diversity`, for captions whose n-grams are already counted.

    Args:
        numbered: the captions.
        vocabulary: number of different words in them.
        pairs: number of different pairs of neighbouring words.
        repeated: captions that hold a pair twice; may list one several times.
        captions: as words.
        training: see :func:`diversity`.
    """
    words = max(1, len(numbered.ids_T))
    total = len(numbered)
    ids, owners = numbered.ids_T, numbered.owners
    running = owners[1:][(ids[1:] == ids[:-1]) & (owners[1:] == owners[:-1])]
    spelt = [as_tokens(caption) for caption in captions]
    groups = Counter(spelt)
    # of equally common captions, the first
    commonest, times = groups.most_common(1)[0]
    novel = None
    if training is not None:
        known = training if isinstance(training, (set, frozenset)) else frozenset(training)
        novel = sum(caption not in known for caption in spelt) / total
    return Diversity(
        distinct_1=vocabulary / words,
        distinct_2=pairs / words,
        vocabulary=vocabulary,
        mean_length=len(ids) / total,
        most_common=" ".join(commonest),
        identical=times / total,
        unique=len(groups) / total,
        repetitive=len(np.union1d(repeated, running)) / total,
        novel=novel,
    )


def self_cider(
    captions: Sequence[Sequence[Tokenised]], frequencies: DocumentFrequencies
) -> MeanScore:
    """self-CIDEr of several tokenised captions for each of N images, in [0, 1].

    The captions of one image make a matrix of similarities, CIDEr without stemming; with its
    eigenvalues lambda, the score is ``-log_m(sqrt(lambda_1) / sum_i sqrt(lambda_i))`` for m
    captions: 0 if all are equal, 1 if no two share a word.

    Args:
        captions: for each image two captions or more.
        frequencies: of words; the paper takes those of the human references.

    Raises:
        DataError: no images, one with fewer than two captions, or frequencies of stems.
    """
    if frequencies.stems:
        raise DataError("self-CIDEr takes document frequencies of words, and these are of stems")
    consensus = Consensus(prepared(captions, frequencies), frequencies)
    sizes_N = consensus.references.sizes_N
    if sizes_N.min() < 2:
        raise DataError(
            f"image {sizes_N.argmin()} has a single caption; self-CIDEr compares several captions"
            " of each image"
        )
    every = [caption for row in captions for caption in row]
    images = np.repeat(np.arange(len(sizes_N)), sizes_N)
    similarities = consensus.similarities(consensus.references.match(every, images))
    kernels = np.split(similarities, np.cumsum(sizes_N**2)[:-1])
    return MeanScore(np.array([_spread(kernel) for kernel in kernels]))


def _spread(kernel: DoubleArray) -> float:
    size = round(len(kernel) ** 0.5)
    values = np.sqrt(np.maximum(0.0, np.linalg.eigvalsh(kernel.reshape(size, size))))
    total = values.sum()
    # captions without any informative word have no diversity
    return float(-np.log(values[-1] / total) / np.log(size)) if total else 0.0
