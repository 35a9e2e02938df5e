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

Two consequences surprise: with a single image, or images that all share their references,
every idf and so every score is 0; and a score depends on the whole set of images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray, IntArray
from negah.errors import DataError
from negah.metrics.captions import Tokenised, Tokens, Vocabulary, starts, totals
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.ngrams import MAX_ORDER, NgramTable
from negah.metrics.references import Matched, References
from negah.metrics.result import MeanScore
from negah.metrics.stems import stemmed

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
    """The tf-idf vectors of references, and the cosines of hypotheses with them.

    Args:
        references: counted, and numbered with the vocabulary of ``frequencies`` if given.
        frequencies: by default those of ``references``.

    Raises:
        DataError: ``frequencies`` lack the longest n-grams of ``references``.
    """

    def __init__(
        self, references: References, frequencies: DocumentFrequencies | None = None
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
        self._idf = self.frequencies.weights()
        # how much each n-gram of the references weighs, then the length of every vector
        places = self._table.find(references.table)
        self._norms_R = [
            _norms(found, counts, idf[place[grams]], len(references.captions))
            for (found, grams, counts), idf, place in zip(
                references.occurrences(), self._idf, places, strict=False
            )
        ]

    def similarities(
        self, matched: Matched, *, clipped: bool = False, sigma: float | None = None
    ) -> DoubleArray:
        """Mean cosine over the orders, for each hypothesis beside each reference of its image.

        Args:
            matched: the hypotheses, by :meth:`References.match`.
            clipped: take each count of the hypothesis for no more than that of the reference.
            sigma: width of the length penalty in bigrams; None for no penalty.

        Returns:
            float64 (D,), in the order of :meth:`References.beside`.
        """
        hypotheses_D, references_D = self.references.beside(matched)
        firsts_H = starts(self.references.sizes_N[matched.images_H])
        # what turns the number of a reference into its place beside the hypothesis
        shifts_H = firsts_H - self.references.firsts_N[matched.images_H]
        places = self._table.find(matched.table)
        total_D = np.zeros(len(hypotheses_D))
        for shared, common, idf, place, norms_R in zip(
            matched.orders,
            self.references.common(matched),
            self._idf,
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
    """CIDEr against references that are prepared once; arguments as in :func:`cider`."""

    def __init__(
        self,
        references: Sequence[Sequence[Tokenised]],
        *,
        frequencies: DocumentFrequencies | None = None,
        max_order: int = MAX_ORDER,
    ) -> None:
        check_kind(frequencies, stems=True)
        self._consensus = Consensus(
            prepared(references, frequencies, max_order, stemmed), frequencies
        )
        self.frequencies = self._consensus.frequencies

    def score(self, hypotheses: Sequence[Tokenised]) -> MeanScore:
        """The scores of one tokenised hypothesis for each image, in [0, 1].

        Raises:
            DataError: not as many hypotheses as images.
        """
        rows = hypotheses if isinstance(hypotheses, str) else [stemmed(row) for row in hypotheses]
        return MeanScore(self._consensus.means(self._consensus.references.match(rows)))


class CiderD:
    """CIDEr-D against references that are prepared once; arguments as in :func:`cider_d`."""

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

        In self-critical training let every caption end in a word of its own, such as ``<EOS>``, in
        the references, in ``frequencies`` and here: without it, captions learn to break off.

        Args:
            hypotheses: H captions, for example several drawn for each image of a batch.
            images: the index of each one's image among the references.

        Returns:
            float64 (H,), in [0, 10].

        Raises:
            DataError: not one image for each caption, or one that does not exist.
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


def prepared(
    references: Sequence[Sequence[Tokenised]],
    frequencies: DocumentFrequencies | None,
    max_order: int = MAX_ORDER,
    tokenise: Callable[[Tokenised], Tokens] | None = None,
) -> References:
    """References, numbered so that ``frequencies`` can be looked up in."""
    vocabulary = None if frequencies is None else Vocabulary(frequencies.vocabulary)
    return References(references, vocabulary=vocabulary, max_order=max_order, tokenise=tokenise)


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
    """The length of each owner's tf-idf vector of one order."""
    return np.sqrt(totals(owners, (counts * idf) ** 2, size))
