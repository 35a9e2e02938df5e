"""The CIDEr-D that a caption can be expected to reach, from the picture alone.

CIDEr compares the n-grams of a caption with those of the references, weighted by idf (R. Vedantam
et al., CVPR 2015). Without clipping and length penalty, its mean over the references is linear in
them: for each order, the product of the caption's unit vector and the mean of the references' unit
vectors. So its expected value needs only the expected value of that mean, which a linear model
predicts from the concepts of the picture. It is fitted on captioned photos
(:mod:`negah.reranking`). To choose the candidate with the highest expected metric is minimum Bayes
risk decoding (S. Kumar and W. Byrne, NAACL 2004); J. Devlin et al. ("Exploring nearest neighbor
approaches for image captioning", 2015) choose by the captions of similar photos instead.

Axes: B photos or clips, W concepts, G n-grams, L latent size of the prediction.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray, IntArray
from negah.errors import UsageError
from negah.text import PAD

#: N-grams have one to four words.
MAX_ORDER = 4
#: CIDEr is scaled to [0, 10].
_SCALE = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedCider:
    """Predicts CIDEr without references.

    The prediction for n-gram g is ``usual_G[g] + scales_G[g] * vectors_GL[g] . z`` with
    ``z = mixing_LW sqrt(P)``, where P are the probabilities of the concepts.

    Attributes:
        grams_G4: token ids of each n-gram, int64, padded with ``PAD``; no n-gram occurs twice.
        idf_G: the inverse document frequency of each, in nats.
        usual_G: the prediction where P is 0.
        vectors_GL: int8.
        scales_G: of the rows of ``vectors_GL``.
        mixing_LW: float32.
        photos: the number of photos that document frequencies are of; an n-gram that is not in the
            table counts as one of a single photo.
    """

    grams_G4: IntArray
    idf_G: FloatArray
    usual_G: FloatArray
    vectors_GL: npt.NDArray[np.int8]
    scales_G: FloatArray
    mixing_LW: FloatArray
    photos: int
    _places: dict[tuple[int, ...], int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = self.grams_G4.tolist()
        places = {tuple(t for t in row if t != PAD): place for place, row in enumerate(rows)}
        object.__setattr__(self, "_places", places)

    @property
    def concepts(self) -> int:
        """W."""
        return int(self.mixing_LW.shape[1])

    def latents(self, probabilities_BW: FloatArray) -> FloatArray:
        """z of photos or clips, float32 (B, L).

        Raises:
            UsageError: not W probabilities.
        """
        if probabilities_BW.shape[1] != self.concepts:
            raise UsageError(
                f"the expected CIDEr was fitted on {self.concepts:,} concepts, and the encoder has "
                f"{probabilities_BW.shape[1]:,}: fit it again with negah rerank"
            )
        roots_BW = np.sqrt(np.clip(probabilities_BW, 0, 1))
        # not BLAS, whose threads would wait in a loop on the cores that captions are decoded on
        return np.asarray(np.einsum("bw,lw->bl", roots_BW, self.mixing_LW), np.float32)

    def scores(self, latent_L: FloatArray, captions: Sequence[Sequence[int]]) -> list[float]:
        """The expected CIDEr of captions of one picture, each about 0 to 10.

        Args:
            latent_L: of the picture, by :meth:`latents`.
            captions: token ids, without special tokens.
        """
        counted = [count_grams(tokens) for tokens in captions]
        # candidates have most of their n-grams in common
        known = dict.fromkeys(
            gram for orders in counted for grams in orders for gram in grams if gram in self._places
        )
        places = [self._places[gram] for gram in known]
        linear_G = np.einsum("gl,l->g", self.vectors_GL[places].astype(np.float32), latent_L)
        predicted_G = self.usual_G[places] + self.scales_G[places] * linear_G
        predicted = dict(zip(known, predicted_G.tolist(), strict=True))
        idf = dict(zip(known, self.idf_G[places].tolist(), strict=True))
        rarest = math.log(self.photos)
        found = []
        for orders in counted:
            total = 0.0
            for grams in orders:
                weights = {gram: n * idf.get(gram, rarest) for gram, n in grams.items()}
                norm = math.sqrt(sum(weight * weight for weight in weights.values()))
                product = sum(
                    weights[gram] * predicted[gram] for gram in grams if gram in predicted
                )
                total += product / norm if norm else 0.0
            found.append(_SCALE * total / MAX_ORDER)
        return found


def count_grams(tokens: Sequence[int]) -> list[Counter[tuple[int, ...]]]:
    """The n-grams of a caption and how often each occurs, for every order from 1 to 4."""
    return [
        Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))
        for order in range(1, MAX_ORDER + 1)
    ]
