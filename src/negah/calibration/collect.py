"""Collection of captions with known truth, and of their measures.

Axes: N content words of all captions, K captions, W concepts, R regions, C channels, P references,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from negah.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from negah.backends import Backend
from negah.bundle.calibration import (
    MAX_LEXICON,
    MAX_REFERENCES,
    Calibration,
    CalibrationSpec,
    CaptionRegression,
    WordRegression,
)
from negah.calibration.pictures import not_a_photo
from negah.data import Example
from negah.decoding.decoder import Support
from negah.errors import DataError, MediaError
from negah.evidence.truth import Truth, agreement, other_names
from negah.media import MAX_PIXELS
from negah.metrics.chair import categories_of
from negah.options import Options
from negah.pipeline import batched
from negah.runtime.isolation import isolate_errors
from negah.runtime.seen import Judge, SupportMeasures
from negah.runtime.shots import decode_shot, look
from negah.runtime.stages import DecodedBatch, Photo, PreparedPhoto, decode_photos, see_photo
from negah.text import words as words_of
from negah.text.languages import english_only
from negah.text.pieces import has_pieces
from negah.text.stems import stemmed
from negah.text.stopwords import is_visible
from negah.text.vocabulary import MAX_TOKEN_LENGTH

#: Files that are encoded to know what features and concepts usually are.
_SAMPLE = 96
_BATCH = 16
#: Words that few people have said are taken as all others, with this weight.
_PRIOR = 10.0
#: More photos change nothing in how often people agree on words.
_MOST_AGREEING = 12_000
#: Words that are said less often are no entry of a lexicon.
_LISTED = 3
#: The largest number of float16.
_MOST_HALF = 65_504.0
#: The largest number of a calibration.
_MOST = 1e6
_FARTHEST = 1e-3
_LEAST = 1e-6


class CollectOptions(Options):
    """Options of the captions for a calibration."""

    references: int = Field(
        default=3,
        ge=0,
        le=MAX_REFERENCES,
        description="Pictures that are put in the place of the one that is captioned; they are "
        "stored with the calibration.",
    )
    others: int = Field(
        default=240, ge=0, le=10_000, description="Pictures that are no photographs."
    )
    seed: int = Field(default=0, ge=0, description="Of what is drawn.")
    max_pixels: int = Field(default=MAX_PIXELS, ge=1, description="Larger files are not read.")


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Captions with measures and truth.

    Attributes:
        tables: a calibration without fitted models, by which they were measured.
        group_K: whose caption each is: the number of its photo or clip; below 0, of a picture
            that is no photograph.
        dataset_K: the number of the data set; -1 for pictures that are no photographs.
        measured: their measures; ``caption_N`` counts all of them.
        truth_N: whether each content word is supported.
        datasets: their names.
        own_words: of what people say themselves of these files, the share that others support.
        unread: names of files that could not be read.
    """

    tables: Calibration
    group_K: IntArray
    dataset_K: IntArray
    measured: SupportMeasures
    truth_N: BoolArray
    datasets: tuple[str, ...]
    own_words: float
    unread: tuple[str, ...]


