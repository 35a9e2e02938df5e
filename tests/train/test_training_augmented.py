"""Photos that are decoded and changed while nearly all blocks of the encoder learn.

Axes: B photos, 3 colours, H rows, W columns.
"""

from __future__ import annotations

import json
import math
import shutil
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

from negah.arrays import DoubleArray
from negah.cli.main import run
from negah.data import Dataset, Example, load_dataset
from negah.errors import CheckpointError, DataError, UsageError
from negah.export.initial import open_initial
from negah.export.run import load_run
from negah.models import Encoder, EncoderOptions, load_encoder
from negah.models.seeding import seeded
from negah.run_folder import BEST, CHECKPOINT, RUN
from negah.training import Environment, Recipe, load_recipe
from negah.training.augment import AugmentOptions, augment
from negah.training.augmented import AugmentedSource
from negah.training.batches import Batch
from negah.training.checkpoint import load_checkpoint
from negah.training.initial import Initial
from negah.training.learner import Learner
from negah.training.sources import open_source
from tiny_data import TINY_CAM, Trained, tiny_arguments, trained
from tiny_training import Recorder, interrupt, run_training, tiny_dataset

pytestmark = pytest.mark.usefixtures("one_thread")

STILL = AugmentOptions(crop=1, aspect=0, colour=0, flip=0)
#: All of the tiny encoder learns but its first two blocks; two steps an epoch.
WHOLE = (
    *TINY_CAM, "encoder.weights=auto", "encoder.trainable_blocks=5", "training.photos=6",
    "training.epochs=2",
    "training.learning_rate=0.003", "training.checkpoint_minutes=0.000001",
)  # fmt: skip


def slopes(width: int, height: int) -> Image.Image:
    """Red tells the column and green the row, from 0 to 255; blue is 128."""
    pixels_HW3 = np.full((height, width, 3), 128, np.uint8)
    pixels_HW3[..., 0] = np.rint(255 * (np.arange(width) + 0.5) / width)
    pixels_HW3[..., 1] = np.rint(255 * (np.arange(height) + 0.5) / height)[:, None]
    return Image.fromarray(pixels_HW3)


def ends(values: DoubleArray) -> tuple[float, float]:
    """Where a line through samples at the centres of cells begins and ends, in shares of 255."""
    slope, start = np.polyfit(np.arange(len(values)) + 0.5, values, 1)
    return start / 255, (start + slope * len(values)) / 255


def boxes(options: AugmentOptions, count: int) -> DoubleArray:
    """Left, right, top and bottom of random views in shares; the left is larger when mirrored."""
    found = []
    for seed in range(count):
        view = augment(slopes(256, 128), options, (24, 48), np.random.default_rng(seed))
        assert view.size == (48, 24)
        pixels_HW3 = np.asarray(view, dtype=np.float64)[2:-2, 2:-2]  # inside, the filter is whole
        (x0, x1), (y0, y1) = ends(pixels_HW3[..., 0].mean(0)), ends(pixels_HW3[..., 1].mean(1))
        dx, dy = (x1 - x0) / 44 * 2, (y1 - y0) / 20 * 2
        found.append((x0 - dx, x1 + dx, y0 - dy, y1 + dy))
    return np.array(found)


def test_crops_are_of_the_area_aspect_and_place_that_were_asked_for() -> None:
    """Read off the view: what it shows of a picture whose colours tell where they are."""
    found = boxes(AugmentOptions(crop=0.5, aspect=0.25, colour=0, flip=0.5), 400)
    mirrored = found[:, 0] > found[:, 1]
    assert 150 < mirrored.sum() < 250
    left, right = found[:, :2].min(1), found[:, :2].max(1)
    widths, heights = right - left, found[:, 3] - found[:, 2]
    areas = widths * heights
    assert left.min() > -0.01 and right.max() < 1.01  # noqa: PT018 - one interval
    # a crop that would be wider than the picture is as wide: its area may be a little less
    assert 0.5 * math.exp(-0.25) < areas.min() < 0.53
    assert areas.max() > 0.93
    ratios = np.log(widths / heights)
    assert -0.27 < ratios.min() < -0.2
    assert 0.2 < ratios.max() < 0.27
    free = widths < 0.9
    places = (left / (1 - widths))[free]
    assert 0.45 < places.mean() < 0.55
    assert (np.histogram(places, 4, (0, 1))[0] > len(places) / 8).all()


