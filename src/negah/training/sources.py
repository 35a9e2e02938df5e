"""Training sources: training and validation data behind one interface.

Stored photos or clips, photos augmented anew in every epoch, clips made of photos (montage), or
these together with clips of storyboards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from negah.data import Dataset, Example, check_no_leak
from negah.data.feature_files import Failure
from negah.errors import DataError
from negah.media.kinds import is_clip
from negah.models import Encoder
from negah.training.augmented import AugmentedSource, find_unreadable, refuse_clips
from negah.training.batches import Batch
from negah.training.classes import add_classes, tell_classes
from negah.training.clips import ClipOptions
from negah.training.environment import Environment
from negah.training.features import BLANK_FOLDER, FeatureFolder, Views, item_of, prepare_features
from negah.training.inputs import HeldOut, Stored
from negah.training.montage import Montage
from negah.training.padding import TrunkOutput, pad_clips, unpad_clips
from negah.training.recipe import Recipe
from negah.training.reports import Reporter
from negah.training.storyboards import Boards, StoryboardClips, measure_implants
from negah.training.supported import show_concepts


class TrainingSource(Protocol):
    """The data of a training.

    Attributes:
        training: the readable photos or clips of the part train.
        captions: the captions of each item of an epoch; a :class:`~negah.training.batches.Batch`
            refers to items by their index here.
        held_out: validation sets by name; their mean CIDEr-D selects the best epoch. The scores of
            ``""`` are logged under their own names, those of others with their name as prefix.
    """

    training: Sequence[Example]
    captions: Sequence[Sequence[str]]
    held_out: dict[str, HeldOut]

    def facts(self) -> dict[str, Any]:
        """Facts for ``run.json`` that must agree when a run is resumed."""

    def vocabulary_captions(self) -> list[str]:
        """Every training caption once, for the vocabulary."""

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        """The trunk's output for a batch; called in a thread, ahead of its step.

        It depends only on the batch and the epoch, so that a resumed run reads the same.
        """


class StoredSource:
    """Stored photos or clips, optionally mirrored (see :class:`TrainingSource`).

    Args:
        views: ``plain`` and, if mirrored, ``flip``.
        training: of the part train.
        held_out: of the part dev.
    """

    def __init__(
        self, views: Views, training: Sequence[Example], held_out: Sequence[Example]
    ) -> None:
        self.training = training
        self.captions: Sequence[Sequence[str]] = [example.captions for example in training]
        self.held_out: dict[str, HeldOut] = {
            "": HeldOut(held_out, Stored(views["plain"], held_out))
        }
        self._plain = Stored(views["plain"], training)
        self._flip = Stored(views["flip"], training) if "flip" in views else None

    def facts(self) -> dict[str, Any]:
        """The number of training photos or clips."""
        return {"training_photos": len(self.training)}

    def vocabulary_captions(self) -> list[str]:
        """Those of the part train."""
        return [caption for example in self.training for caption in example.captions]

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        """The same in every epoch, but for what is mirrored."""
        stored = self._plain(batch.photos)
        if self._flip is not None and batch.flipped.any():
            mirrored = self._flip(batch.photos[batch.flipped]).trunk
            # of the same clips, so never longer
            chosen = torch.from_numpy(batch.flipped)
            if stored.real_BF is None:
                stored.trunk[chosen] = mirrored
            else:
                stored.trunk[chosen, : mirrored.shape[1]] = mirrored
        return stored


class MontageSource(StoredSource):
    """Montages of stored views of photos, also validated on photos.

    Args:
        views: those that a montage needs.
        training: of the part train.
        held_out: of the part dev.
        recipe: with a montage.
        blanks: the folder of the blank pictures.
    """

    def __init__(
        self,
        views: Views,
        training: Sequence[Example],
        held_out: Sequence[Example],
        recipe: Recipe,
        blanks: Path,
    ) -> None:
        super().__init__(views, training, held_out)
        seed, flips = recipe.training.seed, recipe.training.flips
        self._learning, validated = (
            Montage(
                views, part, recipe.clips, blanks,
                flips=flips, training=part is training, seed=seed,
            )
            for part in (training, held_out)
        )  # fmt: skip
        self.held_out["montage"] = HeldOut(held_out, validated.held_out)

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        """Clips sampled in every epoch."""
        return self._learning.learn(batch, epoch)


class StoryboardSource:
    """Photos or montages, followed by clips of storyboards (see :class:`TrainingSource`).

    Args:
        photos: the first items of an epoch.
        boards: of both parts, without unreadable photos.
        views: stores of single pictures, those of the boards' photos among them.
        recipe: with storyboards.
        encoder: whose map the features are of, and whose concepts are shown if they are.

    Raises:
        UsageError: concepts are to be shown, but the encoder has none.
    """

    def __init__(
        self,
        photos: StoredSource,
        boards: Boards,
        views: Views,
        recipe: Recipe,
        encoder: Encoder,
    ) -> None:
        options, implants = recipe.clips.storyboards, None
        assert options is not None
        if boards.classifier_LC is not None:
            implants = measure_implants(boards.classifier_LC, views, boards.photos)
        elif options.implants in ("concepts", "both"):
            said = {example.path.resolve(): example.captions for example in photos.training}
            told, implants = show_concepts(boards, encoder.concepts, views, said)
            if boards.logits_NL is not None:
                told, implants = add_classes(boards, told, implants, views)
            boards = told
        self.training = photos.training
        self.storyboard_captions = boards.epoch_captions(len(photos.training), recipe.clips)
        self.captions: Sequence[Sequence[str]] = [*photos.captions, *self.storyboard_captions]
        self.held_out = dict(photos.held_out)
        self._photos, self._boards = photos, boards
        self._clips, validated = (
            StoryboardClips(
                boards.split(part), boards.photos, views, recipe.clips, encoder.grid, implants,
                recipe.training.seed,
            )
            for part in ("train", "dev")
        )  # fmt: skip
        if validated.boards:
            examples = [Example(b.name, Path(b.name), b.captions, "dev") for b in validated.boards]
            self.held_out["storyboards"] = HeldOut(examples, validated.held_out)

    def facts(self) -> dict[str, Any]:
        """The number of photos, and the storyboards."""
        return {**self._photos.facts(), "storyboards": self._boards.facts()}

    def vocabulary_captions(self) -> list[str]:
        """A storyboard that is used several times in an epoch is counted once."""
        captions = self._photos.vocabulary_captions()
        groups = dict.fromkeys(self.storyboard_captions)
        return captions + [text for group in groups for text in group]

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        """Clips of photos and of storyboards, sampled in every epoch."""
        return read_mixed(batch, epoch, self._photos.read, self._clips, len(self.training))


def read_mixed(
    batch: Batch,
    epoch: int,
    read_photos: Callable[[Batch, int], TrunkOutput],
    boards: StoryboardClips,
    photos: int,
) -> TrunkOutput:
    """A mixed batch: indices below ``photos`` are clips of photos, the others storyboards."""
    is_photo_B = batch.photos < photos
    clips: dict[int, Tensor] = {}
    if is_photo_B.any():
        part = replace(batch, photos=batch.photos[is_photo_B], flipped=batch.flipped[is_photo_B])
        stored = read_photos(part, epoch)
        clips |= zip(np.flatnonzero(is_photo_B).tolist(), unpad_clips(stored), strict=True)
    if not is_photo_B.all():
        stored = boards.learn(batch.photos[~is_photo_B] - photos, epoch)
        clips |= zip(np.flatnonzero(~is_photo_B).tolist(), unpad_clips(stored), strict=True)
    return pad_clips([clips[place] for place in range(len(batch.photos))])


def open_source(
    recipe: Recipe,
    dataset: Dataset,
    encoder: Encoder,
    boards: Boards | None,
    environment: Environment,
) -> TrainingSource:
    """Compute missing frozen features, and open the training source.

    With ``training.augment`` only features of the part dev are stored, and every photo of the part
    train is decoded once, to find unreadable ones.

    Args:
        recipe: of the training.
        dataset: with the parts train and dev.
        encoder: provides the trunk.
        boards: the recipe's storyboards, if any.
        environment: with the folder of features and the reporter.

    Raises:
        DataError: a photo is in two parts, photos where clips are wanted or clips where photos
            are, a part without anything to learn from or to validate on.
    """
    report, training = environment.reporter, recipe.training
    examples = [e for e in dataset.examples if e.split in ("train", "dev")]
    check_no_leak(dataset)
    check_kinds(examples, recipe.clips)
    if training.augment is not None:
        refuse_clips(examples)
    examples += [] if boards is None else boards.beside(dataset.examples)
    stored = [e for e in examples if e.split in training.stored_parts]
    folder = FeatureFolder(
        environment.features, environment.max_pixels, report.features, environment.processes
    )
    views = prepare_features(
        encoder, stored, folder,
        flips=training.flips, clips=recipe.clips, device=environment.fabric.device,
    )  # fmt: skip
    shown = recipe.clips.storyboards
    if boards is not None and shown is not None and shown.implants == "both":
        boards = tell_classes(boards, recipe.encoder, folder, environment.fabric.device)
    known, failures = readable(stored, views)
    if training.augment is not None:
        decoded = [e for e in examples if e.split not in training.stored_parts]
        size = training.augment.decoded_size(encoder.preprocessing.size)
        failures += find_unreadable(decoded, size, environment)
        lost = {failure.path for failure in failures}
        known += [e for e in decoded if str(e.path) not in lost]
    learned, held_out = usable(known, failures, report)
    if training.augment is not None:
        validated = HeldOut(held_out, Stored(views["plain"], held_out))
        return AugmentedSource(learned, validated, encoder, training, environment)
    if recipe.clips.montage is None:
        photos = StoredSource(views, learned, held_out)
    else:
        blanks = environment.features / BLANK_FOLDER
        photos = MontageSource(views, learned, held_out, recipe, blanks)
    if boards is None:
        return photos
    source = StoryboardSource(photos, boards.readable(views), views, recipe, encoder)
    kind = "photos" if recipe.clips.frames == 1 else "clips"
    report.message(
        f"{len(source.storyboard_captions):,} of {len(source.captions):,} {kind} of an epoch are "
        "storyboards"
    )
    return source


def check_kinds(examples: Sequence[Example], clips: ClipOptions) -> None:
    """Refuse photos if clips are needed, and clips if photos are made into clips.

    Raises:
        DataError: with what to change.
    """
    if clips.frames == 1:
        return
    for example in examples:
        if clips.montage is None and not is_clip(example.path):
            raise DataError(
                f"{example.path} is a photo, but clips.frames={clips.frames} is for clips. Train "
                "on photos with clips.frames=1, or make clips of them with clips.montage={}."
            )
        if clips.montage is not None and is_clip(example.path):
            raise DataError(
                f"{example.path} is a clip, but clips.montage makes clips of photos. Train on "
                f"clips with clips.montage=null, in a separate data set."
            )


def readable(examples: Sequence[Example], views: Views) -> tuple[list[Example], list[Failure]]:
    """The examples with stored features, and the failures of the others."""
    # the stores are shared and also contain failures of other data sets
    wanted = {str(item_of(example)) for example in examples}
    failures = {f.path: f for store in views.values() for f in store.failures if f.path in wanted}
    known = [e for e in examples if views["plain"].row(item_of(e)) is not None]
    return known, list(failures.values())


def usable(
    known: Sequence[Example], failures: Sequence[Failure], report: Reporter
) -> tuple[list[Example], list[Example]]:
    """Training and dev examples with captions; failures are reported.

    Raises:
        DataError: one of the two would be empty.
    """
    if failures:
        named = ", ".join(f"{failure.path} ({failure.reason})" for failure in failures[:3])
        report.message(
            f"{len(failures)} photographs or clips could not be read and are left out: {named}"
        )
    training = [e for e in known if e.split == "train" and e.captions]
    held_out = [e for e in known if e.split == "dev" and e.captions]
    if not training:
        raise DataError(
            "no photograph of the part 'train' has a caption; there is nothing to train on"
        )
    if not held_out:
        raise DataError(
            "no photograph is in the part 'dev', so the best epoch cannot be selected. Hold some "
            "out with --dev-fraction 0.1, or add a split column."
        )
    return training, held_out