class Collector:
    """Captions files and computes the measures of the captions.

    Args:
        backend: whose captions.
        examples: of which, each with the name of its data set.
        learned: of the part train: they tell how often people agree on words, and some are put in
            the place of what is captioned; where there are none, ``examples`` are.
        options: what else is drawn.

    Attributes:
        tables: of words, concepts and features, which the measures need.

    Raises:
        DataError: no file can be read.
        UsageError: the model captions in another language than English.
    """

    def __init__(
        self,
        backend: Backend,
        examples: Sequence[tuple[str, Example]],
        learned: Sequence[Example],
        options: CollectOptions,
    ) -> None:
        english_only(
            backend.identity.language, "calibration", "the truth of words is judged with English "
            "names of things", "caption without confidence"
        )  # fmt: skip
        self._backend, self._options = backend, options
        self._examples = list(examples)
        self._datasets = tuple(dict.fromkeys(name for name, _ in examples))
        self._measured: list[SupportMeasures] = []
        self._truths: list[BoolArray] = []
        self._unread: list[str] = []
        self.tables = self._make_tables(learned or [example for _, example in examples])
        self._judge = Judge(self.tables, backend.model, backend.tokenizer)

    def collect(
        self, objects: Mapping[str, Sequence[str]], progress: Callable[[], None]
    ) -> Collected:
        """Caption all and measure.

        Args:
            objects: what is boxed in files, by name of the example.
            progress: called after every caption.

        Raises:
            DataError: fewer than two files can be read.
        """
        groups: list[int] = []
        for batch, found in self._captioned(self._examples):
            examples = [self._examples[place][1] for place in batch]
            self._add(found, [_truth(one, objects.get(one.name)) for one in examples])
            groups += batch
            for _ in batch:
                progress()
        if len(groups) < 2:
            raise DataError(
                f"{len(groups)} files with captions can be read; a model is calibrated on two or "
                "more"
            )
        numbers = [self._datasets.index(self._examples[place][0]) for place in groups]
        others = self._options.others
        for some in batched(range(others), _BATCH):
            pictures = [not_a_photo(self._options.seed * others + number) for number in some]
            self._add(self._decode(pictures), [Truth.of([])] * len(some))
            groups += [-1 - number for number in some]
            numbers += [-1] * len(some)
            for _ in some:
                progress()
        return Collected(
            tables=self.tables,
            group_K=np.array(groups, np.int64),
            dataset_K=np.array(numbers, np.int64),
            measured=_joined(self._measured),
            truth_N=np.concatenate(self._truths),
            datasets=self._datasets,
            own_words=_own_words([example for _, example in self._examples]),
            unread=tuple(self._unread),
        )

    def _add(self, found: DecodedBatch, known: Sequence[Truth]) -> None:
        first = [[some[0]] for some in found.hypotheses]
        measured = self._judge.measure(first, found.features_BFRC, _concepts(found.support))
        self._measured.append(measured)
        supported: dict[tuple[int, int], bool] = {}
        for row, ((one,), truth) in enumerate(zip(first, known, strict=True)):
            words = self._judge.spell(one)
            truths = truth.of_words([word.text for word in words])
            supported |= {
                (row, word.first): bool(true) for word, true in zip(words, truths, strict=True)
            }
        places = zip(measured.caption_N.tolist(), measured.place_N.tolist(), strict=True)
        self._truths.append(np.array([supported[place] for place in places], np.bool_))

    def _captioned(
        self, examples: Sequence[tuple[str, Example]]
    ) -> Iterator[tuple[list[int], DecodedBatch]]:
        """The places of examples, and what was found for them."""
        photos = [place for place, (_, one) in enumerate(examples) if not one.is_clip]
        for batch in batched(photos, _BATCH):
            seen = {}
            for place in batch:
                try:
                    seen[place] = self._see(examples[place][1].path)
                except MediaError:
                    self._unread.append(examples[place][1].name)

            def decode(read: Sequence[int], seen: dict[int, PreparedPhoto] = seen) -> DecodedBatch:
                photos = [seen[place] for place in read]
                return decode_photos(photos, [self._backend], self._backend.decoding, read)

            for read, found in isolate_errors(list(seen), decode) if seen else ():
                if isinstance(found, MediaError):
                    self._unread.append(examples[read[0]][1].name)
                else:
                    yield list(read), found
        for place, (_, example) in enumerate(examples):
            if example.is_clip:
                try:
                    yield [place], self._decode_clip(example, place)
                except MediaError:
                    self._unread.append(example.name)

    def _see(self, photo: Photo) -> PreparedPhoto:
        return see_photo(photo, [self._backend], max_pixels=self._options.max_pixels)

    def _decode(self, pictures: Sequence[Photo]) -> DecodedBatch:
        seen = [self._see(picture) for picture in pictures]
        return decode_photos(seen, [self._backend], self._backend.decoding, range(len(seen)))

    def _decode_clip(self, example: Example, place: int) -> DecodedBatch:
        from negah.runtime.clips import read_shot

        looks, most = [look(self._backend, None)], self._options.max_pixels
        shot = read_shot(example.path, looks, example.span, max_pixels=most)
        return decode_shot(shot, [self._backend], self._backend.decoding, place, threads=1)

    def _make_tables(self, learned: Sequence[Example]) -> Calibration:
        """The tables of words, concepts and features that measures need."""
        backend = self._backend
        order = np.random.default_rng(self._options.seed).permutation(len(learned))
        sample = [("", learned[place]) for place in order[:_SAMPLE].tolist()]
        found = [one for _, one in self._captioned(sample)]
        self._unread.clear()
        if not found:
            raise DataError("no file with captions can be read")
        features_SRC = np.concatenate([one.features_BFRC[:, 0] for one in found])
        concepts = [_concepts(one.support) for one in found]
        rates_W = np.zeros(0)
        if concepts[0] is not None:
            rates_W = _logits(np.concatenate([one for one in concepts if one is not None])).mean(0)
        means_SC = features_SRC.mean(1)
        # as they are stored, so that what is fitted is what will be computed
        some_PRC = features_SRC[: self._options.references]
        stored_PRC = np.clip(some_PRC, -_MOST_HALF, _MOST_HALF).astype(np.float16)
        nothing = {"measures": (), "means": (), "scales": (), "terms": (), "weights": ()}
        some = [learned[place].captions for place in order[:_MOST_AGREEING].tolist()]
        counts = agreement([words_of(one) for one in captions] for captions in some)
        tokens = backend.tokenizer.tokens
        lexicon = _lexicon(counts) if has_pieces(tokens, backend.tokenizer.decode) else ()
        *agreed, unlisted = _agreed([*(lexicon or tokens), ""], counts)
        spec = CalibrationSpec(
            words=WordRegression(**nothing, intercept=0.0),
            captions=CaptionRegression(**nothing, intercept=0.0),
            photographs=CaptionRegression(**nothing, intercept=0.0),
            lexicon=lexicon,
            unlisted=unlisted if lexicon else 0.0,
            agreed=tuple(agreed),
            kin=_kin(lexicon or tokens, backend.sight.concepts),
            sorts=tuple(_sort(token) for token in lexicon or tokens),
            rates=_rounded(rates_W),
            centre=_rounded(means_SC.mean(0)),
            spread=_rounded(np.maximum(means_SC.std(0), _FARTHEST)),
            threshold=0.5,
            references=len(stored_PRC),
            fitted_on="",
        )
        return Calibration(spec, stored_PRC.astype(np.float32))