def test_a_crop_is_the_one_that_was_drawn() -> None:
    """The formula of the docstring, on the same draws."""
    options = AugmentOptions(crop=0.3, aspect=0.8, colour=0, flip=0)
    for seed, box in enumerate(boxes(options, 30)):
        area, exponent, x, y = np.random.default_rng(seed).random(4)
        area, aspect = 0.3 + 0.7 * area, math.exp(0.8 * (2 * exponent - 1))
        width, height = min(1, (area * aspect) ** 0.5), min(1, (area / aspect) ** 0.5)
        left, top = x * (1 - width), y * (1 - height)
        np.testing.assert_allclose(box, (left, left + width, top, top + height), atol=0.01)


def test_nothing_is_changed_that_need_not_be() -> None:
    image = slopes(40, 30)
    random = np.random.default_rng(0)
    assert augment(image, STILL, (30, 40), random).tobytes() == image.tobytes()
    mirrored = augment(image, replace_options(STILL, flip=1.0), (30, 40), random)
    np.testing.assert_array_equal(np.asarray(mirrored), np.asarray(image)[:, ::-1])


def replace_options(options: AugmentOptions, **values: Any) -> AugmentOptions:
    return AugmentOptions.parse({**options.model_dump(), **values}, where="test")


def test_colours() -> None:
    """Brightness, contrast about the mean grey, colour about the grey: Rec. 601, in NumPy."""
    noise_HW3 = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    grey = np.array([0.299, 0.587, 0.114])
    for seed in range(20):
        options = replace_options(STILL, colour=0.5)
        view = augment(Image.fromarray(noise_HW3), options, (20, 20), np.random.default_rng(seed))
        *_, bright, contrast, colour = 0.5 + np.random.default_rng(seed).random(8)
        expected_HW3 = (noise_HW3 * bright).clip(0, 255)
        mean = round((expected_HW3 @ grey).mean())
        expected_HW3 = (mean + (expected_HW3 - mean) * contrast).clip(0, 255)
        grey_HW1 = (expected_HW3 @ grey)[..., None]
        expected_HW3 = (grey_HW1 + (expected_HW3 - grey_HW1) * colour).clip(0, 255)
        assert np.abs(np.asarray(view) - expected_HW3).max() < 4  # three times cut to whole numbers


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training of the tiny cam-rnn, of whose encoder one block has learned."""
    return trained(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    with seeded(0):
        options = EncoderOptions(
            name="test_efficientnet", weights="random", size=64, trainable_blocks=5
        )
        return load_encoder(options)


def whole_recipe(initial: Initial | None = None) -> Recipe:
    return load_recipe("cam-rnn-whole", WHOLE, initial)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> AugmentedSource:
    """Of 14 pictures, one more that is no picture, and four that are held out."""
    folder = tmp_path_factory.mktemp("source")
    photos = tiny_dataset(folder / "pictures")
    (folder / "broken.png").write_bytes(b"no picture")
    broken = Example("broken.png", folder / "broken.png", ("a broken one",), "train")
    dataset = Dataset("tiny", (broken, *photos.examples))
    recorder = Recorder()
    environment = Environment(folder / "features", reporter=recorder)
    opened = open_source(whole_recipe(), dataset, encoder, None, environment)
    assert isinstance(opened, AugmentedSource)
    (told,) = recorder.messages
    assert told.startswith("1 photographs or clips could not be read")
    assert "broken.png" in told
    assert opened.facts() == {"training_photos": 14}
    stores = [path.name for path in (folder / "features").iterdir()]
    assert len(stores) == 1  # plain, of the part dev alone
    assert len((folder / "features" / stores[0] / "index").read_text().splitlines()) == 4
    return opened


def batch_of(*photos: int) -> Batch:
    none = np.zeros((len(photos), 1, 1), np.int64)
    return Batch(np.array(photos), np.zeros(len(photos), bool), none, none)


def test_a_batch_is_what_the_trunk_gives_of_its_pictures(
    source: AugmentedSource, encoder: Encoder
) -> None:
    frames = source.read(batch_of(3, 0, 7), 1)
    pixels_B3HW = torch.from_numpy(np.stack([source.pixels(photo, 1) for photo in (3, 0, 7)]))
    torch.testing.assert_close(frames.trunk, encoder.trunk(pixels_B3HW), rtol=1e-3, atol=1e-4)
    assert frames.real_BF is None
    # a different order of numbers in memory gives the same tail
    torch.testing.assert_close(
        encoder.tail(frames.trunk), encoder.tail(frames.trunk.contiguous()), rtol=1e-3, atol=1e-4
    )
    assert frames.trunk.is_contiguous(memory_format=torch.channels_last)


def test_pictures_depend_on_seed_epoch_and_photo_alone(source: AugmentedSource) -> None:
    one = source.read(batch_of(3, 0, 7), 1).trunk
    other = source.read(batch_of(7, 2, 3), 1).trunk
    assert torch.equal(one[0], other[2])
    assert torch.equal(one[2], other[0])
    seen = [source.pixels(photo, epoch) for photo in (0, 1) for epoch in (0, 1)]
    source.seed += 1
    seen += [source.pixels(0, 0)]
    source.seed -= 1
    assert np.array_equal(source.pixels(0, 0), seen[0])
    for number, pixels_3HW in enumerate(seen):
        assert pixels_3HW.shape == (3, 64, 64)
        assert pixels_3HW.dtype == np.float32
        assert all(not np.array_equal(pixels_3HW, later) for later in seen[number + 1 :])


def test_pictures_are_normalised_as_those_that_are_stored(
    source: AugmentedSource, encoder: Encoder
) -> None:
    before, source.options = source.options, STILL
    with Image.open(source.training[2].path) as image:
        expected_3HW = encoder.preprocessing.apply(image.convert("RGB"))
    np.testing.assert_array_equal(source.pixels(2, 0), expected_3HW)
    source.options = before


def test_a_photo_that_vanishes(source: AugmentedSource, tmp_path: Path) -> None:
    path = source.training[5].path
    shutil.move(path, tmp_path / "away.png")
    with pytest.raises(DataError, match=rf"{path.name} was readable when this training started"):
        source.read(batch_of(4, 5), 0)
    shutil.move(tmp_path / "away.png", path)
    assert source.read(batch_of(4, 5), 0).trunk.isfinite().all()


def command(shapes: Trained, folder: Path, *more: str) -> tuple[int, str]:
    arguments = (
        *("train", "cam-rnn-whole", "--data", str(shapes.data), "--output", str(folder)),
        *("--features", str(folder.parent / "features"), "--device", "cpu", "--threads", "1"),
        *tiny_arguments(WHOLE), *more,
    )  # fmt: skip
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as err:
        code = run(arguments)
    return code, err.getvalue()


@pytest.fixture(scope="module")
def whole(shapes: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that goes on from the tiny cam-rnn with five of seven blocks."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, err = command(shapes, folder, "--init", str(shapes.folder), "--no-export")
    assert code == 0, err
    assert "words are known" in err
    return folder


def test_the_encoder_that_learned_is_loaded_into_other_recipes(
    whole: Path, shapes: Trained, encoder: Encoder
) -> None:
    run_encoder = load_run(whole).encoder
    options = encoder.options.model_copy(update={"trainable_blocks": 0})
    pixels_NCHW = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = run_encoder(pixels_NCHW)
    moved = expected - load_run(shapes.folder).encoder(pixels_NCHW)
    frozen = load_encoder(options.model_copy(update={"weights": str(whole)}))
    assert (frozen(pixels_NCHW) - expected).abs().max() < 0.1 * moved.abs().max()
    first = run_encoder.trunk_blocks.state_dict()
    assert all(torch.equal(first[name], t) for name, t in encoder.trunk_blocks.state_dict().items())
    own, fresh = run_encoder.tail_blocks.state_dict(), encoder.tail_blocks.state_dict()
    learned = {name.split(".")[0] for name in own if not torch.equal(own[name], fresh[name])}
    assert learned == {"0", "1", "2", "3", "4"}


def test_such_a_run_captions(whole: Path, shapes: Trained) -> None:
    photo = next((shapes.data / "images").glob("*.png"))
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = run(["caption", str(photo), "--model", str(whole)])
    assert code == 0, err.getvalue()
    assert out.getvalue()


def test_a_start_from_a_run_that_is_cut_elsewhere(shapes: Trained, encoder: Encoder) -> None:
    """The block that had learned is in its place; those before are the encoder's own."""
    run_, initial = load_run(shapes.folder), open_initial(shapes.folder)
    own = load_encoder(whole_recipe(initial).encoder)
    assert len(own.tail_blocks) == 5
    learner = Learner(run_.recipe.model, own, len(run_.tokenizer))
    said = learner.start_from(initial.read(), run_.tokenizer)
    assert "new in this recipe" not in said
    last = run_.encoder.tail_blocks[0].state_dict()
    assert all(torch.equal(own.tail_blocks[4].state_dict()[name], t) for name, t in last.items())
    assert all(
        torch.equal(own.tail_blocks[:4].state_dict()[name], t)
        for name, t in encoder.tail_blocks[:4].state_dict().items()
    )


