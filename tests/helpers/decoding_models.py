"""A real step model in NumPy with known log-probabilities, and slow oracles for decoding it.

The next word depends on the photo and on the last two tokens. The state is every token read so
far, so a wrong ``reorder`` shows in log-probabilities and in evidence alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

import negah.decoding
from negah.decoding import DecodingOptions, Hypothesis, Step
from negah.text import EOS, PAD, SOS, UNK
from negah.text.vocabulary import SPECIAL_IDS, Specials

NEVER = (PAD, SOS, UNK)
SPECIALS = ("<PAD>", "<SOS>", "<EOS>", "<UNK>")


@dataclass(frozen=True)
class Words:
    """A vocabulary; without tokens, one whose words cannot be looked up."""

    tokens: Sequence[str] = ()
    specials: Specials = SPECIAL_IDS

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self.tokens[i] for i in ids)


def decode(model, features, options, *, tokens=(), **more) -> list[list[Hypothesis]]:
    """``negah.decoding.decode`` with the special tokens of this package."""
    return negah.decoding.decode(model, features, options, vocabulary=Words(tokens), **more)


@dataclass
class TableModel:
    """``table`` (photos, V, V, V): log-probabilities after the last token but one, and the last.

    Features are the photos' numbers in the table. Evidence tells photo, step and a code of
    everything read: two arrays, ``gate`` (B, K) and ``regions`` (B, K, 1, 2).
    """

    table: np.ndarray
    steps: list[tuple[int, int]] = field(default_factory=list)
    reorders: int = 0

    @classmethod
    def random(cls, seed, photos=3, vocabulary=9, *, spread=2.0, levels=None):
        """Random logits; few ``levels`` make ties."""
        rng = np.random.default_rng(seed)
        logits = spread * rng.normal(size=(photos, *[vocabulary] * 3))
        if levels:
            logits = np.round(logits * levels) / levels
        table = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        # Multiples of 2^-12 add up without rounding, in any order.
        return cls((np.round(table * 4096) / 4096).astype(np.float32))

    @property
    def tokens(self):
        words = [f"w{i}" for i in range(len(SPECIALS), self.table.shape[-1])]
        return (*SPECIALS, *words)

    def start(self, features, real_frames=None):
        photos = np.asarray(features, np.int64)[:, None]
        return photos, np.zeros((*photos.shape, 0), np.int64)

    def step(self, state, tokens):
        photos, history = state
        assert tokens.dtype == np.int64
        assert tokens.flags.writeable  # torch.from_numpy warns of what it cannot write to
        assert tokens.shape == photos.shape
        self.steps.append(tokens.shape)
        before = history[..., -1] if history.shape[-1] else np.full_like(tokens, PAD)
        history = np.concatenate([history, tokens[..., None]], axis=-1)
        code = np.zeros_like(tokens)
        for t in range(history.shape[-1]):
            code = (code * 31 + history[..., t]) % 9973
        step = np.full_like(tokens, history.shape[-1] - 1)
        evidence = {
            "gate": code.astype(np.float32),
            "regions": np.stack([photos, step], axis=-1)[:, :, None].astype(np.float32),
        }
        logprobs = self.table[photos, before, tokens]
        logprobs.flags.writeable = False
        return Step(logprobs, (photos, history), evidence)

    def reorder(self, state, parents):
        photos, history = state
        assert parents.dtype == np.int64
        assert parents.flags.writeable
        self.reorders += 1
        return (
            np.take_along_axis(photos, parents, axis=1),
            np.take_along_axis(history, parents[..., None], axis=1),
        )

    def select(self, state, photos):
        return tuple(array[photos] for array in state)

    def next_logprobs(self, photo, words):
        """What teacher forcing gives after ``words``."""
        before = [PAD, SOS, *words]
        return self.table[photo, before[-2], before[-1]]

    def logprobs_of(self, photo, words, *, finished=True):
        tokens = [*words, EOS] if finished else words
        return [float(self.next_logprobs(photo, tokens[:t])[tokens[t]]) for t in range(len(tokens))]

    def evidence_of(self, photo, words):
        codes = [SOS]
        for word in words:
            codes.append((codes[-1] * 31 + word) % 9973)
        return {
            "gate": np.array(codes[:-1], np.float32),
            "regions": np.array([[[photo, t]] for t in range(len(words))], np.float32).reshape(
                len(words), 1, 2
            ),
        }


@dataclass
class CandidateModel:
    """The same model, giving its ``number`` best tokens in no order, as one on a GPU would."""

    dense: TableModel
    number: int

    def start(self, features, real_frames=None):
        return self.dense.start(features, real_frames)

    def step(self, state, tokens):
        step = self.dense.step(state, tokens)
        best = np.argsort(-step.logprobs, axis=2, kind="stable")[..., : self.number]
        best = np.random.default_rng(0).permuted(best, axis=2)
        logprobs = np.take_along_axis(step.logprobs, best, axis=2)
        return Step(logprobs, step.state, step.evidence, best)

    def reorder(self, state, parents):
        return self.dense.reorder(state, parents)


@dataclass
class RenumberedModel:
    """The same model with other token ids: ``order[i]`` is the new id of token ``i``."""

    own: TableModel
    order: np.ndarray

    @property
    def vocabulary(self) -> Words:
        tokens = [""] * len(self.order)
        for token, place in zip(self.own.tokens, self.order, strict=True):
            tokens[place] = token
        start, end, *never = (int(self.order[i]) for i in (SOS, EOS, PAD, SOS, UNK))
        return Words(tokens, Specials(start, end, tuple(never)))

    def start(self, features, real_frames=None):
        return self.own.start(features, real_frames)

    def step(self, state, tokens):
        step = self.own.step(state, np.argsort(self.order)[tokens])
        logprobs = np.empty_like(step.logprobs)
        logprobs[..., self.order] = step.logprobs
        return Step(logprobs, step.state, step.evidence)

    def reorder(self, state, parents):
        return self.own.reorder(state, parents)


class SpelledModel(TableModel):
    """A table whose first three words may come again, whatever the options say."""

    @property
    def tokens(self):
        content = ("dog", "cat", "red", "runs", "ball", "tree", "water")
        return (*SPECIALS, "a", "on", "the", *content)[: self.table.shape[-1]]


def says_twice(model, words):
    """Whether a content word of a :class:`SpelledModel` stands twice."""
    content = [i for i in words if model.tokens[i].isalpha() and i > 6]
    return len(set(content)) < len(content)


def score(logprobs, alpha):
    total = 0.0
    for logprob in logprobs:
        total += logprob
    return total / max(len(logprobs), 1) ** alpha


def repeats(words, n):
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return n > 0 and len(set(grams)) < len(grams)


def every_caption(model, photo, options: DecodingOptions):
    """All captions that the options allow as (score, words), best first: the exhaustive oracle."""
    ids = {word: i for i, word in enumerate(model.tokens)}
    banned = {ids[word] for word in options.banned}
    words = [i for i in range(len(SPECIALS), len(model.tokens)) if i not in banned]
    found = [
        (score(model.logprobs_of(photo, caption), options.length_normalisation), caption)
        for length in range(options.min_length, options.max_length + 1)
        for caption in itertools.product(words, repeat=length)
        if not repeats(caption, options.no_repeat_ngram)
        and not (options.no_repeat_content and says_twice(model, caption))
        and {ids[word] for word in options.required} <= set(caption)
    ]
    return sorted(found, key=lambda item: -item[0])


def plain_beam_search(model, photo, options: DecodingOptions):
    """Beam search on one photo, with lists and without the early stop by proof.

    Returns (score, words, finished) of the ``n_best``.
    """
    alpha, width = options.length_normalisation, options.beam if options.method == "beam" else 1
    banned = {*NEVER, *(model.tokens.index(word) for word in options.banned)}
    alive, finished = [(0.0, ())], []
    for length in range(options.max_length + 1):
        choices = []
        for row, (total, words) in enumerate(alive):
            for token, logprob in enumerate(model.next_logprobs(photo, words).tolist()):
                ends = token == EOS
                if (
                    token in banned
                    or (ends and length < options.min_length)
                    or (not ends and repeats((*words, token), options.no_repeat_ngram))
                    or (options.no_repeat_content and says_twice(model, (*words, token)))
                ):
                    continue
                choices.append((-(total + logprob), token, row))
        choices.sort()
        for total, token, row in choices[:width]:
            if token == EOS:
                finished.append((-total / (length + 1) ** alpha, alive[row][1], True))
        if length == options.max_length:
            ended = {row for _, token, row in choices[:width] if token == EOS}
            break
        words = [choice for choice in choices if choice[1] != EOS]
        alive = [(-total, (*alive[row][1], token)) for total, token, row in words[:width]]
        ended = set()
        if not alive:
            break
        best = sorted((item[0] for item in finished), reverse=True)
        leader = alive[0][0] / (length + 1) ** alpha
        if len(best) >= options.patience * width and best[options.n_best - 1] >= leader:
            break
    cut_off = [
        (total / max(len(words), 1) ** alpha, words, False)
        for row, (total, words) in enumerate(alive)
        if row not in ended
    ]
    ranked = sorted(finished, key=lambda item: -item[0])
    ranked += sorted(cut_off, key=lambda item: -item[0])
    return ranked[: options.n_best]