def _truth(example: Example, objects: Sequence[str] | None) -> Truth:
    return Truth.of([words_of(caption) for caption in example.captions], objects)


def _concepts(support: Support | None) -> FloatArray | None:
    return None if support is None else support.probabilities_BW


def _lexicon(counts: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """Words that people say several times, and all names of COCO's categories among the others."""
    by_number = sorted(counts, key=lambda word: (-counts[word][0], word))
    kept = [word for word in by_number if counts[word][0] >= _LISTED or categories_of(word)]
    return tuple(word for word in kept[:MAX_LEXICON] if len(word) <= MAX_TOKEN_LENGTH)


def _agreed(tokens: Sequence[str], counts: Mapping[str, tuple[int, int]]) -> tuple[float, ...]:
    """The log-odds, of each token, that people agree on it; of :func:`agreement`'s counts."""
    total = sum(said for said, _ in counts.values())
    share = sum(supported for _, supported in counts.values()) / total if total else 0.5
    values_V = np.array([counts.get(token, (0, 0)) for token in tokens], np.float64)
    shares_V = (values_V[:, 1] + _PRIOR * share) / (values_V[:, 0] + _PRIOR)
    return _rounded(_logits(shares_V))


def _kin(tokens: Sequence[str], concepts: Sequence[str]) -> tuple[int, ...]:
    """Of each token the concept that speaks for it: its own, of its stem, of another name."""
    own = {word: place for place, word in enumerate(concepts)}
    by_stem: dict[str, int] = {}
    for place, stem in enumerate(stemmed(concepts)):
        by_stem.setdefault(stem, place)
    kin = []
    for token, stem in zip(tokens, stemmed(tokens), strict=True):
        found = own.get(token, by_stem.get(stem, -1))
        if found < 0 and is_visible(token):
            found = min((by_stem[o] for o in other_names(token) if o in by_stem), default=-1)
        kin.append(found)
    return tuple(kin)


def _sort(token: str) -> int:
    """See ``sorts`` of :class:`~negah.bundle.calibration.CalibrationSpec`."""
    if not is_visible(token):
        return -1
    categories = categories_of(token)
    return 2 if "person" in categories else int(bool(categories))


def _own_words(examples: Sequence[Example]) -> float:
    counts = agreement([words_of(one) for one in example.captions] for example in examples)
    said = sum(said for said, _ in counts.values())
    return sum(supported for _, supported in counts.values()) / said if said else float("nan")


def _joined(parts: Sequence[SupportMeasures]) -> SupportMeasures:
    """Concatenate the measures of batches."""
    captions = [len(next(iter(part.captions.values()))) for part in parts]
    starts = np.cumsum([0, *captions[:-1]])
    return SupportMeasures(
        np.concatenate([part.caption_N + s for part, s in zip(parts, starts, strict=True)]),
        np.concatenate([part.place_N for part in parts]),
        np.concatenate([part.end_N for part in parts]),
        _all([part.words for part in parts]),
        _all([part.captions for part in parts]),
    )


def _all(parts: Sequence[Mapping[str, DoubleArray]]) -> dict[str, DoubleArray]:
    """Arrays by name end to end; a batch without words has fewer names."""
    full = max(parts, key=len)
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in full}


def _logits(shares: DoubleArray | FloatArray) -> DoubleArray:
    clipped = np.clip(np.asarray(shares, np.float64), _LEAST, 1 - _LEAST)
    logits: DoubleArray = np.log(clipped) - np.log1p(-clipped)
    return logits


def _rounded(values: DoubleArray | FloatArray) -> tuple[float, ...]:
    """Rounded as when stored in a file."""
    return tuple(round(float(value), 4) for value in np.clip(values, -_MOST, _MOST))
