"""Batches: complete, in an order that depends on (seed, epoch) alone, padded right.

Axes: B photos, K captions of each, T words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs the train extra")

from negah.text import EOS, PAD, SOS
from negah.training.batches import Batch, Batches
from negah.training.padding import pad_captions

WORDS = st.integers(4, 30)
CAPTION = st.lists(WORDS, min_size=0, max_size=7)
PHOTOS = st.lists(st.lists(CAPTION, min_size=1, max_size=4), min_size=1, max_size=12)


def equal(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, other, strict=True)
        for name in ("photos", "flipped", "inputs_BKT", "targets_BKT")
    )


def unpad(batch: Batch) -> list[list[list[int]]]:
    """The captions of a batch, from its inputs, once the targets were seen to agree."""
    captions: list[list[list[int]]] = []
    for inputs_KT, targets_KT in zip(batch.inputs_BKT, batch.targets_BKT, strict=True):
        captions.append([])
        for inputs_T, targets_T in zip(inputs_KT, targets_KT, strict=True):
            length = int((inputs_T != PAD).sum())
            assert (inputs_T[length:] == PAD).all()
            assert (targets_T[length:] == PAD).all()
            if not length:  # this photo has fewer captions
                continue
            assert inputs_T[0] == SOS
            assert targets_T[length - 1] == EOS
            assert (inputs_T[1:length] == targets_T[: length - 1]).all()
            captions[-1].append([int(token) for token in inputs_T[1:length]])
    return captions


@given(
    photos=PHOTOS,
    size=st.integers(1, 5),
    per_photo=st.integers(1, 4),
    seed=st.integers(0, 2**31 - 1),
    epoch=st.integers(0, 50),
)
@settings(max_examples=80, deadline=None)
def test_an_epoch(
    photos: list[list[list[int]]], size: int, per_photo: int, seed: int, epoch: int
) -> None:
    make: Any = lambda: Batches(photos, photos=size, per_photo=per_photo, flips=True, seed=seed)  # noqa: E731
    batches = make()
    found = batches.epoch(epoch)
    size = min(size, len(photos))
    assert len(found) == len(batches) == len(photos) // size
    # every photo at most once; as many as fit into full batches
    seen = [int(photo) for batch in found for photo in batch.photos]
    assert len(seen) == len(set(seen)) == len(found) * size
    for batch in found:
        assert batch.inputs_BKT.shape == batch.targets_BKT.shape
        assert batch.inputs_BKT.dtype == batch.targets_BKT.dtype == np.int64
        captions = unpad(batch)
        # no wider and no longer than needed
        assert batch.inputs_BKT.shape[1] == max(map(len, captions))
        assert batch.inputs_BKT.shape[2] == 1 + max(len(c) for photo in captions for c in photo)
        for photo, own in zip(batch.photos, captions, strict=True):
            assert [len(c) for c in own] == sorted(map(len, own), reverse=True)
            left = [list(c) for c in photos[photo]]
            assert len(own) == min(per_photo, len(left))
            for caption in own:  # each from this photo, none twice
                left.remove(caption)
    # a function of (seed, epoch): asked again, in whatever order, by whatever instance
    assert equal(make().epoch(epoch), found)
    batches.epoch(epoch + 1)
    assert equal(batches.epoch(epoch), found)


CAPTIONS = [[[4] * (1 + (photo * k) % 9) for k in range(5)] for photo in range(400)]


def test_epochs_and_seeds_differ() -> None:
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        batches = Batches(CAPTIONS, photos=16, per_photo=5, flips=True, seed=seed)
        return tuple(int(p) for batch in batches.epoch(epoch) for p in batch.photos)

    orders = {order(seed, epoch) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_about_half_are_flipped() -> None:
    batches = Batches(CAPTIONS, photos=16, per_photo=5, flips=True, seed=0)
    flipped = np.concatenate([b.flipped for epoch in range(5) for b in batches.epoch(epoch)])
    assert len(flipped) == 2000
    assert abs(flipped.mean() - 0.5) < 4 * 0.5 / 2000**0.5  # four standard deviations
    never = Batches(CAPTIONS, photos=16, per_photo=5, flips=False, seed=0)
    assert not any(batch.flipped.any() for batch in never.epoch(0))


def test_flips_change_nothing_else() -> None:
    with_flips = Batches(CAPTIONS, photos=16, per_photo=3, flips=True, seed=0).epoch(2)
    without = Batches(CAPTIONS, photos=16, per_photo=3, flips=False, seed=0).epoch(2)
    for one, other in zip(with_flips, without, strict=True):
        np.testing.assert_array_equal(one.photos, other.photos)
        np.testing.assert_array_equal(one.inputs_BKT, other.inputs_BKT)


def test_all_captions_of_a_photo_are_seen_in_time() -> None:
    captions = [[[4 + k] for k in range(6)]]
    batches = Batches(captions, photos=4, per_photo=2, flips=False, seed=0)
    seen = {c[0] for epoch in range(30) for c in unpad(batches.epoch(epoch)[0])[0]}
    assert seen == {4 + k for k in range(6)}


def test_photos_of_like_length_come_together() -> None:
    """Less padding than in a random order."""
    random = np.random.default_rng(0)
    captions = [[[4] * int(random.integers(5, 20))] for _ in range(320)]
    padded = [
        (batch.inputs_BKT == PAD).mean()
        for batch in Batches(captions, photos=16, per_photo=1, flips=False, seed=0).epoch(0)
    ]
    shuffled = random.permutation(320).reshape(20, 16)
    by_chance = [(pad_captions([captions[p] for p in row])[0] == PAD).mean() for row in shuffled]
    assert np.mean(padded) < np.mean(by_chance) / 2


def test_pad_captions() -> None:
    inputs, targets = pad_captions([[[5, 6], [7]], [[8]]])
    assert inputs.tolist() == [[[1, 5, 6], [1, 7, 0]], [[1, 8, 0], [0, 0, 0]]]
    assert targets.tolist() == [[[5, 6, 2], [7, 2, 0]], [[8, 2, 0], [0, 0, 0]]]
