"""CIDEr and CIDEr-D, the consensus of a caption with its references, in tf-idf weighted n-grams.

Paper: R. Vedantam, C. L. Zitnick, D. Parikh, "CIDEr: consensus-based image description
evaluation", CVPR 2015. It defines both, and they are not the same number:

- **CIDEr** is the mean over the references and over n = 1..4 of the cosine between the tf-idf
  vectors of stemmed n-grams, in [0, 1]. Words are stemmed by Porter's algorithm (the paper
  names none); no count is clipped and no length punished.
- **CIDEr-D** does not stem, clips the counts of the caption at those of the reference, punishes
  a difference in length by a Gaussian, and is ten times as large, in [0, 10]. The COCO caption
  evaluation prints it as "CIDEr", and this follows its choices: raw counts for tf, sigma 6, and
  the number of bigrams as the length.

Two consequences may surprise: with a single image, or images that all share their references, every
idf and so every score is 0; and a score depends on the whole set of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray, IntArray
from negah.errors import DataError
from negah.metrics.captions import Tokenised, Tokens, WordIds, starts, stems_of, totals
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.metric import CaptionSet, MeanMetric, ReferenceSet
from negah.metrics.ngrams import MAX_ORDER, NgramTable
from negah.metrics.references import Matched, TokenisedReferences
from negah.metrics.result import MeanScore
from negah.metrics.settings import NAMED, Settings
from negah.text.languages import english_only

SIGMA = 6.0


def cider(
    hypotheses: Sequence[Tokenised],
    references: Sequence[Sequence[Tokenised]],
    *,
    frequencies: DocumentFrequencies | None = None,
    max_order: int = MAX_ORDER,
) -> MeanScore:
    """CIDEr of one tokenised hypothesis for each of N images, in [0, 1]; not CIDEr-D.

    Args:
        hypotheses: N tokenised captions.
        references: for each of them the tokenised references of its image.
        frequencies: a table of stems made before, from these or other references; by default it
            is counted in ``references``.
        max_order: longest n-gram.

    Raises:
        DataError: the inputs do not fit together.
    """
    return Cider(references, frequencies=frequencies, max_order=max_order).score(hypotheses)


def cider_d(
    hypotheses: Sequence[Tokenised],
    references: Sequence[Sequence[Tokenised]],
    *,
    frequencies: DocumentFrequencies | None = None,
    max_order: int = MAX_ORDER,
    sigma: float = SIGMA,
) -> MeanScore:
    """CIDEr-D of one tokenised hypothesis for each of N images, in [0, 10].

    To score many sets of hypotheses against the same references, keep a :class:`CiderD`.

    Args:
        hypotheses: N tokenised captions.
        references: for each of them the tokenised references of its image.
        frequencies: a table made before, from these or other references; by default it is
            counted in ``references``.
        max_order: longest n-gram.
        sigma: width of the length penalty, in bigrams.

    Raises:
        DataError: the inputs do not fit together.
    """
    scorer = CiderD(references, frequencies=frequencies, max_order=max_order, sigma=sigma)
    return scorer.score(hypotheses)


class Consensus:
    """The tf-idf vectors of references, and the cosine similarities of hypotheses with them.

    Args:
        references: counted, and numbered with the vocabulary of ``frequencies`` if given.
        frequencies: by default those of ``references``.

    Attributes:
        references: as given.
        frequencies: as given, or those of the references.
        weights: the idf of each n-gram of the frequencies' table, by order.

    Raises:
        DataError: ``frequencies`` lack the longest n-grams of ``references``.
    """

    def __init__(
        self, references: TokenisedReferences, frequencies: DocumentFrequencies | None = None
    ) -> None:
        self.references = references
        self.frequencies = frequencies or DocumentFrequencies.of_prepared(references)
        orders = references.max_order
        if self.frequencies.max_order < orders:
            raise DataError(
                f"the document frequencies count n-grams of up to {self.frequencies.max_order}"
                f" words, and {orders} are scored; count them again with max_order={orders}"
            )
        table = self.frequencies.table
        self._table = NgramTable(table.words, table.keys[: orders - 1])
        self.weights = self.frequencies.weights()
        # the weight of each n-gram of the references, then the norm of every vector
        places = self._table.find(references.table)
        self._norms_R = [
            _norms(found, counts, idf[place[grams]], len(references.captions))
            for (found, grams, counts), idf, place in zip(
                references.occurrences(), self.weights, places, strict=False
            )
        ]

    def similarities(
        self, matched: Matched, *, clipped: bool = False, sigma: float | None = None
    ) -> DoubleArray:
        """Mean cosine over the orders, for each pair of a hypothesis and a reference of its image.

        Args:
            matched: the hypotheses, by :meth:`TokenisedReferences.match`.
            clipped: clip each count of the hypothesis at that of the reference.
            sigma: width of the length penalty in bigrams; None for no penalty.

        Returns:
            float64 (D,), in the order of :meth:`TokenisedReferences.beside`.
        """
        hypotheses_D, references_D = self.references.beside(matched)
        firsts_H = starts(self.references.sizes_N[matched.images_H])
        # offset from the index of a reference to that of its pair with the hypothesis
        shifts_H = firsts_H - self.references.firsts_N[matched.images_H]
        places = self._table.find(matched.table)
        total_D = np.zeros(len(hypotheses_D))
        for shared, common, idf, place, norms_R in zip(
            matched.orders,
            self.references.common(matched),
            self.weights,
            places,
            self._norms_R,
            strict=False,
        ):
            idf_S = idf[place[shared.grams_S]]
            norms_H = _norms(shared.hypotheses_S, shared.counts_S, idf_S, len(firsts_H))
            rows, hypotheses, references, counts = common
            own = shared.counts_S[rows]
            products = (np.minimum(own, counts) if clipped else own) * counts * idf_S[rows] ** 2
            pairs = shifts_H[hypotheses] + references
            dots_D = totals(pairs, products, len(total_D))
            norms_D = norms_H[hypotheses_D] * norms_R[references_D]
            total_D += np.divide(dots_D, norms_D, out=np.zeros_like(dots_D), where=norms_D > 0)
        total_D /= self.references.max_order
        if sigma is not None:
            # the number of bigrams, as the COCO caption evaluation measures length
            lengths_R = np.maximum(0, self.references.captions.lengths_M - 1)
            lengths_H = np.maximum(0, matched.captions.lengths_M - 1)
            differences_D = lengths_H[hypotheses_D] - lengths_R[references_D]
            total_D *= np.exp(-(differences_D**2) / (2 * sigma**2))
        return total_D

    def means(
        self, matched: Matched, *, clipped: bool = False, sigma: float | None = None
    ) -> DoubleArray:
        """The mean of :meth:`similarities` over the references of each hypothesis, float64 (H,)."""
        sizes_H = self.references.sizes_N[matched.images_H]
        if not len(sizes_H):
            return np.zeros(0)
        total = self.similarities(matched, clipped=clipped, sigma=sigma)
        return np.add.reduceat(total, starts(sizes_H)) / sizes_H


class Cider:
    """CIDEr against references that are prepared only once; arguments as in :func:`cider`."""

    def __init__(
        self,
        references: Sequence[Sequence[Tokenised]],
        *,
        frequencies: DocumentFrequencies | None = None,
        max_order: int = MAX_ORDER,
    ) -> None:
        check_kind(frequencies, stems=True)
        self.consensus = Consensus(
            prepared(references, frequencies, max_order, stems_of), frequencies
        )
        self.frequencies = self.consensus.frequencies

    def score(self, hypotheses: Sequence[Tokenised]) -> MeanScore:
        """The scores of one tokenised hypothesis for each image, in [0, 1].

        Raises:
            DataError: not as many hypotheses as images.
        """
        rows = hypotheses if isinstance(hypotheses, str) else [stems_of(row) for row in hypotheses]
        return MeanScore(self.consensus.means(self.consensus.references.match(rows)))


class CiderD:
    """CIDEr-D against references that are prepared only once; arguments as in :func:`cider_d`."""

    def __init__(
        self,
        references: Sequence[Sequence[Tokenised]],
        *,
        frequencies: DocumentFrequencies | None = None,
        max_order: int = MAX_ORDER,
        sigma: float = SIGMA,
    ) -> None:
        check_kind(frequencies, stems=False)
        self._consensus = Consensus(prepared(references, frequencies, max_order), frequencies)
        self.frequencies = self._consensus.frequencies
        self.sigma = sigma

    def score(self, hypotheses: Sequence[Tokenised]) -> MeanScore:
        """The scores of one tokenised hypothesis for each image, in [0, 10].

        Raises:
            DataError: not as many hypotheses as images.
        """
        return MeanScore(self._rewards(self._consensus.references.match(hypotheses)))

    def rewards(
        self, hypotheses: Sequence[Tokenised], images: Sequence[int] | IntArray
    ) -> DoubleArray:
        """The scores of any tokenised captions of any of the images, as training rewards.

        In self-critical training, append a word such as ``<EOS>`` to every caption, in the
        references, in ``frequencies`` and here: without it, the model learns to write truncated
        captions.

        Args:
            hypotheses: H captions, for example several drawn for each image of a batch.
            images: for each caption the index of its image among the references.

        Returns:
            float64 (H,), in [0, 10].

        Raises:
            DataError: not one image for each caption, or an index that does not exist.
        """
        chosen: npt.NDArray[Any] = np.asarray(images)
        total = len(self._consensus.references)
        if isinstance(hypotheses, str) or chosen.shape != (len(hypotheses),):
            raise DataError(
                f"{len(hypotheses)} captions and images of shape {chosen.shape}; give a list of"
                " captions and the index of the image of each"
            )
        if not len(chosen):
            return np.zeros(0)
        if chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= total:
            raise DataError(f"images are given by their index, from 0 to {total - 1}")
        return self._rewards(self._consensus.references.match(hypotheses, chosen.astype(np.int64)))

    def _rewards(self, matched: Matched) -> DoubleArray:
        return 10 * self._consensus.means(matched, clipped=True, sigma=self.sigma)


class CiderDMetric(MeanMetric):
    """CIDEr-D, 100 times the unit of its paper."""

    names = ("CIDEr-D",)
    #: Whether words are stemmed.
    stems = False

    def __init__(self, references: ReferenceSet) -> None:
        super().__init__(references)
        self._given = references.settings.frequencies
        self._prepare()

    def _prepare(self) -> None:
        self._consensus = Consensus(self.references.numbered, self._given)

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse frequencies of the wrong kind, and stemming for languages other than English."""
        check_kind(settings.frequencies, stems=cls.stems)
        if cls.stems:
            english_only(settings.language, "CIDEr", "its stemmer is for English words", NAMED)

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """CIDEr-D by default, CIDEr only if it is named."""
        return not cls.stems

    def values(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image, float64 (N,)."""
        return 100 * (10 * self._consensus.means(captions.matched, clipped=True, sigma=SIGMA))

    def signature(self, name: str) -> str:
        """With the source of the document frequencies."""
        return f"{name}|n:{MAX_ORDER}|sigma:{SIGMA:g}|df:{self._source()}"

    def _source(self) -> str:
        return "refs" if self._given is None else f"given-{self._given.images}"

    def warnings(self, statistics_NK: DoubleArray) -> Iterable[str]:
        """The reason if every score is 0."""
        (name,) = self.names
        if statistics_NK[:, 0].any():
            return
        if not any(idf[:-1].any() for idf in self._consensus.weights):
            single = len(statistics_NK) == 1
            cause = "a single image" if single else "all images have the same references"
            yield (
                f"{name} is 0 by its definition: {cause}, and its document frequencies come from"
                " these references"
            )
        else:
            yield (
                f"{name} is 0 for every image: no caption shares an informative n-gram with its"
                " references"
            )


class CiderMetric(CiderDMetric):
    """CIDEr of the paper, on the scale of 100."""

    names = ("CIDEr",)
    stems = True

    def _prepare(self) -> None:
        self._cider = Cider(self.references.tokens, frequencies=self._given)
        self._consensus = self._cider.consensus

    def values(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image, float64 (N,)."""
        return 100 * self._cider.score(captions.tokens).per_caption

    def signature(self, name: str) -> str:
        """With the stemmer."""
        return f"{name}|n:{MAX_ORDER}|stem:porter|df:{self._source()}"


def prepared(
    references: Sequence[Sequence[Tokenised]],
    frequencies: DocumentFrequencies | None,
    max_order: int = MAX_ORDER,
    tokenise: Callable[[Tokenised], Tokens] | None = None,
) -> TokenisedReferences:
    """References with the word ids of ``frequencies``."""
    vocabulary = None if frequencies is None else WordIds(frequencies.vocabulary)
    return TokenisedReferences(
        references, vocabulary=vocabulary, max_order=max_order, tokenise=tokenise
    )


def check_kind(frequencies: DocumentFrequencies | None, *, stems: bool) -> None:
    """Refuse a table of stems for CIDEr-D and one of words for CIDEr.

    Raises:
        DataError: it is of the other kind.
    """
    if frequencies is not None and frequencies.stems != stems:
        metric, wanted = ("CIDEr", "stems") if stems else ("CIDEr-D", "words")
        raise DataError(
            f"{metric} takes document frequencies of {wanted}, and these are of"
            f" {'words' if stems else 'stems'}; count them with stems={stems}"
        )


def _norms(owners: IntArray, counts: IntArray, idf: DoubleArray, size: int) -> DoubleArray:
    """The norm of each owner's tf-idf vector of one order."""
    return np.sqrt(totals(owners, (counts * idf) ** 2, size))