def test_a_start_that_would_lose_what_was_learned(whole: Path, shapes: Trained) -> None:
    """Four of the five blocks that learned would be frozen here, untrained."""
    run_, weights = load_run(shapes.folder), open_initial(whole).read()
    learner = Learner(run_.recipe.model, run_.encoder, len(run_.tokenizer))
    with pytest.raises(CheckpointError, match=r"set encoder\.weights="):
        learner.start_from(weights, run_.tokenizer)
    tuned = run_.encoder.options.model_copy(update={"weights": str(whole)})
    learner = Learner(run_.recipe.model, load_encoder(tuned), len(run_.tokenizer))
    assert "words are known" in learner.start_from(weights, run_.tokenizer)


def test_a_resumed_training_has_the_same_bits(shapes: Trained, whole: Path, tmp_path: Path) -> None:
    facts = json.loads((whole / RUN).read_text())
    assert facts["training_photos"] == 12
    dataset = load_dataset(shapes.data)
    initial = open_initial(shapes.folder)
    for reporter in (Recorder(3, interrupt), Recorder()):
        run_training(
            whole_recipe(initial), dataset, tmp_path / "run", whole.parent / "features",
            reporter=reporter,
            initial=initial,
        )  # fmt: skip
    for name in (BEST, CHECKPOINT):
        (own, _), (other, _) = (
            load_checkpoint(whole / name),
            load_checkpoint(tmp_path / "run" / name),
        )
        assert own.keys() == other.keys()
        assert all(torch.equal(own[key], other[key]) for key in own), name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("clips.frames=4",), "training.augment is for photos, but clips.frames"),
        (
            ("clips.frames=4", "clips.montage={}", "encoder.trainable_blocks=0"),
            "clips.montage=null",
        ),
        (
            (
                "clips.frames=4",
                "encoder.stream=motion",
                "encoder.concepts=0",
                "training.encoder_learns_from=everything",
            ),
            "training.augment",
        ),
        (("training.augment={crop: 0}",), "crop"),
        (("training.augment={colour: 1}",), "colour"),
        (("training.augment={zoom: 1}",), "zoom"),
        (("training.augment={aspect: -1}",), "aspect"),
    ],
)
def test_contradictions_are_refused(changes: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_recipe("cam-rnn-whole", changes)


def test_clips_are_refused(tmp_path: Path, encoder: Encoder) -> None:
    clip = Example("a.mp4", tmp_path / "a.mp4", ("a clip",), "train")
    dataset = Dataset("clips", (clip, *tiny_dataset(tmp_path / "pictures").examples))
    with pytest.raises(DataError, match=r"a\.mp4 is a clip, but training\.augment is for photos"):
        open_source(whole_recipe(), dataset, encoder, None, Environment(tmp_path / "features"))


def test_the_recipe() -> None:
    """It goes on from cam-rnn, and a recipe without augment is what it was."""
    recipe = load_recipe("cam-rnn-whole")
    assert recipe.model == load_recipe("cam-rnn").model
    assert recipe.encoder.trainable_blocks == 17
    assert recipe.training.augment == AugmentOptions()
    assert load_recipe("cam-rnn").training.augment is None
    assert load_recipe("cam-rnn", ["training.augment={}"]).training.augment == AugmentOptions()
