"""Clips made of storyboards, sampled anew in every epoch.

A storyboard's clip shows one or two of its most similar photos in sequence, and implants of its
words with ImageNet classes: mostly those that the photo's own captions do not contain, not in every
frame, and at a different position in each. As with a montage, a clip depends on the seed, the epoch
and its index, so that a resumed run continues with the same clips.

Axes: B clips, F frames, R regions, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from negah.arrays import FloatArray, IntArray
from negah.data import Example
from negah.data.splits import leaks, same_files
from negah.data.storyboards import Storyboard, read_storyboards
from negah.errors import DataError, UsageError
from negah.media.kinds import is_clip
from negah.models import EncoderOptions
from negah.models.backbones import load_classifier
from negah.training.clips import ClipOptions, StoryboardOptions
from negah.training.features import ViewName, Views, crop_views, item_of
from negah.training.implants import Implants
from negah.training.padding import TrunkOutput, pad_clips

#: Random streams, separate from those of batches and montages.
_LEARNING, _HELD_OUT = 3, 4
#: Sharpness of sampling: a photo with a fit higher by 0.1 is sampled more often by exp(this / 10).
_SHARPNESS = 12.0
#: Share of the clips of two frames and more that show two photos.
_TWO = 0.5
#: Share of the frames in which a word of every sentence is implanted. For a word of a share of the
#: sentences, this times (1.5 times the share, plus 0.2).
_SEEN = 0.7
#: Remaining share of those frames if the photo's own captions contain the word.
_AGAIN = 0.3
#: Number of photos read at a time to measure their features.
_BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Boards:
    """Storyboards with their photos as files.

    Attributes:
        boards: with photos by index in :attr:`photos`.
        photos: examples of the part ``train``, without captions.
        file: its name.
        sha256: of the file.
        classifier_LC: classifier weights for implants of classes; None for no classes.
        logits_NL: of ImageNet's classes for each photo, NaN where it could not be read; None where
            none are asked for (:mod:`negah.training.classes`).
    """

    boards: tuple[Storyboard, ...]
    photos: tuple[Example, ...]
    file: str
    sha256: str
    classifier_LC: FloatArray | None
    logits_NL: FloatArray | None = None

    def split(self, name: str) -> list[Storyboard]:
        """Those of one part."""
        return [board for board in self.boards if board.split == name]

    def beside(self, examples: Sequence[Example]) -> list[Example]:
        """The photos that are not among the training ``examples`` already.

        Args:
            examples: of all parts of the data set.

        Raises:
            DataError: one of them, or a copy of it, is held out among ``examples``.
        """
        known = {example.path.resolve(): example.split for example in examples}
        there = [photo for photo in self.photos if photo.path.is_file()]
        held_out = [example for example in examples if example.split in ("dev", "test")]
        for group in leaks(same_files([*held_out, *there])):
            names = " = ".join(dict.fromkeys(str(example.path) for example in group))
            split = next(example.split for example in group if example.split != "train")
            raise DataError(
                f"{names} is in the part {split}, but storyboards would show it in training. Make "
                "them from the same data sets with the same --dev-fraction."
            )
        return [photo for photo in there if photo.path.resolve() not in known]

    def readable(self, views: Views) -> Boards:
        """Without the photos whose features could not be computed.

        Raises:
            DataError: nothing is left of the part ``train``.
        """
        rows = [views["plain"].row(item_of(photo)) for photo in self.photos]
        kept = [_keep(board, lambda photo: rows[photo] is not None) for board in self.boards]
        found = replace(self, boards=tuple(board for board in kept if board is not None))
        if not found.split("train"):
            raise DataError("no photo of any storyboard could be read")
        return found

    def facts(self) -> dict[str, Any]:
        """Facts about its storyboards that must agree when a run is resumed."""
        used = sorted({shown.photo for board in self.boards for shown in board.photos})
        names = "".join(f"\n{self.photos[photo].name}" for photo in used)
        training = self.split("train")
        return {
            "file": self.file,
            "boards": len(training),
            "sentences": sum(len(board.captions) for board in training),
            "photos": len({shown.photo for board in training for shown in board.photos}),
            "sha256": hashlib.sha256(f"{self.sha256}{names}".encode()).hexdigest(),
        }

    def epoch_captions(self, photos: int, options: ClipOptions) -> list[tuple[str, ...]]:
        """The captions of an epoch's storyboards: all in order, repeated as necessary.

        Args:
            photos: clips of photos in an epoch.
            options: with storyboards.
        """
        assert options.storyboards is not None
        captions = [board.captions for board in self.split("train")]
        share = options.storyboards.share
        times = max(1, round(share / (1 - share) * photos / len(captions)))
        return captions * times


def load_boards(options: StoryboardOptions, encoder: EncoderOptions) -> Boards:
    """Read the storyboards of a recipe, and the classifier for its implants.

    Raises:
        UsageError: none are named, there is no such file or folder, or the encoder's weights are
            not its own or have no classifier of ImageNet.
        DataError: the file is not a storyboard file, has none of the part ``train``, or none of its
            photos exists.
    """
    if not options.file:
        raise UsageError(
            "this recipe trains on storyboards, but none are given: "
            "--set clips.storyboards.file=boards.jsonl --set clips.storyboards.images=FOLDER. "
            "Make them with: negah data storyboards"
        )
    path, folder = Path(options.file), Path(options.images)
    if not path.is_file():
        raise UsageError(
            f"clips.storyboards.file={options.file}: no such file. "
            "Make one with: negah data storyboards"
        )
    if not folder.is_dir():
        raise UsageError(f"clips.storyboards.images={options.images}: no such folder")
    stored = read_storyboards(path)
    photos = tuple(Example(name, folder / name, (), "train") for name in stored.photos)
    wrong = [photo.name for photo in photos if is_clip(photo.path)]
    if wrong:
        raise DataError(f"{path}: storyboards show photos, and {wrong[0]} is a clip")
    there = [photo.path.is_file() for photo in photos]
    if not any(there):
        raise DataError(
            f"none of the {len(photos):,} photos of {path} is below {folder}, such as "
            f"{photos[0].name}: set clips.storyboards.images to the folder to which their names "
            f"are relative"
        )
    boards = tuple(
        found for board in stored.boards if (found := _keep(board, lambda photo: there[photo]))
    )
    if not any(board.split == "train" for board in boards):
        raise DataError(f"{path}: no storyboard of the part train has an existing photo")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    classifier_LC = _classifier(encoder) if options.implants == "classes" else None
    return Boards(boards, photos, path.name, sha256, classifier_LC)


def _keep(board: Storyboard, usable: Callable[[int], bool]) -> Storyboard | None:
    """A storyboard without the photos that cannot be used; None if none is left."""
    kept = [place for place, shown in enumerate(board.photos) if usable(shown.photo)]
    if not kept:
        return None
    where = {place: number for number, place in enumerate(kept)}
    words = tuple(
        replace(word, borne_out=tuple(where[at] for at in word.borne_out if at in where))
        for word in board.words
    )
    return replace(board, photos=tuple(board.photos[place] for place in kept), words=words)


def _classifier(options: EncoderOptions) -> FloatArray:
    """The ImageNet classifier of an encoder, float32 (1000, C)."""
    weights = options.weights
    if weights not in ("auto", "package", "timm") and not Path(weights).is_file():
        raise UsageError(
            f"clips.storyboards.implants=classes needs the encoder's ImageNet weights with their "
            f"classifier, not encoder.weights={weights}: set that to package, timm or the path of "
            "their file, or implants to concepts or none"
        )
    return np.asarray(load_classifier(options.name, weights).numpy())


def measure_implants(
    classifier_LC: FloatArray, views: Views, photos: Sequence[Example]
) -> Implants:
    """Measure the implants of classes on the photos of storyboards."""
    store = views["plain"]
    rows = [row for photo in photos if (row := store.row(item_of(photo))) is not None]
    batches = (
        store.read(np.array(rows[first : first + _BATCH])).astype(np.float32)
        for first in range(0, len(rows), _BATCH)
    )
    return Implants.of(classifier_LC, batches)


class StoryboardClips:
    """Samples clips from storyboards, without mirroring.

    Args:
        boards: of one part; ``positions`` count them cyclically.
        photos: of the storyboards.
        views: stores of single pictures.
        options: with storyboards.
        grid: rows and columns of the encoder's map.
        implants: None for photos only.
        seed: of the run.
    """

    def __init__(
        self,
        boards: Sequence[Storyboard],
        photos: Sequence[Example],
        views: Views,
        options: ClipOptions,
        grid: tuple[int, int],
        implants: Implants | None,
        seed: int,
    ) -> None:
        assert options.storyboards is not None
        self.views = views
        self.options = options.storyboards
        self.most = options.frames
        self.grid = grid
        self.implants = implants
        self.seed = seed
        crops: list[ViewName] = []
        if options.montage is not None:
            crops, _ = crop_views(options.montage, flips=False)
        self.crops = [view for view in crops if view in views]
        items = [item_of(photo) for photo in photos]
        self.rows = {
            view: [views[view].row(item) for item in items] for view in ("plain", *self.crops)
        }
        self.boards = boards

    def learn(self, positions: IntArray, epoch: int) -> TrunkOutput:
        """Clips of a training batch, by the indices of the storyboards in an epoch."""
        return self._read(positions, _LEARNING, epoch)

    def held_out(self, positions: IntArray) -> TrunkOutput:
        """The validation clips: the same in every epoch and in any batch."""
        return self._read(positions, _HELD_OUT, 0)

    def _read(self, positions: IntArray, stream: int, epoch: int) -> TrunkOutput:
        clips = []
        for position in positions.tolist():
            random = np.random.default_rng([self.seed, stream, epoch, position])
            drawn_FRC = self._draw(self.boards[position % len(self.boards)], random)
            clips.append(torch.from_numpy(drawn_FRC))
        return pad_clips(clips)

    def _draw(self, board: Storyboard, random: np.random.Generator) -> FloatArray:
        """Features of one clip, float32 (F, R, C)."""
        count = int(random.integers(1, self.most + 1))
        fits = np.array([shown.fit for shown in board.photos])
        chances = np.exp(_SHARPNESS * (fits - fits.max()))
        shots = random.choice(
            len(fits), 2 if len(fits) > 1 and random.random() < _TWO else 1, replace=False,
            p=chances / chances.sum(),
        )  # fmt: skip
        labels = [int(random.choice(word.classes)) for word in board.words]
        gains = random.uniform(self.options.weakest, self.options.strongest, len(labels))
        frames = []
        for frame in range(count):
            place = int(shots[frame * len(shots) // count])
            regions_RC = self._picture(board.photos[place].photo, random)
            seen = []
            for word, label, gain in zip(board.words, labels, gains, strict=True):
                rate = min(1.0, 1.5 * word.share + 0.2) * (_AGAIN if place in word.borne_out else 1)
                if random.random() < rate * _SEEN:
                    seen.append((label, float(gain)))
            if self.implants is not None and seen:
                regions_RC = self.implants.add(regions_RC, self.grid, seen, random)
            frames.append(regions_RC)
        return np.stack(frames).astype(np.float32, copy=False)

    def _picture(self, photo: int, random: np.random.Generator) -> FloatArray:
        view: ViewName = "plain"
        if self.crops and random.random() < 0.5:
            view = self.crops[int(random.integers(len(self.crops)))]
        if self.rows[view][photo] is None:
            view = "plain"  # a view of part of it could not be read, but the whole photo could
        row = self.rows[view][photo]
        return np.asarray(self.views[view].read(np.array([row]))[0], dtype=np.float32)
