"""The photos and captions of a cell, with features that are computed once.

Axes: N photos, B photos of a step, R regions, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from negah.data import Dataset, Example, FeatureStore, check_no_leak, load_dataset
from negah.errors import DataError
from negah.files import atomic_path
from negah.models import Encoder, EncoderOptions, load_encoder
from negah.models.seeding import seeded
from negah.studies.captioning.options import CaptionOptions
from negah.studies.study import Paths, Progress
from negah.text import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer
from negah.text.languages import DEFAULT
from negah.training.features import FeatureFolder, feature_key, item_of, prepare_features


@dataclass(frozen=True, eq=False)
class Part:
    """Photos of one part with their captions.

    Attributes:
        names: of the photos.
        captions: of each, as people wrote them.
        features_NRC: stored features, float16; R = 1 with the mean of the regions.
    """

    names: list[str]
    captions: list[list[str]]
    features_NRC: npt.NDArray[np.float16]

    def features(self, rows: Sequence[int] | npt.NDArray[np.int64]) -> Tensor:
        """Of some photos, float32 (B, F = 1, R, C)."""
        return torch.from_numpy(self.features_NRC[np.asarray(rows)].astype(np.float32))[:, None]


@dataclass(frozen=True, eq=False)
class Standard:
    """Every channel less its mean over the training photos, over its deviation there.

    A captioner learns from raw features, too, but a short training mostly learns their mean: in a
    thousand steps it says the same of half of the photos.

    Attributes:
        centre_C, spread_C: float32.
    """

    centre_C: npt.NDArray[np.float32]
    spread_C: npt.NDArray[np.float32]

    @classmethod
    def of(cls, features_NRC: npt.NDArray[np.float16]) -> Standard:
        """That of some features; a channel that never changes stays as it is."""
        flat_XC = features_NRC.reshape(-1, features_NRC.shape[-1]).astype(np.float32)
        return cls(flat_XC.mean(0), flat_XC.std(0) + np.float32(1e-3))

    @classmethod
    def none(cls, channels: int) -> Standard:
        """That which leaves features as they are."""
        return cls(np.zeros(channels, np.float32), np.ones(channels, np.float32))

    def applied(self, features_NRC: npt.NDArray[np.float16]) -> npt.NDArray[np.float16]:
        """To stored features."""
        found = np.empty_like(features_NRC)
        for first in range(0, len(found), 500):  # in parts: regions of all photos are large
            some = features_NRC[first : first + 500].astype(np.float32)
            found[first : first + 500] = (some - self.centre_C) / self.spread_C
        return found

    def __call__(self, features: Tensor) -> Tensor:
        """To features (..., C) that are computed anew, since the encoder learns."""
        centre, spread = map(torch.from_numpy, (self.centre_C, self.spread_C))
        return (features - centre.to(features.dtype)) / spread.to(features.dtype)


@dataclass(frozen=True, eq=False)
class CaptionData:
    """What a captioner learns from and is measured on.

    Attributes:
        train, dev, test: the parts, standardised unless blocks of the encoder learn.
        tokenizer: built from the training captions alone.
        standard: what features have gone through, or have to when they come from blocks that
            learn.
    """

    train: Part
    dev: Part
    test: Part
    tokenizer: Tokenizer
    standard: Standard

    @property
    def channels(self) -> int:
        """C."""
        return int(self.train.features_NRC.shape[-1])

    def ids(self, captions: Iterable[str], max_tokens: int) -> list[list[int]]:
        """Token ids, cut where training cuts them."""
        return [self.tokenizer.encode(caption)[:max_tokens] for caption in captions]


def make_tokenizer(
    kind: str,
    captions: Sequence[str],
    *,
    min_count: int,
    subwords: int,
    language: str = DEFAULT,
) -> Tokenizer:
    """A tokenizer of captions.

    Args:
        kind: "word", "char" or "subword".
        captions: of training.
        min_count: what is rarer is ``<UNK>``.
        subwords: size of the vocabulary of subwords.
        language: of the captions.
    """
    if kind == "char":
        return CharTokenizer.build(captions, min_count=min_count, language=language, normalize=True)
    if kind == "subword":
        return SubwordTokenizer.build(
            captions, vocabulary_size=subwords, min_count=min_count, language=language
        )
    return WordTokenizer.build(captions, min_count=min_count, language=language)


def sentence_part(sentences: Sequence[str], channels: int) -> Part:
    """Sentences as captions of pictures that are zero everywhere."""
    nothing = np.broadcast_to(np.zeros((), np.float16), (len(sentences), 1, channels))
    return Part([str(n) for n in range(len(sentences))], [[text] for text in sentences], nothing)


def prepare_captions(o: CaptionOptions, paths: Paths, progress: Progress) -> None:
    """Store the features that :func:`open_captions` reads; call it in ``Study.prepare``."""
    dataset = load_dataset(paths.data)
    check_no_leak(dataset)
    parts = {e.split for e in dataset.examples}
    if lacking := {"train", "dev", "test"} - parts:
        raise DataError(
            f"{paths.data} has no photos of the part {', '.join(sorted(lacking))}: studies need "
            "train, dev and test, as in Flickr8k's official lists"
        )
    encoder = encoder_of(o)
    store = _store(o, encoder, _wanted(dataset, o), paths, progress)
    if not o.trainable_blocks:
        _pooled(store, _wanted(dataset, o), paths)


def open_captions(
    o: CaptionOptions,
    paths: Paths,
    progress: Progress,
    *,
    tokenizer: Callable[[Sequence[str]], Tokenizer] | None = None,
    regions: bool = False,
) -> CaptionData:
    """The data of a cell.

    Args:
        o: how much of it.
        paths: of the study.
        progress: hears of features that are not stored yet.
        tokenizer: from training captions to their tokenizer; by default words.
        regions: all regions of a photo instead of their mean.
    """
    dataset = load_dataset(paths.data)
    examples = _wanted(dataset, o)
    store = _store(o, encoder_of(o), examples, paths, progress)
    mean = None if regions else _pooled(store, examples, paths)
    standard: Standard | None = None
    if o.trainable_blocks:
        frozen = o.model_copy(update={"trainable_blocks": 0})
        standard = open_captions(frozen, paths, progress, tokenizer=tokenizer).standard

    def part(split: str) -> Part:
        chosen = [e for e in examples if e.split == split]
        features = (
            store.read(store.rows([item_of(e) for e in chosen]))
            if mean is None
            else np.stack([mean[e.name] for e in chosen])
        )
        return Part([e.name for e in chosen], [list(e.captions) for e in chosen], features)

    train = part("train")
    every = [caption for captions in train.captions for caption in captions]
    build = tokenizer or (lambda captions: WordTokenizer.build(captions, min_count=o.min_count))
    parts = train, part("dev"), part("test")
    if standard is not None:  # the blocks that learn come first, and then it
        return CaptionData(*parts, build(every), standard)
    standard = Standard.of(train.features_NRC[:: max(1, len(train.names) // 1000)])
    train, dev, test = (
        replace(one, features_NRC=standard.applied(one.features_NRC)) for one in parts
    )
    return CaptionData(train, dev, test, build(every), standard)


def region_features(
    o: CaptionOptions, examples: Sequence[Example], paths: Paths, progress: Progress
) -> npt.NDArray[np.float16]:
    """Stored features of photos outside of the parts (N, R, C), not standardised."""
    store = _store(o, encoder_of(o), examples, paths, progress)
    return store.read(store.rows([item_of(e) for e in examples]))


def encoder_of(o: CaptionOptions) -> Encoder:
    """The encoder with its weights; random ones are the same each time."""
    options = EncoderOptions(
        name=o.encoder, weights=o.weights, size=o.size, trainable_blocks=o.trainable_blocks
    )
    with seeded(0):
        return load_encoder(options)


def _wanted(dataset: Dataset, o: CaptionOptions) -> list[Example]:
    """Some photos of each part, evenly from the list of their names."""
    most = {"train": o.photos, "dev": o.dev_photos, "test": o.test_photos}
    found: list[Example] = []
    for split, number in most.items():
        named = sorted((e for e in dataset.examples if e.split == split), key=lambda e: e.name)
        # of evenly spread places, so that no photographer is all of a part
        places = np.unique(np.linspace(0, len(named) - 1, min(number, len(named))).astype(int))
        found += [named[place] for place in places]
    return found


def _store(
    o: CaptionOptions,
    encoder: Encoder,
    examples: Sequence[Example],
    paths: Paths,
    progress: Progress,
) -> FeatureStore:
    def report(view: str, done: int, total: int) -> None:
        progress("features", done, total)

    # Cells side by side only read: whoever builds a store has it alone.
    with suppress(DataError):
        store = FeatureStore(paths.shared, feature_key(encoder, "plain"))
        store.rows([item_of(example) for example in examples])
        return store
    folder = FeatureFolder(paths.shared, progress=report)
    views = prepare_features(encoder, examples, folder, flips=False, device=torch.device("cpu"))
    return views["plain"]


def _pooled(
    store: FeatureStore, examples: Sequence[Example], paths: Paths
) -> dict[str, npt.NDArray[np.float16]]:
    """The mean region of each photo, float16 (1, C), kept beside the store."""
    path = paths.shared / "means" / f"{store.key.folder_name}.npz"
    rows = store.rows([item_of(e) for e in examples])
    hashes = [store.hashes[row] for row in rows]
    known: dict[str, npt.NDArray[np.float16]] = {}
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            known = dict(zip(kept["hashes"].tolist(), kept["means"], strict=True))
    missing = [(row, name) for row, name in zip(rows, hashes, strict=True) if name not in known]
    for first in range(0, len(missing), 200):
        some, names = zip(*missing[first : first + 200], strict=True)
        features = store.read(some).astype(np.float32)
        means = features.reshape(len(some), -1, features.shape[-1]).mean(1, keepdims=True)
        known |= dict(zip(names, means.astype(np.float16), strict=True))
    if missing:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, hashes=np.array(list(known)), means=np.stack(list(known.values())))
    return {e.name: known[name] for e, name in zip(examples, hashes, strict=True)}
