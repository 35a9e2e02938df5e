"""Inspection of a captioned data set before training: counts, and problems.

Lengths and vocabularies are counted in tokens of the word tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from negah.data.clips import ClipCounts, count_clips
from negah.data.examples import SPLITS, Dataset, Example, Missing
from negah.data.inspection_page import page
from negah.data.splits import duplicates, leaks, same_files
from negah.errors import MediaError
from negah.media.images import MAX_PIXELS, read_image
from negah.split import Division
from negah.text import Language, language_of
from negah.text.languages import DEFAULT

#: Minimum counts at which the vocabulary is reported; 5 is the tokenizers' default.
THRESHOLDS = (1, 2, 3, 5, 10)

#: (height, width) in pixels for which photos are opened: that of common encoders.
_SIZE = (224, 224)


@dataclass(frozen=True, slots=True)
class Summary:
    """Five numbers of a list of counts; all 0 for an empty list."""

    min: int
    mean: float
    median: float
    p95: float
    max: int

    @classmethod
    def of(cls, counts: Sequence[int]) -> Self:
        """Summarise; the 95th percentile is interpolated linearly."""
        if not counts:
            return cls(0, 0.0, 0.0, 0.0, 0)
        values = np.asarray(counts, dtype=np.int64)
        median, p95 = np.percentile(values, (50, 95))
        return cls(
            int(values.min()),
            round(float(values.mean()), 2),
            float(median),
            round(float(p95), 2),
            int(values.max()),
        )

    def __str__(self) -> str:
        return (
            f"{self.min} to {self.max}, mean {self.mean:.1f}, median {self.median:g}, "
            f"95% up to {self.p95:g}"
        )


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """One part of a data set.

    Attributes:
        images: photos that can be used.
        clips: clips and spans of clips that can be used.
        captions: of all of them.
        captions_per_image: summary over the pictures.
        words_per_caption: summary over the captions.
        repeated_captions: captions with the same words as another caption of the part.
    """

    images: int
    clips: int
    captions: int
    captions_per_image: Summary
    words_per_caption: Summary
    repeated_captions: int


@dataclass(frozen=True, slots=True)
class VocabularySize:
    """The vocabulary of the training captions at one threshold.

    Attributes:
        min_count: the threshold.
        words: number of distinct words, specials not counted.
        unknown_train: share of the training part's running words that are not among them, 0 to 1.
        unknown_dev: the same of the dev part; None if it has no words.
    """

    min_count: int
    words: int
    unknown_train: float
    unknown_dev: float | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What :func:`inspect` found.

    Attributes:
        name: of the data set.
        splits: counts by part; parts without pictures are absent.
        vocabulary: one entry per threshold; empty where no part is for training.
        problems: by kind, what was left out when reading, each as a line of text.
        missing: by part, captioned files that do not exist.
        clips: lengths and sizes of the clips; None if there are only photos.
        division: how the data set was split; None if its parts are as given.
        unreadable: photos that cannot be opened, with the reason; None if not checked.
        partial: photos that are incomplete; empty if not checked.
        duplicates: groups of names whose files (and spans) are equal, within one part.
        leaks: groups of ``name (part)`` whose files are equal across parts; the data set must not
            be used for training.
    """

    name: str
    splits: dict[str, SplitCounts]
    vocabulary: tuple[VocabularySize, ...]
    problems: dict[str, tuple[str, ...]]
    unreadable: tuple[str, ...] | None
    duplicates: tuple[tuple[str, ...], ...]
    leaks: tuple[tuple[str, ...], ...]
    missing: dict[str, Missing] = field(default_factory=dict)
    clips: ClipCounts | None = None
    division: Division | None = None
    partial: tuple[str, ...] = ()

    @property
    def mixed(self) -> bool:
        """Whether it contains both photos and clips."""
        kinds = self.splits.values()
        return any(part.images for part in kinds) and any(part.clips for part in kinds)

    @property
    def sound(self) -> bool:
        """Whether it can be used for training as it is: it has training examples and no leaks."""
        return "train" in self.splits and not self.leaks and not self.all_unreadable

    @property
    def all_unreadable(self) -> bool:
        """Whether all files were opened without success."""
        lost = len(self.unreadable or ()) + (len(self.clips.unreadable) if self.clips else 0)
        return 0 < lost == sum(part.images + part.clips for part in self.splits.values())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        division = None if self.division is None else self.division.model_dump(mode="json")
        return {**asdict(self), "division": division, "sound": self.sound}

    def to_text(self) -> str:
        """A readable report; long lists are cut to their first ten, with a count."""
        return "\n".join(page(self)) + "\n"


