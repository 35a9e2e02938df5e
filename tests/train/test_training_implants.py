"""Features of classes that no photo shows, from the weights of a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.arrays import FloatArray
from negah.errors import UsageError
from negah.models import EncoderOptions
from negah.models.backbones import load_classifier, load_pretrained
from negah.training.implants import Implants

CHANNELS, CLASSES = 12, 5


def gaussian_classes(seed: int, spread: float = 0.05) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Means of classes, the weights of their best linear classifier, and features of both.

    All classes have one covariance; with a small spread their means lie close together against it.
    """
    random = np.random.default_rng(seed)
    means_LC = spread * random.normal(size=(CLASSES, CHANNELS))
    root_CC = random.normal(size=(CHANNELS, CHANNELS)) / np.sqrt(CHANNELS)
    covariance_CC = root_CC @ root_CC.T + 0.2 * np.eye(CHANNELS)
    weights_LC = np.linalg.solve(covariance_CC, means_LC.T).T
    labels = random.integers(CLASSES, size=20_000)
    noise_NC = random.multivariate_normal(np.zeros(CHANNELS), covariance_CC, size=len(labels))
    features_NRC = (means_LC[labels] + noise_NC)[:, None] + 10
    return means_LC, weights_LC.astype(np.float32), features_NRC.astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_the_classifier_tells_where_the_means_of_its_classes_are(seed: int) -> None:
    means_LC, weights_LC, features_NRC = gaussian_classes(seed)
    implants = Implants.of(weights_LC, np.array_split(features_NRC, 7))
    for direction_C, mean_C in zip(
        implants.directions_LC, means_LC - means_LC.mean(0), strict=True
    ):
        cosine = direction_C @ mean_C / np.linalg.norm(direction_C) / np.linalg.norm(mean_C)
        assert cosine > 0.98


