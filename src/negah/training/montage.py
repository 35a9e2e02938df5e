"""Montages: clips made of photographs, sampled anew in every epoch from stored views.

The camera of a clip stands still, moves over the photo (from one part of it to another, in order),
or jumps. Distractor frames, another photo of the batch or a blank picture, are at the beginning, at
the end, or scattered; at least half of the frames are the photo's own. A clip depends on the seed,
the epoch, the photo and the other photos of the batch, not on earlier random numbers: a resumed run
continues with the same clips.

Axes: B clips, F frames, then the axes of the trunk's output; X frames of all clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from negah.arrays import BoolArray, IntArray
from negah.data import Example
from negah.training.batches import Batch
from negah.training.clips import ClipOptions, MontageOptions
from negah.training.features import BLANKS, ViewName, Views, blank_pictures, crop_views, item_of
from negah.training.padding import TrunkOutput, pad_clips

#: Random streams, separate from those of the batches.
_LEARNING, _HELD_OUT = 1, 2


@dataclass(frozen=True, slots=True)
class MontageFrame:
    """One frame of a montage.

    Attributes:
        photo: index among the examples; -1 for none.
        view: the view of the photo, or the name of a blank picture.
    """

    photo: int
    view: ViewName

    @property
    def blank(self) -> bool:
        """Whether it is a blank picture."""
        return self.photo < 0


def draw_clip(
    photo: int,
    others: Sequence[int],
    views: Sequence[ViewName],
    options: MontageOptions,
    most: int,
    random: np.random.Generator,
) -> list[MontageFrame]:
    """The frames of one clip, in order.

    Args:
        photo: of the clip.
        others: photos that may be distractors; if empty, only blank pictures are used.
        views: of the whole photo, then of its parts, in the order of camera movement.
        options: shares.
        most: maximum number of frames, 2 or more.
        random: the random generator.

    Returns:
        1 to ``most`` frames, at least half of them of ``photo``.
    """
    count = 1 if random.random() < options.single else int(random.integers(2, most + 1))
    strangers = 0
    if count > 1 and random.random() < options.distracted:
        strangers = int(random.integers(1, count // 2 + 1))
    own = [MontageFrame(photo, view) for view in _camera(views, count - strangers, random)]
    if not strangers:
        return own
    foreign = _foreign(others, views, strangers, options, random)
    where = random.integers(3)
    if where == 0:
        return foreign + own
    if where == 1:
        return own + foreign
    places = set(random.choice(count, strangers, replace=False).tolist())
    return [foreign.pop() if place in places else own.pop(0) for place in range(count)]


def _camera(views: Sequence[ViewName], count: int, random: np.random.Generator) -> list[ViewName]:
    """A still camera, a movement over the views in either direction, or random views."""
    movement = random.integers(3)
    first, last = random.integers(len(views), size=2)
    if movement == 0:
        return [views[first]] * count
    if movement == 1:
        return [views[at] for at in np.linspace(first, last, count).round().astype(int)]
    return [views[at] for at in random.integers(len(views), size=count)]


def _foreign(
    others: Sequence[int],
    views: Sequence[ViewName],
    count: int,
    options: MontageOptions,
    random: np.random.Generator,
) -> list[MontageFrame]:
    if not others or random.random() < options.blank:
        return [MontageFrame(-1, BLANKS[random.integers(len(BLANKS))])] * count
    other = others[int(random.integers(len(others)))]
    return [MontageFrame(other, view) for view in _camera(views, count, random)]


class Montage:
    """Composes clips from the stored views of photos.

    Args:
        views: stores of single pictures; those that ``options.montage`` needs are there.
        examples: the photos, by index.
        options: with a montage.
        folder: of the blank pictures.
        flips: whether some clips of the training part are mirrored.
        training: whether these are of the training part.
        seed: of the run.
    """

    def __init__(
        self,
        views: Views,
        examples: Sequence[Example],
        options: ClipOptions,
        folder: Path,
        *,
        flips: bool,
        training: bool,
        seed: int,
    ) -> None:
        assert options.montage is not None
        self.stores = views
        self.options = options.montage
        self.most = options.frames
        self.seed = seed
        crops, mirrored = crop_views(options.montage, flips=flips)
        self.views: dict[bool, list[ViewName]] = {
            False: ["plain", *crops],
            True: ["flip", *mirrored],
        }
        items = [item_of(example) for example in examples]
        used = ["plain", *crops, *(["flip", *mirrored] if flips and training else [])]
        self.rows = {view: views[view].rows(items) for view in used}
        blanks = views["plain"].rows(blank_pictures(folder))
        self.blanks = dict(zip(BLANKS, blanks.tolist(), strict=True))

    def learn(self, batch: Batch, epoch: int) -> TrunkOutput:
        """Clips of a training batch."""
        return self.read(self.draw(batch.photos, batch.photos, batch.flipped, _LEARNING, epoch))

    def held_out(self, photos: IntArray) -> TrunkOutput:
        """The validation clips: the same in every epoch and in any batch."""
        every = np.arange(len(self.rows["plain"]))
        never = np.zeros(len(photos), dtype=np.bool_)
        return self.read(self.draw(photos, every, never, _HELD_OUT, 0))

    def draw(
        self, photos: IntArray, pool: IntArray, flipped: BoolArray, stream: int, epoch: int
    ) -> list[list[MontageFrame]]:
        """One clip of each photo.

        Args:
            photos: int64 (B,).
            pool: photos that may be distractors.
            flipped: whether each clip is mirrored, bool (B,).
            stream: of random numbers.
            epoch: counted from 0.
        """
        clips = []
        for photo, mirrored in zip(photos.tolist(), flipped.tolist(), strict=True):
            random = np.random.default_rng([self.seed, stream, epoch, photo])
            others = [other for other in pool.tolist() if other != photo]
            views = self.views[mirrored]
            clips.append(draw_clip(photo, others, views, self.options, self.most, random))
        return clips

    def read(self, clips: Sequence[Sequence[MontageFrame]]) -> TrunkOutput:
        """The stored features of some clips, padded with zeros to the longest."""
        picks = [pick for clip in clips for pick in clip]
        trunk_X = np.empty((len(picks), *self.stores["plain"].key.shape), dtype=np.float32)
        wanted: dict[ViewName, list[tuple[int, int]]] = {}
        for place, pick in enumerate(picks):
            view = "plain" if pick.blank else pick.view
            row = self.blanks[pick.view] if pick.blank else int(self.rows[view][pick.photo])
            wanted.setdefault(view, []).append((place, row))
        for view, found in wanted.items():
            places, rows = np.array(found).T
            trunk_X[places] = self.stores[view].read(rows)
        ends = np.cumsum([len(clip) for clip in clips])[:-1]
        return pad_clips([torch.from_numpy(trunk_F) for trunk_F in np.split(trunk_X, ends)])
