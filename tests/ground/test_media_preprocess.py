"""Preprocessing against plain NumPy, and its options."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from negah.errors import UsageError
from negah.media import Preprocessing

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def formula(bytes_HW3: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    pixels_HW3 = (bytes_HW3.astype(np.float64) / 255 - np.array(mean)) / np.array(std)
    return np.transpose(pixels_HW3, (2, 0, 1))


def triangle_weights(source: int, target: int) -> np.ndarray:
    """The antialiased bilinear filter as a matrix (target, source), from its definition."""
    scale = source / target
    support = max(scale, 1.0)
    centres_T = (np.arange(target) + 0.5) * scale
    offsets_TS = np.arange(source)[None] + 0.5 - centres_T[:, None]
    weights_TS = np.clip(1 - np.abs(offsets_TS) / support, 0, None)
    return weights_TS / weights_TS.sum(axis=1, keepdims=True)


@given(
    width=st.integers(1, 12),
    height=st.integers(1, 12),
    seed=st.integers(0, 99),
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 2)] * 3),
)
@settings(deadline=None)
def test_normalises_by_the_formula(width, height, seed, mean, std):
    image = noise(width, height, seed)
    options = Preprocessing(height=height, width=width, mean=mean, std=std)
    pixels = options.apply(image)
    assert pixels.dtype == np.float32
    assert pixels.shape == (3, height, width)
    np.testing.assert_allclose(pixels, formula(np.asarray(image), mean, std), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(40, 30), (31, 57), (5, 7)])
def test_squash_is_an_antialiased_filter(width, height):
    image = noise(width, height)
    options = Preprocessing(height=9, width=11, mean=MEAN, std=STD, interpolation="bilinear")
    rows, columns = triangle_weights(height, 9), triangle_weights(width, 11)
    resized = np.einsum("yh,hwc,xw->yxc", rows, np.asarray(image, dtype=np.float64), columns)
    # Pillow rounds to whole numbers after each of the two directions.
    np.testing.assert_allclose(
        options.apply(image), formula(resized, MEAN, STD), atol=1.01 / 255 / min(STD)
    )


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_every_filter_keeps_a_plain_colour(interpolation, fit):
    options = Preprocessing(
        height=8, width=8, mean=MEAN, std=STD, interpolation=interpolation, fit=fit
    )
    image = Image.new("RGB", (30, 30), (10, 200, 30))
    expected = formula(np.full((8, 8, 3), (10, 200, 30)), MEAN, STD)
    np.testing.assert_allclose(options.apply(image), expected, atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(60, 20), (20, 60), (20, 20)])
def test_crop_takes_the_centre(width, height):
    options = Preprocessing(height=10, width=10, mean=MEAN, std=STD, fit="crop")
    image = noise(width, height)
    half = image.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    left, top = (half.width - 10) // 2, (half.height - 10) // 2
    centre = half.crop((left, top, left + 10, top + 10))
    expected = formula(np.asarray(centre), MEAN, STD)
    np.testing.assert_allclose(options.apply(image), expected, atol=1e-5)


def test_pad_keeps_the_aspect_and_centres_on_the_mean_colour():
    mean = (0.0, 0.4, 1.0)  # whole numbers of 255ths, so that the margin is exactly 0
    options = Preprocessing(height=10, width=20, mean=mean, std=STD, fit="pad")
    pixels = options.apply(Image.new("RGB", (30, 30), "white"))
    np.testing.assert_allclose(pixels[:, :, :5], 0, atol=1e-6)
    np.testing.assert_allclose(pixels[:, :, 15:], 0, atol=1e-6)
    white = formula(np.full((10, 10, 3), 255), mean, STD)
    np.testing.assert_allclose(pixels[:, :, 5:15], white, atol=1e-5)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_aspects(fit, size):
    options = Preprocessing(height=7, width=5, mean=MEAN, std=STD, fit=fit)
    assert np.isfinite(options.apply(Image.new("RGB", size, "red"))).all()


def test_a_batch_is_its_pictures():
    options = Preprocessing(height=6, width=8, mean=MEAN, std=STD)
    images = [noise(20, 10, seed) for seed in range(3)]
    batch = options.to_pixels_NCHW(images)
    assert batch.shape == (3, 3, 6, 8)
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, np.stack([options.apply(image) for image in images]))
    assert options.to_pixels_NCHW([]).shape == (0, 3, 6, 8)


def test_other_modes_are_converted():
    options = Preprocessing(height=4, width=4, mean=MEAN, std=STD)
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    np.testing.assert_array_equal(
        options.apply(clear), options.apply(Image.new("RGB", (4, 4), "white"))
    )


def test_survives_json():
    options = Preprocessing(height=6, width=8, mean=MEAN, std=STD, interpolation="lanczos")
    assert options.size == (6, 8)
    stored = json.loads(json.dumps(options.model_dump(mode="json")))
    assert Preprocessing.parse(stored, where="bundle") == options


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"height": 0}, "height"),
        ({"width": 1_000_000}, "width"),
        ({"mean": (123.7, 116.3, 103.5)}, "mean"),
        ({"std": (0, 1, 1)}, "std"),
        ({"std": (float("nan"), 1, 1)}, "std"),
        ({"interpolation": "nearest"}, "interpolation"),
        ({"fit": "stretch"}, "fit"),
        ({"size": 224}, "size"),
    ],
)
def test_wrong_options_are_named(change, named):
    values = {"height": 4, "width": 4, "mean": MEAN, "std": STD, **change}
    with pytest.raises(UsageError, match=named):
        Preprocessing.parse(values, where="preprocessing")
