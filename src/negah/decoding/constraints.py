"""Banned, required and repeated words: constraints on log-probabilities before words are chosen.

Padding, the start token and other tokens that a vocabulary forbids are never produced. Required
words are met by dynamic beam allocation (Post and Vilar 2018, arXiv:1804.06609): hypotheses with
equally many required words form a bank, and banks share the beam (``share_beam``).

Axes: B photos, K hypotheses, V vocabulary, M candidates, T words so far, F forms of a word, N
choices of a photo.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Step, Vocabulary
from negah.errors import UsageError
from negah.text.languages import spoken
from negah.text.vocabulary import Specials

#: Cache: which ids of a vocabulary are forms of the same content word.
_CONTENT: WeakKeyDictionary[Vocabulary, IntArray] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Constraints:
    """The word constraints of the decoding options, as token ids.

    Attributes:
        specials: of the vocabulary.
        banned: ids that are never chosen, those that the vocabulary forbids included.
        required: ids that every caption contains, each once here.
        no_repeat_ngram: length of the n-grams that may not occur twice; 0 for no limit.
        min_length: number of words before the end token is allowed.
        once_VF: for each id, the ids that may not follow it in a caption, int64: the forms of the
            same content word, itself among them; padded with -1. None if all may be repeated.
    """

    specials: Specials
    banned: tuple[int, ...] = ()
    required: tuple[int, ...] = ()
    no_repeat_ngram: int = 0
    min_length: int = 0
    once_VF: IntArray | None = field(default=None, compare=False)

    @classmethod
    def from_options(cls, options: DecodingOptions, vocabulary: Vocabulary) -> Self:
        """Look up the words of the options in the vocabulary.

        Args:
            options: banned and required words as strings.
            vocabulary: of the model; its tokens are read only if the options name words.

        Raises:
            UsageError: a word that is not one token of the vocabulary, or ``no_repeat_content``
                with a vocabulary of subwords.
        """
        specials = vocabulary.specials
        banned = {i for ids in _look_up("banned", options.banned, vocabulary) for i in ids}
        # of several pieces that are spelled alike, the one with the lowest id
        required = {ids[0] for ids in _look_up("required", options.required, vocabulary)}
        once_VF = _content(vocabulary) if options.no_repeat_content else None
        if once_VF is not None and required:
            once_VF, others = _allow_required(once_VF, sorted(required))
            banned |= others
        return cls(
            specials=specials,
            banned=tuple(sorted({*specials.never, *banned})),
            required=tuple(sorted(required)),
            no_repeat_ngram=options.no_repeat_ngram,
            min_length=options.min_length,
            once_VF=once_VF,
        )

    def apply(self, step: Step, words_BKT: IntArray) -> FloatArray:
        """A copy of the step's log-probabilities, with -inf for tokens that are not allowed
        next."""
        forbidden = [*self.banned]
        if words_BKT.shape[2] < self.min_length:
            forbidden.append(self.specials.end)
        if step.candidates is None:
            allowed = step.logprobs.copy()
            allowed[..., forbidden] = -np.inf
        else:
            allowed = np.where(
                np.isin(step.candidates, forbidden), np.float32(-np.inf), step.logprobs
            )
        if 0 < self.no_repeat_ngram <= words_BKT.shape[2]:
            self._forbid_repeats(allowed, step.candidates, words_BKT)
        if self.once_VF is not None and words_BKT.shape[2]:
            wide = words_BKT.shape[2] * self.once_VF.shape[1]
            once_BKW = self.once_VF[words_BKT].reshape(*words_BKT.shape[:2], wide)
            _forbid(allowed, step.candidates, once_BKW, once_BKW >= 0)
        return allowed

    def _forbid_repeats(
        self, allowed: FloatArray, candidates_BKM: IntArray | None, words_BKT: IntArray
    ) -> None:
        """Set to -inf, in place, every word that would complete an n-gram of the hypothesis
        again."""
        n, length = self.no_repeat_ngram, words_BKT.shape[2]
        lasts_BKW = words_BKT[:, :, n - 1 :]  # of every n-gram
        repeats_BKW = np.ones(lasts_BKW.shape, np.bool_)
        for place in range(n - 1):
            firsts_BKW = words_BKT[:, :, place : length - n + 1 + place]
            repeats_BKW &= firsts_BKW == words_BKT[:, :, length - n + 1 + place, None]
        _forbid(allowed, candidates_BKM, lasts_BKW, repeats_BKW)


def _forbid(
    allowed: FloatArray, candidates_BKM: IntArray | None, words_BKW: IntArray, which_BKW: BoolArray
) -> None:
    """Set the selected words to -inf, in place.

    Args:
        allowed: log-probabilities of all tokens (B, K, V), or of the candidates (B, K, M).
        candidates_BKM: token ids of the candidates; None if the last axis is the vocabulary.
        words_BKW: tokens of each hypothesis.
        which_BKW: True for the words that are not allowed.
    """
    if candidates_BKM is None:
        photo, row, place = np.nonzero(which_BKW)
        allowed[photo, row, words_BKW[photo, row, place]] = -np.inf
    else:
        same_BKMW = candidates_BKM[..., None] == words_BKW[:, :, None, :]
        allowed[(same_BKMW & which_BKW[:, :, None, :]).any(axis=-1)] = -np.inf


def share_beam(
    totals_BN: npt.NDArray[np.float64],
    tokens_BN: IntArray,
    parents_BN: IntArray,
    banks_BN: IntArray,
) -> IntArray:
    """All choices of each photo in the order in which they are admitted to its beam.

    Within a bank, choices are ordered by total, then token id, then parent. Banks take turns, each
    giving its best remaining choice, the bank with the most required words first: a beam of K holds
    K / (number of banks) of each bank, and the share of an exhausted bank goes to the others.

    Args:
        totals_BN: the log-probability of each choice; -inf for impossible ones, which come last.
        tokens_BN: the token of each choice.
        parents_BN: the hypothesis that it continues.
        banks_BN: the number of required words that it contains.

    Returns:
        Places along the last axis, (B, N).
    """
    if not banks_BN.any():
        return np.lexsort((parents_BN, tokens_BN, -totals_BN), axis=-1)
    by_bank_BN = np.lexsort((parents_BN, tokens_BN, -totals_BN, banks_BN), axis=-1)
    sorted_banks_BN = np.take_along_axis(banks_BN, by_bank_BN, axis=1)
    position_N = np.arange(banks_BN.shape[1])
    starts_BN = np.diff(sorted_banks_BN, axis=1, prepend=-1) != 0
    turn_BN = position_N - np.maximum.accumulate(np.where(starts_BN, position_N, 0), axis=1)
    impossible_BN = np.isneginf(np.take_along_axis(totals_BN, by_bank_BN, axis=1))
    by_turn_BN = np.lexsort((-sorted_banks_BN, turn_BN, impossible_BN), axis=-1)
    return np.take_along_axis(by_bank_BN, by_turn_BN, axis=1)


def _allow_required(once_VF: IntArray, required: Sequence[int]) -> tuple[IntArray, set[int]]:
    """``once_VF`` with which each required word can be said, and the ids to ban for that.

    Another form of a required word would rule it out, so these are banned. Required words that are
    forms of one word may all be said.
    """
    forms_RF = once_VF[required]
    others = set(forms_RF[forms_RF >= 0].tolist()) - {*required}
    allowed_VF = once_VF.copy()
    own_R1 = np.array(required)[:, None]
    allowed_VF[required] = np.where(
        np.isin(forms_RF, required) & (forms_RF != own_R1), -1, forms_RF
    )
    return allowed_VF, others


def _content(vocabulary: Vocabulary) -> IntArray:
    """The ids of the forms of each content word; computed once for each vocabulary.

    Raises:
        UsageError: the vocabulary consists of subwords, which a caption may need twice.
    """
    try:
        known_VF = _CONTENT.get(vocabulary)
        if known_VF is None:
            known_VF = _CONTENT[vocabulary] = _find_content(vocabulary)
    except TypeError:  # a vocabulary of another package may have no hash
        return _find_content(vocabulary)
    return known_VF


def _find_content(vocabulary: Vocabulary) -> IntArray:
    tokens = vocabulary.tokens
    language = spoken(vocabulary)
    content = [i for i, token in enumerate(tokens) if language.is_content_word(token)]
    if vocabulary.decode(content) != " ".join(tokens[i] for i in content):
        raise UsageError(
            "no_repeat_content needs a vocabulary of whole words, and this model's has subwords: "
            "set no_repeat_content=false, or use no_repeat_ngram"
        )
    forms: dict[str, list[int]] = {}
    for i in content:
        forms.setdefault(language.lemma(tokens[i]), []).append(i)
    once_VF = np.full((len(tokens), max(map(len, forms.values()), default=1)), -1)
    for ids in forms.values():
        once_VF[ids, : len(ids)] = ids
    once_VF.flags.writeable = False
    return once_VF


def _look_up(kind: str, words: Sequence[str], vocabulary: Vocabulary) -> list[list[int]]:
    """The ids of each word; several subwords may have the same spelling."""
    if not words:
        return []
    specials = {vocabulary.specials.end, *vocabulary.specials.never}
    ids: dict[str, list[int]] = {}
    for i, token in enumerate(vocabulary.tokens):
        if i not in specials:
            ids.setdefault(token, []).append(i)
    for word in words:
        if word not in ids:
            nearest = difflib.get_close_matches(word, ids, n=1, cutoff=0.0)
            hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
            raise UsageError(
                f"{kind} word {word!r} is not one of the {len(ids)} words of this model's "
                f"vocabulary{hint}. Give single words as the vocabulary spells them."
            )
    return [ids[word] for word in words]
