"""Decoding for every method and model, and reranking of the candidates.

A search ranks captions by the model's log-probability, which often favours generic captions.
Candidates can be ranked again with the encoder's concepts: for many words, the probability that the
picture supports them (H. Fang et al., "From captions to visual concepts and back", CVPR 2015, who
also rerank candidates). A candidate is ranked by

    (sum_t log p(w_t) + weight * sum_{w in its concepts} log P(w | picture)) / length ** alpha

where a concept counts once, however often it occurs in the caption. The CIDEr that is expected of
the candidate is added to this, times a weight of its own (:class:`ExpectedCider`).

Axes: B photos or clips, W concepts, N candidates, G n-grams, L latent size of the predicted CIDEr.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.decoding.beam import BeamSearch
from negah.decoding.constraints import Constraints
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Selective, State, Step, StepModel, Vocabulary
from negah.decoding.sampling import Sampling
from negah.decoding.search import Hypothesis, Search, normalise
from negah.errors import UsageError
from negah.text import PAD

#: N-grams have one to four words.
MAX_ORDER = 4
#: CIDEr is scaled to [0, 10].
_SCALE = 10.0
#: Probabilities are clipped to this distance from 0 and 1, so that no single word decides.
_FARTHEST = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedCider:
    """Predicts the CIDEr that a caption can be expected to reach, from the picture alone.

    CIDEr compares the n-grams of a caption with those of the references, weighted by idf (R.
    Vedantam et al., CVPR 2015). Without clipping and length penalty, its mean over the references
    is linear in them: for each order, the product of the caption's unit vector and the mean of the
    references' unit vectors. So its expected value needs only the expected value of that mean,
    which a linear model predicts from the concepts of the picture. It is fitted on captioned photos
    (:mod:`negah.reranking`). To choose the candidate with the highest expected metric is minimum
    Bayes risk decoding (S. Kumar and W. Byrne, NAACL 2004); J. Devlin et al. ("Exploring nearest
    neighbor approaches for image captioning", 2015) choose by the captions of similar photos.

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


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """The probabilities of an encoder's concepts.

    Attributes:
        words: the W concepts.
        probabilities_BW: the probability that the photo or clip supports each concept.
        expected_cider: predicts CIDEr from them; None if the model has nothing fitted.
    """

    words: tuple[str, ...]
    probabilities_BW: FloatArray
    expected_cider: ExpectedCider | None = None


class Chooser:
    """Reranks the candidates of each photo.

    Args:
        options: of the search, with the weights of the support and of the expected CIDEr.
        support: the concepts of the batch.
        vocabulary: in which the concepts are looked up.

    Raises:
        UsageError: a concept is no word of the vocabulary.
    """

    def __init__(self, options: DecodingOptions, support: Support, vocabulary: Vocabulary) -> None:
        self._weight, self._alpha = options.support, options.length_normalisation
        self._concept = _concepts_of(support.words, vocabulary)
        self._support_BW = np.log(np.clip(support.probabilities_BW, _FARTHEST, 1 - _FARTHEST))
        self._expected_weight, self._expected = options.expected_cider, support.expected_cider
        self._latents_BL: FloatArray | None = None
        if self._expected is not None and self._expected_weight:
            self._latents_BL = self._expected.latents(support.probabilities_BW)

    def order(self, photo: int, candidates: Sequence[Hypothesis]) -> list[int]:
        """The indices of the candidates of a photo, best first; unfinished ones stay last."""
        scores = [self._score(photo, one) for one in candidates]
        if self._expected is not None and self._latents_BL is not None:
            captions = [one.tokens for one in candidates]
            expected = self._expected.scores(self._latents_BL[photo], captions)
            weight = self._expected_weight
            scores = [own + weight * more for own, more in zip(scores, expected, strict=True)]
        keys = [(not one.finished, -own) for one, own in zip(candidates, scores, strict=True)]
        return sorted(range(len(candidates)), key=keys.__getitem__)

    def _score(self, photo: int, candidate: Hypothesis) -> float:
        said = {self._concept[token] for token in candidate.tokens if token in self._concept}
        supported = float(self._support_BW[photo, sorted(said)].sum())
        total = sum(candidate.logprobs) + self._weight * supported
        return normalise(total, len(candidate.logprobs), self._alpha)


@lru_cache(maxsize=8)
def _concepts_of(words: tuple[str, ...], vocabulary: Vocabulary) -> dict[int, int]:
    """The concept index of each token that is a concept."""
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    unknown = [word for word in words if word not in ids]
    if unknown:
        raise UsageError(f"concepts that are not in the vocabulary: {unknown[:3]}")
    return {ids[word]: place for place, word in enumerate(words)}


def decode(
    model: StepModel,
    features: Any,
    options: DecodingOptions,
    *,
    vocabulary: Vocabulary,
    photo_ids: Sequence[int] | None = None,
    real_frames: BoolArray | None = None,
    support: Support | None = None,
) -> list[list[Hypothesis]]:
    """Caption a batch of photos or clips.

    One model step per word serves all hypotheses of all photos. A caption may have
    ``max_length`` words and then its end token; one that does not end there is returned as it
    stands, ``finished`` False, and ranks behind every finished one.

    Args:
        model: predicts the words.
        features: handed to ``model.start``; ``len(features)`` is the number of photos.
        options: how to decode.
        vocabulary: of the model: its special tokens, and the words in which banned and required
            ones are looked up.
        photo_ids: non-negative numbers that, with the seed, decide the draws of each photo under
            method "sample"; the positions in the batch by default. Give each photo its own to make
            its captions the same in whatever batch it comes.
        real_frames: passed to ``model.start`` with the features: True where a frame is real and
            False where it pads a shorter clip, bool (B, F); None for all real.
        support: probabilities of the encoder's concepts; used if ``options.support`` or
            ``options.expected_cider`` is not 0.

    Returns:
        For each photo its captions, best first: ``n_best`` of them, fewer where the search found
        fewer; at least one.

    Raises:
        UsageError: a banned or required word is not in the vocabulary; required words with a model
            that gives candidates only; the options leave a photo no possible caption; or captions
            are to be ranked again by what ``support`` lacks.
        NegahError: the model's log-probabilities are not numbers.
    """
    constraints = Constraints.from_options(options, vocabulary)
    photos = len(features)
    if photo_ids is not None and len(photo_ids) != photos:
        raise UsageError(f"{len(photo_ids)} photo_ids for {photos} photos: give one for each")
    if photos == 0:
        return []
    chooser = _chooser(options, support, vocabulary)
    kept = options.n_best
    if chooser is not None:
        # every caption found by the beam is a candidate
        options = options.model_copy(update={"n_best": options.beam})
    search: Search
    if options.method == "sample":
        search = Sampling(range(photos) if photo_ids is None else photo_ids, options, constraints)
    else:
        search = BeamSearch(photos, options, constraints)
    _run(search, model.start(features, real_frames), model)
    found = search.results()
    if chooser is not None:
        for photo, some in enumerate(found):
            order = chooser.order(photo, [one.hypothesis for one in some])
            found[photo] = [some[place] for place in order[:kept]]
    return [[search.trail.with_evidence(one) for one in some] for some in found]


def _chooser(
    options: DecodingOptions, support: Support | None, vocabulary: Vocabulary
) -> Chooser | None:
    if not options.support and not options.expected_cider:
        return None
    if support is None and options.support:
        raise UsageError(
            f"support {options.support} needs a model whose encoder predicts concepts, and this "
            f"one does not: set support to 0, or train a model with encoder.concepts=1000"
        )
    if support is None or (options.expected_cider and support.expected_cider is None):
        raise UsageError(
            f"expected_cider {options.expected_cider} needs a bundle that was fitted with negah "
            "rerank, and this model was not: set expected_cider to 0"
        )
    return Chooser(options, support, vocabulary)


def _run(search: Search, state: State, model: StepModel) -> None:
    while True:
        rows = search.last_BK.shape[1]
        step = _sorted_by_token(model.step(state, search.last_BK))
        parents_BK = search.advance(step)
        if parents_BK is None:
            return
        state = step.state
        if isinstance(model, Selective) and search.done_B.any():
            kept_B = np.flatnonzero(~search.done_B)
            search.narrow(kept_B)
            state, parents_BK = model.select(state, kept_B), parents_BK[kept_B]
        width = parents_BK.shape[1]
        if width != rows or (parents_BK != np.arange(width)).any():
            state = model.reorder(state, parents_BK)


def _sorted_by_token(step: Step) -> Step:
    """The same step with its candidates in the order of their ids, so that ties go to the lower."""
    if step.candidates is None:
        return step
    order = np.argsort(step.candidates, axis=2)
    return replace(
        step,
        logprobs=np.take_along_axis(step.logprobs, order, axis=2),
        candidates=np.take_along_axis(step.candidates, order, axis=2),
    )