@pytest.mark.parametrize("spread", [0.05, 2.0])
def test_directions_are_the_regression_of_features_on_the_logit(spread: float) -> None:
    """By least squares, however far apart the classes are."""
    _, weights_LC, features_NRC = gaussian_classes(4, spread)
    implants = Implants.of(weights_LC, [features_NRC])
    halves = ((half, half.mean(1) @ weights_LC.T) for half in np.array_split(features_NRC, 2))
    told = Implants.of_logits(halves)
    features_NC = features_NRC[:, 0].astype(np.float64)
    for label in range(CLASSES):
        logits_N = features_NC @ (weights_LC[label] - weights_LC.mean(0)).astype(np.float64)
        design_N2 = np.stack([logits_N, np.ones(len(logits_N))], axis=1)
        slopes_C = np.linalg.lstsq(design_N2, features_NC, rcond=None)[0][0]
        found_C = implants.directions_LC[label]
        # but for the shrinkage of the covariance
        assert np.linalg.norm(found_C - slopes_C) < 0.02 * np.linalg.norm(slopes_C)
        np.testing.assert_allclose(told.directions_LC[label], slopes_C, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(told.mean_C, implants.mean_C, rtol=1e-5)
    assert (told.lowest, told.highest) == (implants.lowest, implants.highest)


def test_a_gain_is_what_the_logit_rises_by_against_the_mean_of_all() -> None:
    _, weights_LC, features_NRC = gaussian_classes(0)
    implants = Implants.of(weights_LC, [features_NRC])
    wide = Implants(implants.directions_LC, implants.mean_C, -1e9, 1e9)
    regions_RC = np.repeat(implants.mean_C[None], 6, axis=0)  # nothing that it could hide
    for label in range(CLASSES):
        random = np.random.default_rng(label)
        after_RC = wide.add(regions_RC, (2, 3), [(label, 2.5)], random)
        risen_L = weights_LC @ (after_RC.mean(0) - regions_RC.mean(0))
        assert risen_L[label] - risen_L.mean() == pytest.approx(2.5, rel=1e-3)


@given(
    rows=st.integers(1, 12), columns=st.integers(1, 12), gain=st.floats(0, 50), seed=st.integers(0)
)
def test_an_implant_stays_in_the_range_of_features_and_leaves_the_picture_alone(
    rows: int, columns: int, gain: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    regions_RC = random.uniform(0, 6, (rows * columns, CHANNELS)).astype(np.float32)
    before_RC = regions_RC.copy()
    directions_LC = random.normal(size=(CLASSES, CHANNELS)).astype(np.float32)
    implants = Implants(directions_LC, np.full(CHANNELS, 2, np.float32), 0.0, 6.0)
    things = [(1, gain), (4, gain / 2)]
    after_RC = implants.add(regions_RC, (rows, columns), things, np.random.default_rng(seed))
    again_RC = implants.add(regions_RC, (rows, columns), things, np.random.default_rng(seed))
    assert after_RC.dtype == np.float32
    assert after_RC.shape == regions_RC.shape
    assert after_RC.min() >= 0
    assert after_RC.max() <= 6
    np.testing.assert_array_equal(regions_RC, before_RC)
    np.testing.assert_array_equal(after_RC, again_RC)


def test_an_implant_is_strong_in_one_rectangle_and_weak_around_it() -> None:
    implants = Implants(np.ones((1, 1), np.float32), np.zeros(1, np.float32), -1e9, 1e9)
    sizes = set()
    for seed in range(200):
        after_RC = implants.add(
            np.zeros((81, 1), dtype=np.float32), (9, 9), [(0, 1.0)], np.random.default_rng(seed)
        )
        map_HW = after_RC.reshape(9, 9)
        assert map_HW.mean() == pytest.approx(1, rel=1e-5)
        inside = map_HW > 0.21
        rows, columns = inside.any(1), inside.any(0)
        assert (inside == np.outer(rows, columns)).all()
        assert np.diff(np.flatnonzero(rows)).max(initial=1) == 1
        assert map_HW[~inside] == pytest.approx(0.2)
        sizes |= {int(rows.sum()), int(columns.sum())}
    assert sizes == {4, 5, 6, 7}


def test_what_comes_into_view_hides_what_is_behind_it() -> None:
    """Inside the rectangle two fifths are left of how a picture differs from the mean of all."""
    nothing = Implants(np.zeros((1, 2), np.float32), np.array([1, 3], np.float32), -1e9, 1e9)
    regions_RC = np.tile(np.array([[11, -7]], np.float32), (36, 1))
    after_RC = nothing.add(regions_RC, (6, 6), [(0, 5.0)], np.random.default_rng(1))
    hidden_R = (after_RC != regions_RC).any(1)
    assert 0 < hidden_R.sum() < 36
    np.testing.assert_allclose(
        after_RC[hidden_R], np.tile([[5, -1]], (hidden_R.sum(), 1)), rtol=1e-6
    )


def test_things_do_not_hide_each_other() -> None:
    directions_LC = np.eye(2, 3, dtype=np.float32)
    implants = Implants(directions_LC, np.zeros(3, np.float32), -1e9, 1e9)
    for seed in range(20):
        after_RC = implants.add(
            np.zeros((81, 3), np.float32), (9, 9), [(0, 3.0), (1, 5.0)], np.random.default_rng(seed)
        )
        assert after_RC.mean(0) == pytest.approx([3, 5, 0], rel=1e-5)


def test_features_that_the_classifier_does_not_read() -> None:
    weights_LC = np.zeros((3, 4), dtype=np.float32)
    with pytest.raises(UsageError, match="reads 4 channels, features have 5"):
        Implants.of(weights_LC, [np.zeros((2, 1, 5), dtype=np.float32)])
    with pytest.raises(UsageError, match="two photos or more"):
        Implants.of(weights_LC, [np.zeros((1, 1, 4), dtype=np.float32)])
    # photos that are all alike tell nothing, and break nothing
    same = Implants.of(weights_LC + 1, [np.ones((3, 2, 4), dtype=np.float32)])
    assert np.isfinite(same.directions_LC).all()


# -- the classifier of an encoder ---------------------------------------------------------------


def test_the_classifier_is_that_of_the_weights() -> None:
    options = EncoderOptions(name="efficientnet-lite0")
    weights = load_classifier(options.name, options.weights)
    state, _ = load_pretrained("tf_efficientnet_lite0", "auto")
    assert weights.shape == (1000, 1280)
    assert weights.equal(state["classifier.weight"])


@pytest.mark.parametrize("weights", ["nowhere.pth", "package"])
def test_a_classifier_that_is_not_there(weights: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_classifier("resnet18", weights)


def test_a_classifier_of_other_classes(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from negah.models.backbones import create_backbone

    state = create_backbone("resnet18").state_dict()
    path = tmp_path / "ten.safetensors"
    save_file({**state, "fc.weight": state["fc.weight"][:10].clone()}, path)
    with pytest.raises(UsageError, match=r"\(10, 512\); needed is one linear layer from the mean"):
        load_classifier("resnet18", str(path))
    save_file({name: t for name, t in state.items() if not name.startswith("fc.")}, path)
    with pytest.raises(UsageError, match="no classifier"):
        load_classifier("resnet18", str(path))
    save_file(state, path)
    assert load_classifier("resnet18", str(path)).shape == (1000, 512)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_efficientnet"])
def test_a_classifier_whose_weights_do_not_tell_what_classes_look_like(
    name: str, tmp_path: Path
) -> None:
    """Of a class token, of a normalised mean and, to compare, of the mean of the map itself."""
    import torch
    from safetensors.torch import save_file

    from negah.models.backbones import create_backbone

    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_file(create_backbone(name).state_dict(), path)
    if name == "test_efficientnet":
        assert len(load_classifier(name, str(path))) == 1000
        return
    with pytest.raises(UsageError, match="is not linear in the mean"):
        load_classifier(name, str(path))