def inspect(
    dataset: Dataset,
    *,
    language: str = DEFAULT,
    open_images: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: Callable[[int, int], None] | None = None,
    clip_progress: Callable[[int, int], None] | None = None,
) -> Inspection:
    """Inspect a data set: find equal files, and open every clip to measure it.

    Args:
        dataset: from a reader.
        language: code of the language of the captions.
        open_images: also decode every photo, which takes some milliseconds each.
        max_pixels: larger photos count as unreadable.
        progress: called with the numbers of photos decoded and to decode.
        clip_progress: called with the numbers of clips opened and to open.
    """
    parts = {split: dataset.split(split) for split in SPLITS}
    tokens = {
        split: _tokens_of(examples, language_of(language)) for split, examples in parts.items()
    }
    groups = same_files(dataset.examples)
    photos = [example for example in dataset.examples if not example.is_clip]
    clips = [example for example in dataset.examples if example.is_clip]
    unreadable, partial = _faulty(photos, max_pixels, progress) if open_images else (None, ())
    problems: dict[str, list[str]] = {}
    for problem in dataset.problems:
        problems.setdefault(problem.kind, []).append(f"{problem.name}: {problem.message}")
    return Inspection(
        name=dataset.name,
        splits={
            split: _counts(examples, tokens[split]) for split, examples in parts.items() if examples
        },
        vocabulary=_vocabulary(tokens["train"], tokens["dev"]),
        problems={kind: tuple(messages) for kind, messages in problems.items()},
        unreadable=unreadable,
        partial=partial,
        duplicates=tuple(
            tuple(example.name for example in same)
            for split in SPLITS
            for group in duplicates(groups)
            if len(same := [example for example in group if example.split == split]) > 1
        ),
        leaks=tuple(
            tuple(f"{example.name} ({example.split})" for example in group)
            for group in leaks(groups)
        ),
        missing=dict(dataset.missing),
        clips=count_clips(clips, clip_progress, max_pixels) if clips else None,
        division=dataset.division,
    )


def _tokens_of(examples: Iterable[Example], language: Language) -> list[tuple[str, ...]]:
    return [tuple(language.tokens(text)) for example in examples for text in example.captions]


def _counts(examples: Sequence[Example], tokens: Sequence[tuple[str, ...]]) -> SplitCounts:
    return SplitCounts(
        images=sum(not example.is_clip for example in examples),
        clips=sum(example.is_clip for example in examples),
        captions=len(tokens),
        captions_per_image=Summary.of([len(example.captions) for example in examples]),
        words_per_caption=Summary.of([len(caption) for caption in tokens]),
        repeated_captions=len(tokens) - len(set(tokens)),
    )


def _vocabulary(
    train: Sequence[tuple[str, ...]], dev: Sequence[tuple[str, ...]]
) -> tuple[VocabularySize, ...]:
    counts = Counter(word for caption in train for word in caption)
    counts_dev = Counter(word for caption in dev for word in caption)
    if not counts:
        return ()
    entries = []
    for min_count in THRESHOLDS:
        known = {word for word, count in counts.items() if count >= min_count}
        unknown_dev = _unknown(counts_dev, known) if counts_dev else None
        entries.append(VocabularySize(min_count, len(known), _unknown(counts, known), unknown_dev))
    return tuple(entries)


def _unknown(counts: Counter[str], known: set[str]) -> float:
    """Share of the running words outside ``known``, 0 to 1."""
    return sum(count for word, count in counts.items() if word not in known) / counts.total()


def _faulty(
    examples: Sequence[Example],
    max_pixels: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Photos that cannot be opened, and incomplete ones."""
    unreadable: list[str] = []
    partial: list[str] = []
    for done, example in enumerate(examples, start=1):
        try:
            # At the small size of encoders: a very large JPEG that they can use is not a fault.
            opened = read_image(example.path, max_pixels=max_pixels, target_size=_SIZE)
            partial.extend(f"{example.name}: {warning}" for warning in opened.warnings)
        except MediaError as error:
            unreadable.append(f"{example.name}: {error.reason}")
        if progress is not None:
            progress(done, len(examples))
    return tuple(unreadable), tuple(partial)
