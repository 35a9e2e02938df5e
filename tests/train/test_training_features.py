"""Stored features: what PyTorch's trunk gives, in half precision, mirrored where asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnxruntime")

import torch

from negah.media import open_image
from negah.models import load_encoder
from negah.training.features import FeatureFolder, feature_key, prepare_features
from tiny_training import tiny_dataset, tiny_recipe


def test_stored_features_are_the_trunks(tmp_path: Path) -> None:
    """Through ONNX on a CPU. It draws nothing by chance: a run must not depend on the store."""
    torch.manual_seed(0)
    encoder = load_encoder(tiny_recipe("encoder.name=resnet10t").encoder)
    with torch.no_grad():  # random weights shrink what passes them: something to compare
        next(encoder.trunk_blocks.parameters()).mul_(30)
    examples = [e for e in tiny_dataset(tmp_path / "pictures").examples if e.name >= "08"]
    seen: list[tuple[str, int, int]] = []
    before = torch.get_rng_state()

    def prepare() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float16]]]:
        views = prepare_features(
            encoder,
            examples,
            FeatureFolder(tmp_path / "features", progress=lambda *numbers: seen.append(numbers)),
            flips=True,
            device=torch.device("cpu"),
        )
        return {view: store.read(range(len(store))) for view, store in views.items()}

    stored = prepare()
    assert torch.equal(torch.get_rng_state(), before)
    # the dev part is never mirrored
    assert {view: len(rows) for view, rows in stored.items()} == {"plain": 10, "flip": 6}
    assert seen == [("plain", 0, 10), ("plain", 10, 10), ("flip", 0, 6), ("flip", 6, 6)]
    pixels_N3HW = np.stack([encoder.preprocessing.apply(open_image(e.path)) for e in examples])
    for view, pixels in (("plain", pixels_N3HW), ("flip", pixels_N3HW[:6, ..., ::-1].copy())):
        expected = encoder.trunk(torch.from_numpy(pixels)).numpy()
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(stored[view], expected, rtol=2e-3, atol=2e-3)
    again = prepare()
    assert all(np.array_equal(again[view], rows) for view, rows in stored.items())
    assert seen[4:] == [("plain", 10, 10), ("flip", 6, 6)]


def test_the_key_knows_where_the_trunk_ends() -> None:
    keys = []
    for blocks in (0, 1):
        torch.manual_seed(0)
        encoder = load_encoder(tiny_recipe(f"encoder.trainable_blocks={blocks}").encoder)
        keys.append(feature_key(encoder, "plain"))
        assert keys[-1].shape == encoder.trunk_shape
        assert keys[-1].weights_sha256 == encoder.fingerprint()
        assert feature_key(encoder, "flip").folder_name != keys[-1].folder_name
    assert keys[0].folder_name != keys[1].folder_name
