"""Photos with captions in one language or both, their features, sentences without pictures.

Axes: N photos, R = 1 region, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from negah.data import Example, FeatureStore, load_dataset
from negah.data.sentences import read_texts
from negah.errors import DataError, UsageError
from negah.models import Encoder, EncoderOptions, load_encoder
from negah.models.seeding import seeded
from negah.studies.captioning import CaptionData, Part, Standard, make_tokenizer
from negah.studies.persian.made import make_persian
from negah.studies.persian.options import MODEL, PERSIAN, PersianOptions, PersianRow
from negah.studies.study import Paths, Progress
from negah.text import WordTokenizer
from negah.text.languages.mixed import JOINT, tag_of
from negah.training.features import FeatureFolder, feature_key, item_of, prepare_features

#: Sentences without pictures, in the folder beside; in a quick run beside the photos.
_SENTENCES = Path("text") / "coco_captions_fa.txt.gz"
_MADE_SENTENCES = "sentences_fa.txt"


@dataclass(frozen=True, slots=True)
class LanguagePhotos:
    """The photos of one or both languages by part, and how features are standardised.

    Attributes:
        encoder: whose regions' mean the features are.
        english: training photos that the English run learns from.
        parts: photos with Persian captions; of both languages, captions begin with a tag.
        standard: by the photos that the English run learns from.
        store: of the features.
    """

    encoder: Encoder
    english: list[Example]
    parts: dict[str, list[Example]]
    standard: Standard
    store: FeatureStore

    def part(self, examples: Sequence[Example]) -> Part:
        """Photos with their standardised features."""
        features_NRC = self.raw(examples)
        return Part(
            [e.name for e in examples],
            [list(e.captions) for e in examples],
            self.standard.applied(features_NRC),
        )

    def raw(self, examples: Sequence[Example]) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        """Features as they are stored, float16 (N, 1, C)."""
        return self.store.read(self.store.rows([item_of(e) for e in examples]))


def prepare_photos(o: PersianOptions, paths: Paths, progress: Progress) -> None:
    """Store the features of all photos; of a quick run make captions and sentences first."""
    if o.made:
        make_persian(paths.data, paths.data / _MADE_SENTENCES)
    english, persian = (load_dataset(path).examples for path in _tables(paths))
    held_out = {e.name for e in persian if e.split != "train"}
    leaked = [e.name for e in english if e.split == "train" and e.name in held_out]
    if leaked:
        raise DataError(
            f"{leaked[0]} is learned from in English and held out in Persian: both tables need "
            "the same parts"
        )
    known = {e.name for e in persian}
    wanted = [e for e in english if e.split == "train" or e.name in known]
    folder = FeatureFolder(paths.shared, progress=lambda view, *told: progress("features", *told))
    prepare_features(_encoder(o, paths), wanted, folder, flips=False, device=torch.device("cpu"))


def open_photos(o: PersianOptions, paths: Paths, languages: Sequence[str]) -> LanguagePhotos:
    """The photos with Persian captions, captioned in some languages."""
    english, persian = (load_dataset(path).examples for path in _tables(paths))
    said = {
        "en": {e.name: e.captions for e in english},
        "fa": {e.name: e.captions for e in persian},
    }
    several = len(languages) > 1
    parts: dict[str, list[Example]] = {"train": [], "dev": [], "test": []}
    for example in sorted(persian, key=lambda e: e.name):
        captions = tuple(
            f"{tag_of(code)} {caption}" if several else caption
            for code in languages
            for caption in said[code][example.name]
        )
        if example.split in parts:
            parts[example.split].append(
                Example(example.name, example.path, captions, example.split)
            )
    learned = sorted((e for e in english if e.split == "train"), key=lambda e: e.name)
    encoder = _encoder(o, paths)
    store = FeatureStore(paths.shared, feature_key(encoder, "plain"))
    some = store.rows([item_of(e) for e in learned[:: max(1, len(learned) // 1000)]])
    return LanguagePhotos(encoder, learned, parts, Standard.of(store.read(some)), store)


def caption_data(o: PersianOptions, row: PersianRow, photos: LanguagePhotos) -> CaptionData:
    """What a row learns from and is measured on."""
    train, dev, test = (photos.part(photos.parts[name]) for name in ("train", "dev", "test"))
    every = [caption for captions in train.captions for caption in captions]
    tokenizer = make_tokenizer(
        row.tokens, every, min_count=o.captions.min_count, subwords=o.subwords,
        language=JOINT.join(row.languages),
    )  # fmt: skip
    return CaptionData(train, dev, test, tokenizer, photos.standard)


def english_data(o: PersianOptions, photos: LanguagePhotos) -> CaptionData:
    """What the English run learns from; nothing of it is held out."""
    learned = photos.part(photos.english[: o.captions.photos])
    every = [caption for captions in learned.captions for caption in captions]
    tokenizer = WordTokenizer.build(every, min_count=o.captions.min_count)
    return CaptionData(learned, learned, learned, tokenizer, photos.standard)


def sentences_of(o: PersianOptions, paths: Paths, data: CaptionData) -> list[str]:
    """Sentences without pictures, of words that the tokenizer knows, none of a held-out caption."""
    source = paths.data / _MADE_SENTENCES if o.made else (paths.text or Path()) / _SENTENCES
    if not source.is_file():
        raise UsageError(f"there is no {_SENTENCES} in the folder beside the photos (--text)")
    texts, tokenizer = read_texts(source), data.tokenizer
    held_out = [c for part in (data.dev, data.test) for captions in part.captions for c in captions]
    seen = {tuple(tokenizer.split(caption)) for caption in held_out}
    found = []
    for text in texts[:: max(1, len(texts) // o.sentences)][: o.sentences]:
        words = tuple(tokenizer.split(text))
        if 3 <= len(words) <= o.captions.max_tokens and words not in seen:
            seen.add(words)
            if all(word in tokenizer for word in words):
                found.append(text)
    return found


def _tables(paths: Paths) -> tuple[Path, Path]:
    """Of the English captions, and of the Persian ones."""
    return paths.data, paths.data / PERSIAN


def _encoder(o: PersianOptions, paths: Paths) -> Encoder:
    given = paths.captioned.model if paths.captioned is not None else None
    weights = o.captions.weights if o.captions.weights != "auto" else given or MODEL
    options = EncoderOptions(
        name=o.captions.encoder, weights=weights, size=o.captions.size, pool=1, trainable_blocks=0
    )
    with seeded(0):
        return load_encoder(options)
