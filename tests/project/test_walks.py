"""The two walks through the house, no longer than the plan allows, and never back up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from common import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from walks import Walk, batch_to_loss, photo_to_caption


def check(walk: Walk, most: int) -> None:
    assert len(walk.modules) <= most, walk.modules
    assert not walk.back_up, "a module calls one that waits for it"


def test_a_photo_to_its_caption() -> None:
    walk = photo_to_caption(REPOSITORY / "examples" / "photos" / "cat.jpg")
    check(walk, 12)
    assert {"media/images", "runtime/onnx", "decoding/beam"} <= set(walk.modules)


def test_a_batch_to_its_loss(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs the train extra")
    walk = batch_to_loss(tmp_path)
    check(walk, 15)
    assert {"data/feature_store", "training/loop", "models/cam_rnn"} <= set(walk.modules)
