"""Calibrated support of the picture for words and captions: ``Word.seen`` and
``Caption.confidence``.

What is measured of a word: how likely the model finds it with the picture, and with others in its
place (reference pictures, through which the same captions pass in one batch: the lift); what the
encoder's concepts say of it, which know nothing of the sentence; the gate; how often people agree
on the word. Of a caption: what its words got, how rich the picture is in concepts, and how far its
features are from those of photographs. Logistic regressions, fitted by ``negah calibrate`` on
captions whose truth is known, turn measures into probabilities (:mod:`negah.bundle.calibration`):
one for words, and for captions the product of two, that it is a photograph and that all is there.

Axes: B photos or clips, F frames, R regions, C channels, W concepts, P reference pictures,
K captions, T tokens, U different beginnings of captions, L captions that go on, N words of all
captions, M measures or candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from negah.arrays import DoubleArray, FloatArray, IntArray
from negah.bundle.calibration import Calibration, Logistic
from negah.decoding import Hypothesis, Step, StepModel, Vocabulary
from negah.text.pieces import WholeWord, whole_words
from negah.text.stopwords import is_visible

#: Standardised measures are cut off here; see :class:`~negah.bundle.calibration.Logistic`.
_FARTHEST = 4.0
#: Concepts that are most probable of a picture, whose mean is measured.
_TOP = 5
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Judged:
    """The calibrated probabilities of one caption.

    Attributes:
        seen: of each token, the probability that the picture supports the word that it is, or is
            a piece of; None for function words.
        confidence: that it supports all the others.
        doubted: whether confidence is so low that there is most likely no photograph.
    """

    seen: tuple[float | None, ...]
    confidence: float
    doubted: bool


@dataclass(frozen=True, slots=True, eq=False)
class SupportMeasures:
    """The measures of K captions, in the given order.

    Attributes:
        caption_N: whose each content word is.
        place_N: the place of its token, or of the first of its pieces.
        end_N: the place behind the last of them.
        words: measures of the content words by name, each (N,); NaN if missing.
        captions: measures of the captions that need no probabilities of words, each (K,).
    """

    caption_N: IntArray
    place_N: IntArray
    end_N: IntArray
    words: Mapping[str, DoubleArray]
    captions: Mapping[str, DoubleArray]


class _Places(NamedTuple):
    """The N content words of captions: whose each is, its first token, and the place behind its
    last; its row of the tables; which word of its caption it is, and how many that has.
    """

    caption_N: IntArray
    place_N: IntArray
    end_N: IntArray
    row_N: IntArray
    number_N: IntArray
    length_N: IntArray


class Judge:
    """Estimates how far pictures support words. It may be used from several threads.

    Args:
        calibration: of the model.
        model: whose captions are judged.
        vocabulary: of it.
    """

    def __init__(self, calibration: Calibration, model: StepModel, vocabulary: Vocabulary) -> None:
        self._spec = spec = calibration.spec
        self._model = model
        self._vocabulary = vocabulary
        # the last row, if any, is for words that are not in the lexicon
        self._rows = {word: row for row, word in enumerate(spec.lexicon)}
        self._kin_V = np.array([*spec.kin, -1], np.int64)
        self._agreed_V = np.array([*spec.agreed, spec.unlisted], np.float64)
        self._sorts_V = np.array([*spec.sorts, 0], np.int64)
        self._rates_W = np.array(spec.rates, np.float64)
        self._centre_C = np.array(spec.centre, np.float32)
        self._spread_C = np.array(spec.spread, np.float32)
        references_PFRC = calibration.references_PRC[:, None]
        self._references = len(references_PFRC)
        # what does not depend on the words is computed once for all captions
        self._start = model.start(references_PFRC) if self._references else None

    @property
    def sha256(self) -> str:
        """SHA-256 of the calibration."""
        return hashlib.sha256(self._spec.model_dump_json(exclude_unset=True).encode()).hexdigest()

    @property
    def threshold(self) -> float:
        """Captions with a lower confidence are probably not of a photograph."""
        return self._spec.threshold

    def judge(
        self,
        found: Sequence[Sequence[Hypothesis]],
        features_BFRC: FloatArray,
        concepts_BW: FloatArray | None,
    ) -> list[list[Judged]]:
        """Judge the captions of each photo or clip.

        Args:
            found: the captions of each.
            features_BFRC: of the photos or clips, float32.
            concepts_BW: their concepts; None for a model without concepts.
        """
        measured = self.measure(found, features_BFRC, concepts_BW)
        captions = [hypothesis for some in found for hypothesis in some]
        seen_N = probabilities(self._spec.words, measured.words)
        whole = of_captions(measured, seen_N)
        confidence_K = probabilities(self._spec.captions, whole)
        confidence_K *= probabilities(self._spec.photographs, whole)
        seen: list[list[float | None]] = [[None] * len(one.tokens) for one in captions]
        for caption, place, end, value in zip(
            measured.caption_N.tolist(), measured.place_N.tolist(), measured.end_N.tolist(),
            seen_N.tolist(), strict=True,
        ):  # fmt: skip
            seen[caption][place:end] = [value] * (end - place)
        judged = [
            Judged(tuple(words), confidence, confidence < self._spec.threshold)
            for words, confidence in zip(seen, confidence_K.tolist(), strict=True)
        ]
        ends = np.cumsum([len(some) for some in found]).tolist()
        return [judged[end - len(some) : end] for some, end in zip(found, ends, strict=True)]

    def measure(
        self,
        found: Sequence[Sequence[Hypothesis]],
        features_BFRC: FloatArray,
        concepts_BW: FloatArray | None,
    ) -> SupportMeasures:
        """Measure the captions of each photo or clip; for the arguments see :meth:`judge`."""
        captions = [hypothesis for some in found for hypothesis in some]
        photo_K = np.repeat(np.arange(len(found)), [len(some) for some in found])
        at = self._content(captions)
        with_picture_N = _sums([one.logprobs for one in captions], at)
        words = {
            "logprob": with_picture_N,
            **self._lifts(captions, at, with_picture_N),
            "agreed": self._agreed_V[at.row_N],
            "thing": (self._sorts_V[at.row_N] > 0).astype(np.float64),
            "person": (self._sorts_V[at.row_N] > 1).astype(np.float64),
            "position": at.number_N.astype(np.float64),
            "length": at.length_N.astype(np.float64),
        }
        pictures = _of_features(features_BFRC, self._centre_C, self._spread_C)
        if captions and "gate" in captions[0].evidence:
            gates = [one.evidence["gate"] for one in captions]
            words["gate"] = _sums(gates, at) / (at.end_N - at.place_N)
        if concepts_BW is not None:
            logits_BW = _logits(concepts_BW)
            words |= self._concepts(logits_BW[photo_K], at)
            pictures |= _of_concepts(concepts_BW, logits_BW)
            words["concept_mass"] = pictures["concept_mass"][photo_K][at.caption_N]
        mean_K = np.array([np.mean(one.logprobs) if one.logprobs else 0.0 for one in captions])
        words["caption_logprob"] = mean_K[at.caption_N]
        of_captions = {name: values_B[photo_K] for name, values_B in pictures.items()}
        of_captions["logprob"] = mean_K
        return SupportMeasures(at.caption_N, at.place_N, at.end_N, words, of_captions)

    def spell(self, caption: Hypothesis) -> list[WholeWord]:
        """The words of a caption: its tokens, or what pieces of words make together."""
        tokens = [self._vocabulary.tokens[token] for token in caption.tokens]
        if self._rows:
            return whole_words(tokens, self._vocabulary.decode(caption.tokens))
        return [WholeWord(place, place + 1, token) for place, token in enumerate(tokens)]

    def _content(self, captions: Sequence[Hypothesis]) -> _Places:
        """The content words of captions."""
        found: list[tuple[int, ...]] = []
        for number, caption in enumerate(captions):
            if not self._rows:
                length = len(caption.tokens)
                found += [
                    (number, place, place + 1, token, place, length)
                    for place, token in enumerate(caption.tokens)
                    if self._sorts_V[token] >= 0
                ]
                continue
            words = self.spell(caption)
            found += [
                (
                    number,
                    one.first,
                    one.end,
                    self._rows.get(one.text, len(self._rows)),
                    n,
                    len(words),
                )
                for n, one in enumerate(words)
                if is_visible(one.text)
            ]
        return _Places(*np.array(found, np.int64).reshape(-1, 6).T)

    def _lifts(
        self, captions: Sequence[Hypothesis], at: _Places, with_picture_N: DoubleArray
    ) -> dict[str, DoubleArray]:
        """The decrease of log-probabilities with reference pictures: mean and minimum."""
        if not self._references or not len(at.caption_N):
            return {}
        others_PKT = self._with_references(captions, at)
        others_PN = np.stack([_sums(others_KT, at) for others_KT in others_PKT])
        return {
            "lift": with_picture_N - others_PN.mean(0),
            "least_lift": with_picture_N - others_PN.max(0),
        }

    def _with_references(self, captions: Sequence[Hypothesis], at: _Places) -> FloatArray:
        """Log-probabilities of the tokens of captions with every reference, (P, K, T).

        What captions begin with alike is read once, and nothing behind their last word.
        """
        length = int(at.end_N.max())
        lengths_K = np.zeros(len(captions), np.int64)
        np.maximum.at(lengths_K, at.caption_N, at.end_N)
        tokens_KT = np.zeros((len(captions), length), np.int64)
        for row, one in enumerate(captions):
            known = one.tokens[:length]
            tokens_KT[row, : len(known)] = known
        state = self._start
        last_U = np.array([self._vocabulary.specials.start], np.int64)
        row_K = np.zeros(len(captions), np.int64)  # of the step, that has read what k begins with
        logprobs_PKT = np.zeros((self._references, len(captions), length), np.float32)
        for t in range(length):
            step = self._model.step(state, np.tile(last_U, (self._references, 1)))
            live_L = np.flatnonzero(lengths_K > t)
            logprobs_PKT[:, live_L, t] = _of_tokens(step, row_K[live_L], tokens_KT[live_L, t])
            live_L = np.flatnonzero(lengths_K > t + 1)
            if not len(live_L):
                break
            pairs_L2 = np.stack([row_K[live_L], tokens_KT[live_L, t]], axis=1)
            pairs_U2, rows_L = np.unique(pairs_L2, axis=0, return_inverse=True)
            row_K[live_L] = rows_L.reshape(-1)
            last_U = pairs_U2[:, 1]
            parents_PU = np.tile(pairs_U2[:, 0], (self._references, 1))
            state = self._model.reorder(step.state, parents_PU)
        return logprobs_PKT

    def _concepts(self, logits_KW: DoubleArray, at: _Places) -> dict[str, DoubleArray]:
        caption_N, kin_N = at.caption_N, self._kin_V[at.row_N]
        known_N = kin_N >= 0
        concept_N = np.where(known_N, logits_KW[caption_N, kin_N], np.nan)
        captions = len(logits_KW)
        sums_K = np.bincount(caption_N, np.where(known_N, concept_N, 0.0), captions)
        counts_K = np.bincount(caption_N, known_N, captions)
        rest_N = sums_K[caption_N] - np.where(known_N, concept_N, 0.0)
        others_N = counts_K[caption_N] - known_N
        return {
            "concept": concept_N,
            "no_concept": (~known_N).astype(np.float64),
            "contrast": concept_N - self._rates_W[kin_N],
            "other_concepts": np.where(others_N > 0, rest_N / np.maximum(others_N, 1), np.nan),
        }


def probabilities(model: Logistic, measures: Mapping[str, DoubleArray]) -> DoubleArray:
    """The probabilities of a logistic regression for measures.

    Args:
        model: fitted, see :class:`~negah.bundle.calibration.Logistic`.
        measures: by name, each (N,); one that is missing, or is NaN, counts as the mean.
    """
    size = len(next(iter(measures.values())))
    standard_NM = standardised(model, measures)
    # a product of fewer measures than the longest term's ends in ones
    longest = max(map(len, model.terms), default=1)
    padded_NM = np.column_stack([standard_NM, np.ones(size)])
    terms = [[*term, *[-1] * (longest - len(term))] for term in model.terms]
    products_NX = padded_NM[:, np.array(terms, np.int64).reshape(-1, longest)].prod(2)
    total_N = model.intercept + products_NX @ np.array(model.weights, np.float64)
    probability_N: DoubleArray = 1 / (1 + np.exp(-np.clip(total_N, -30, 30)))
    return probability_N


def standardised(model: Logistic, measures: Mapping[str, DoubleArray]) -> DoubleArray:
    """The measures of a model less their means over their scales, (N, M)."""
    size = len(next(iter(measures.values())))
    standard_NM = np.zeros((size, len(model.measures)))
    for place, name in enumerate(model.measures):
        if name in measures:
            scaled_N = (measures[name] - model.means[place]) / model.scales[place]
            standard_NM[:, place] = np.clip(np.nan_to_num(scaled_N), -_FARTHEST, _FARTHEST)
    return standard_NM


def of_captions(measured: SupportMeasures, seen_N: DoubleArray) -> dict[str, DoubleArray]:
    """All measures of captions, of which some are of what their words got.

    Args:
        measured: the captions.
        seen_N: the probability of each of their content words.
    """
    size = len(measured.captions["logprob"])
    logits_N = _logits(seen_N)
    counts_K = np.bincount(measured.caption_N, minlength=size).astype(np.float64)
    least_K = np.full(size, np.inf)
    np.minimum.at(least_K, measured.caption_N, logits_N)
    shared_K = np.maximum(counts_K, 1)
    of_words = {
        "product": np.bincount(measured.caption_N, np.log(np.maximum(seen_N, _LEAST)), size),
        "least": np.where(counts_K > 0, least_K, np.nan),
        "mean": np.bincount(measured.caption_N, logits_N, size) / shared_K,
        "words": counts_K,
    }
    if "lift" in measured.words:
        of_words["lift"] = np.bincount(measured.caption_N, measured.words["lift"], size) / shared_K
    return {**measured.captions, **of_words}


def _sums(values: Sequence[Sequence[float] | FloatArray] | FloatArray, at: _Places) -> DoubleArray:
    """Sums over the tokens of each content word.

    Args:
        values: of each caption, what each token has; (K, T).
        at: where the words are.
    """
    places = zip(at.caption_N.tolist(), at.place_N.tolist(), at.end_N.tolist(), strict=True)
    return np.array([sum(map(float, values[row][a:b])) for row, a, b in places], np.float64)


def _of_tokens(step: Step, rows_L: IntArray, tokens_L: IntArray) -> FloatArray:
    """Log-probabilities of tokens after rows, (P, L); of no candidate, that of the last of them."""
    if step.candidates is None:
        logprobs_PL: FloatArray = step.logprobs[:, rows_L, tokens_L]
        return logprobs_PL
    logprobs_PLM = step.logprobs[:, rows_L]
    same_PLM = step.candidates[:, rows_L] == tokens_L[:, None]
    found_PL = np.where(same_PLM, logprobs_PLM, -np.inf).max(axis=2)
    lowest_PL: FloatArray = np.where(same_PLM.any(axis=2), found_PL, logprobs_PLM.min(axis=2))
    return lowest_PL


def _logits(probabilities_X: DoubleArray | FloatArray) -> DoubleArray:
    clipped_X = np.clip(probabilities_X.astype(np.float64), _LEAST, 1 - _LEAST)
    logits_X: DoubleArray = np.log(clipped_X) - np.log1p(-clipped_X)
    return logits_X


def _of_concepts(concepts_BW: FloatArray, logits_BW: DoubleArray) -> dict[str, DoubleArray]:
    """Statistics of the concepts in pictures."""
    probabilities_BW = np.clip(concepts_BW.astype(np.float64), _LEAST, 1 - _LEAST)
    top = min(_TOP, logits_BW.shape[1])
    unsure_BW = probabilities_BW * np.log(probabilities_BW)
    unsure_BW += (1 - probabilities_BW) * np.log1p(-probabilities_BW)
    return {
        "concept_mass": np.log(probabilities_BW.sum(1)),
        "top_concept": np.partition(logits_BW, -top, axis=1)[:, -top:].mean(1),
        "concept_entropy": -unsure_BW.sum(1),
    }


def _of_features(
    features_BFRC: FloatArray, centre_C: FloatArray, spread_C: FloatArray
) -> dict[str, DoubleArray]:
    """The distance of pictures' features from those of photographs, and the variation of their
    regions."""
    mean_BC = features_BFRC.mean((1, 2))
    apart_BC = (mean_BC - centre_C) / spread_C
    inside_BC = features_BFRC.std((1, 2)) / spread_C
    return {
        "distance": np.log(np.sqrt((apart_BC**2).mean(1)) + _LEAST).astype(np.float64),
        "variety": np.log(inside_BC.mean(1) + _LEAST).astype(np.float64),
    }
