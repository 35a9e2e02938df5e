"""Decoding options chosen on held-out photos: beam, length exponent, support, expected CIDEr.

Each photo is captioned once for each beam; the effect of the other options is computed from the
CIDEr-D of its candidates. The options with the best mean are reported with a cross-validated
estimate: each tenth of the photos is captioned with the best options of the other nine.

Axes: N photos, H candidates of all photos.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from negah.arrays import DoubleArray, IntArray
from negah.backends import Backend, Encoded
from negah.data import Example
from negah.decoding import DecodingOptions, Hypothesis, Support
from negah.decoding.decoder import Chooser
from negah.decoding.options import RERANKING
from negah.errors import DataError, MediaError, UsageError
from negah.metrics import CiderD
from negah.metrics.settings import Settings
from negah.pipeline import batched, map_ahead
from negah.runtime.isolation import isolate_errors
from negah.runtime.stages import ENCODED_TOGETHER, PreparedPhoto, decode_photos, see_photo

#: The default values to try.
BEAMS = (3, 5, 8)
EXPONENTS = (0.7, 0.85, 1.0, 1.15, 1.3)
SUPPORTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)
EXPECTED_CIDERS = (0.0, 0.5, 1.0, 2.0, 4.0)

#: The options whose effect is computed from the candidates of a beam.
RANKED_BY = ("length_normalisation", *RERANKING)
_BATCH = 16
_FOLDS = 10
_ScoreCaptions = Callable[[Sequence[str], Sequence[int]], DoubleArray]


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of the options, on all photos.

    Attributes:
        options: of decoding.
        cider_d: mean of the photos, 0-100 scale.
        words: mean length of the captions.
        distinct: the share of captions that are different.
    """

    options: DecodingOptions
    cider_d: float
    words: float
    distinct: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tried, and what is best.

    Attributes:
        before: the model's own options.
        trials: in the order in which they were tried.
        expected: cross-validated CIDEr-D of options chosen in this way.
        photos: N.
        unread: names of those that could not be read.
    """

    before: Trial
    trials: tuple[Trial, ...]
    expected: float
    photos: int
    unread: tuple[str, ...]

    @property
    def best(self) -> Trial:
        """The trial with the highest CIDEr-D; the first if several are equal."""
        return max(self.trials, key=lambda trial: trial.cider_d)


@dataclass(frozen=True, slots=True)
class _BeamCandidates:
    """The candidates of all photos for one beam size."""

    candidates: Sequence[Sequence[Hypothesis]]
    support: Support | None
    texts: Sequence[Sequence[str]]
    scores: Sequence[DoubleArray]


class TriedOptions(NamedTuple):
    """The options to try.

    Attributes:
        beams: beam sizes; the photos are captioned with each.
        exponents: of the length normalisation.
        supports: weights of the encoder's concepts; only 0 for a model without concepts.
        expected_ciders: weights of the predicted CIDEr; only 0 for a model without a prediction.
    """

    beams: Sequence[int] = BEAMS
    exponents: Sequence[float] = EXPONENTS
    supports: Sequence[float] = SUPPORTS
    expected_ciders: Sequence[float] = EXPECTED_CIDERS


def tune(
    backend: Backend,
    examples: Sequence[Example],
    tried: TriedOptions | None = None,
    *,
    max_pixels: int,
    progress: Callable[[], None] = lambda: None,
) -> Tuning:
    """Tune decoding options on photos with references.

    Args:
        backend: the model; its own options are kept where nothing is tried.
        examples: held-out photos.
        tried: what to try.
        max_pixels: a photo that would be decoded to more cannot be read.
        progress: called when a photo has been captioned with one beam.

    Raises:
        UsageError: the model's own options do not search with a beam, or there is nothing to try.
        DataError: fewer than two photos can be read.
    """
    if backend.decoding.method != "beam":
        raise UsageError(
            f"{backend.identity.name} decodes by method {backend.decoding.method!r}; only beam "
            f"search can be tuned"
        )
    grid = tried or TriedOptions()
    if not all(grid):
        raise UsageError(
            "give at least one beam, exponent, support and weight of the expected CIDEr to try"
        )
    if not backend.sight.concepts:
        grid = grid._replace(supports=(0.0,))
    if backend.sight.expected_cider is None:
        grid = grid._replace(expected_ciders=(0.0,))
    pairs, unread = _see(backend, examples, max_pixels)
    try:
        return _tune(backend, pairs, unread, grid, progress)
    except MediaError:  # the model refuses a photo that can be opened
        pairs, refused = _accepted(backend, pairs)
        return _tune(backend, pairs, (*unread, *refused), grid, progress)


#: A photo, as it was opened and as the data set has it.
_OpenedExample = tuple[PreparedPhoto, Example]


def _tune(
    backend: Backend,
    pairs: Sequence[_OpenedExample],
    unread: tuple[str, ...],
    grid: TriedOptions,
    progress: Callable[[], None],
) -> Tuning:
    """Tune on photos that could be opened; for the arguments see :func:`tune`."""
    if len(pairs) < 2:
        raise DataError(
            f"{len(pairs)} photos with captions can be read; options are chosen on two or more"
        )
    seen, kept = [one for one, _ in pairs], [example for _, example in pairs]
    tokens = Settings(language=backend.identity.language).tokens
    references = [[tokens(text) for text in example.captions] for example in kept]
    metric = CiderD(references)

    def score(texts: Sequence[str], photos: Sequence[int]) -> DoubleArray:
        """CIDEr-D of each text beside the references of its photo, 0-100 scale."""
        return 100 * metric.rewards([tokens(text) for text in texts], photos)

    trials: list[Trial] = []
    scores_TN: list[DoubleArray] = []
    own = backend.decoding
    for beam in dict.fromkeys((own.beam, *grid.beams)):
        found = _search(backend, seen, score, beam, progress)
        settings = itertools.product(*grid[1:]) if beam in grid.beams else ()
        own_setting = [tuple(getattr(own, name) for name in RANKED_BY)] if beam == own.beam else []
        for setting in dict.fromkeys((*own_setting, *settings)):
            values = {"beam": beam, **dict(zip(RANKED_BY, setting, strict=True))}
            options = DecodingOptions.parse({**own.model_dump(), **values}, where="decoding")
            trial, scores_N = _try(options, found, backend)
            trials.append(trial)
            scores_TN.append(scores_N)
    folds = np.arange(len(kept)) % min(_FOLDS, len(kept))
    return Tuning(
        trials[0], tuple(trials), _expected(np.stack(scores_TN), folds), len(kept), unread
    )


def _see(
    backend: Backend, examples: Sequence[Example], max_pixels: int
) -> tuple[list[_OpenedExample], tuple[str, ...]]:
    """The opened photos, and the names of those that cannot be read."""

    def see(example: Example) -> PreparedPhoto | None:
        try:
            return see_photo(example.path, [backend], max_pixels=max_pixels)
        except MediaError:
            return None

    photos = [example for example in examples if example.captions and not example.is_clip]
    looked = list(map_ahead(see, photos, threads=2, ahead=_BATCH))
    pairs = [(one, e) for one, e in zip(looked, photos, strict=True) if one is not None]
    unread = tuple(e.name for one, e in zip(looked, photos, strict=True) if one is None)
    return pairs, unread


def _accepted(
    backend: Backend, pairs: Sequence[_OpenedExample]
) -> tuple[list[_OpenedExample], tuple[str, ...]]:
    """The photos that the model encodes, and the names of the others."""

    def encode(some: Sequence[_OpenedExample]) -> Encoded:
        return backend.encode(backend.pixels([one.images[0] for one, _ in some]))

    kept: list[_OpenedExample] = []
    refused = []
    for batch in batched(pairs, ENCODED_TOGETHER):
        for some, found in isolate_errors(batch, encode):
            if isinstance(found, MediaError):
                refused.append(some[0][1].name)
            else:
                kept += some
    return kept, tuple(refused)


def _search(
    backend: Backend,
    seen: Sequence[PreparedPhoto],
    score: _ScoreCaptions,
    beam: int,
    progress: Callable[[], None],
) -> _BeamCandidates:
    """All candidates of a beam for each photo, and the CIDEr-D of each, 0-100 scale."""
    values = {"beam": beam, "n_best": beam, **dict.fromkeys(RERANKING, 0.0)}
    options = DecodingOptions.parse({**backend.decoding.model_dump(), **values}, where="decoding")
    candidates: list[list[Hypothesis]] = []
    supports: list[Support] = []
    for batch in batched(seen, _BATCH):
        found = decode_photos(batch, [backend], options, range(len(batch)))
        candidates += found.hypotheses
        supports += [] if found.support is None else [found.support]
        for _ in batch:
            progress()
    texts = [[backend.tokenizer.decode(one.tokens) for one in some] for some in candidates]
    photos = [photo for photo, some in enumerate(texts) for _ in some]
    rewards_H = score([text for some in texts for text in some], photos)
    ends = np.cumsum([len(some) for some in texts])[:-1]
    support = None
    if supports:
        every = np.concatenate([one.probabilities_BW for one in supports])
        support = replace(supports[0], probabilities_BW=every)
    return _BeamCandidates(candidates, support, texts, np.split(rewards_H, ends))


def _try(
    options: DecodingOptions, found: _BeamCandidates, backend: Backend
) -> tuple[Trial, DoubleArray]:
    """The candidate of each photo that the options select."""
    support = found.support or Support((), np.zeros((len(found.candidates), 0), np.float32))
    chooser = Chooser(options, support, backend.tokenizer)
    chosen = [chooser.order(photo, some)[0] for photo, some in enumerate(found.candidates)]
    scores_N = np.array([s[c] for s, c in zip(found.scores, chosen, strict=True)])
    texts = [some[c] for some, c in zip(found.texts, chosen, strict=True)]
    words = float(np.mean([len(text.split()) for text in texts]))
    distinct = len(set(texts)) / len(texts)
    return Trial(options, float(scores_N.mean()), words, distinct), scores_N


def _expected(scores_TN: npt.NDArray[np.float64], folds_N: IntArray) -> float:
    """The mean over photos, each with the setting that is best on the other folds."""
    total = 0.0
    for fold in np.unique(folds_N):
        held_N = folds_N == fold
        best = scores_TN[:, ~held_N].mean(1).argmax()
        total += scores_TN[best, held_N].sum()
    return float(total / len(folds_N))
