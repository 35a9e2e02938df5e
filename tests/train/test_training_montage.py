"""Clips made of photos: how they are drawn, what is read, and a training from another's encoder.

Axes: B clips, F frames.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

from negah.data import FeatureStore
from negah.data.media_items import MediaItem
from negah.errors import CheckpointError, UsageError
from negah.export.initial import open_initial
from negah.export.run import load_run
from negah.export.weights import named_weights, write_weights
from negah.files import write_json
from negah.models import EncoderOptions, load_encoder
from negah.run_folder import BEST, CHECKPOINT
from negah.training import Recipe
from negah.training.batches import Batches
from negah.training.checkpoint import load_checkpoint
from negah.training.clips import MontageOptions
from negah.training.features import (
    BLANK_FOLDER,
    BLANKS,
    blank_pictures,
    crop_views,
    feature_key,
    views_of,
)
from negah.training.montage import Montage, MontageFrame, draw_clip
from tiny_training import (
    Recorder,
    interrupt,
    run_training,
    store_noise,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)

VIEWS = ["plain", "zoom-1", "zoom-3"]
MONTAGE = ("clips.frames=5", "clips.montage={crops: 4, distracted: 0.8}")


pytestmark = pytest.mark.usefixtures("one_thread")


shares = st.floats(0, 1)


@given(
    seed=st.integers(0, 2**32),
    most=st.integers(2, 12),
    options=st.builds(MontageOptions, single=shares, distracted=shares, blank=shares),
    others=st.lists(st.integers(0, 6), max_size=4),
)
def test_at_least_half_of_the_frames_belong(
    seed: int, most: int, options: MontageOptions, others: list[int]
) -> None:
    clip = draw_clip(9, others, VIEWS, options, most, np.random.default_rng(seed))
    assert 1 <= len(clip) <= most
    own = [pick for pick in clip if pick.photo == 9]
    assert 2 * len(own) >= len(clip)
    for pick in clip:
        assert pick.view in (BLANKS if pick.blank else VIEWS)
        assert pick.blank or pick.photo in (9, *others)
    strangers = {(pick.photo, pick.view if pick.blank else "") for pick in clip} - {(9, "")}
    assert len(strangers) <= 1  # one other photo, or one blank picture


def drawn(count: int = 2000, most: int = 8, **options: float) -> list[list[MontageFrame]]:
    made = MontageOptions.parse(options, where="montage")
    random = np.random.default_rng(0)
    return [draw_clip(0, [1, 2, 3], VIEWS, made, most, random) for _ in range(count)]


def test_the_shares_are_as_asked_for() -> None:
    """Within four standard deviations of 2,000 draws."""
    clips = drawn(single=0.25, distracted=0.5, blank=0.3)
    several = [clip for clip in clips if len(clip) > 1]
    distracted = [clip for clip in several if any(pick.photo != 0 for pick in clip)]
    blank = [clip for clip in distracted if any(pick.blank for pick in clip)]
    for part, whole, share in (
        (len(several), 2000, 0.75),
        (len(distracted), len(several), 0.5),
        (len(blank), len(distracted), 0.3),
    ):
        assert abs(part / whole - share) < 4 * (share * (1 - share) / whole) ** 0.5
    assert {len(clip) for clip in clips} == set(range(1, 9))
    assert {pick.view for clip in clips for pick in clip} == {*VIEWS, *BLANKS}
    # strangers are found at the beginning, in the middle and at the end
    assert any(clip[0].photo != 0 for clip in distracted)
    assert any(clip[-1].photo != 0 for clip in distracted)
    assert any(clip[0].photo == clip[-1].photo == 0 for clip in distracted)


def test_the_extremes_of_the_shares() -> None:
    assert all(len(clip) == 1 and clip[0].photo == 0 for clip in drawn(50, single=1))
    assert all(pick.photo == 0 for clip in drawn(50, distracted=0) for pick in clip)
    clips = drawn(50, single=0, distracted=1, blank=1)
    assert all(any(pick.blank for pick in clip) for clip in clips)


def test_a_walk_passes_the_views_in_order() -> None:
    clips = drawn(400, single=0, distracted=0)
    places = [[VIEWS.index(pick.view) for pick in clip] for clip in clips]
    still = sum(len(set(walk)) == 1 for walk in places)
    ordered = sum(walk in (sorted(walk), sorted(walk, reverse=True)) for walk in places)
    assert still > 100  # a third, and walks that end where they began
    assert ordered > still + 50
    assert ordered < 400


@pytest.mark.parametrize(("flips", "crops"), [(False, 3), (True, 4), (True, 0)])
def test_crops_of_mirrored_clips_are_mirrored(flips: bool, crops: int) -> None:
    plain, mirrored = crop_views(MontageOptions(crops=crops), flips=flips)
    assert len(plain) + len(mirrored) == crops
    assert all(view.startswith("zoom-") for view in plain)
    assert all(view.startswith("flip-zoom-") for view in mirrored)
    assert bool(mirrored) == (flips and crops > 1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo run whose encoder's tail has learned, and the views that a montage on it needs."""
    folder = tmp_path_factory.mktemp("montage")
    tiny_train(folder, "photos", "training.epochs=1", "training.encoder_learning_rate=0.1")
    store_noise(tiny_dataset(folder / "pictures"), montage_recipe(folder), folder / "features")
    return folder


def montage_recipe(root: Path, *changes: str) -> Recipe:
    weights = f"encoder.weights={root / 'photos'}"
    return tiny_recipe("encoder.trainable_blocks=0", weights, *MONTAGE, *changes)


def make(root: Path, part: str = "train") -> Montage:
    recipe = montage_recipe(root)
    encoder = load_encoder(recipe.encoder)
    dataset, features = tiny_dataset(root / "pictures"), root / "features"
    views = views_of(dataset.examples, features / BLANK_FOLDER, flips=True, clips=recipe.clips)
    stores = {
        view: FeatureStore(features, feature_key(encoder, view, recipe.clips)) for view in views
    }
    examples, training = dataset.split(part), part == "train"
    blank = features / BLANK_FOLDER
    return Montage(stores, examples, recipe.clips, blank, flips=True, training=training, seed=3)


def test_what_is_read_is_what_was_drawn(root: Path) -> None:
    """Each frame is the stored view; behind the last one are zeros that the mask names."""
    montage = make(root)
    clips = [
        [MontageFrame(2, "zoom-3"), MontageFrame(0, "plain"), MontageFrame(2, "plain")],
        [MontageFrame(1, "flip")],
        [MontageFrame(-1, "grey"), MontageFrame(5, "flip-zoom-4")],
    ]
    frames = montage.read(clips)
    assert frames.real_BF is not None
    assert frames.real_BF.sum(1).tolist() == [3, 1, 2]
    examples = tiny_dataset(root / "pictures").split("train")
    blanks = dict(zip(BLANKS, blank_pictures(root / "features" / BLANK_FOLDER), strict=True))
    for b, clip in enumerate(clips):
        for f, pick in enumerate(clip):
            store = montage.stores["plain" if pick.blank else pick.view]
            path = blanks[pick.view] if pick.blank else examples[pick.photo].path
            expected = store.read(store.rows([MediaItem(path)]))[0].astype(np.float32)
            assert np.array_equal(frames.trunk[b, f].numpy(), expected), pick
    assert not frames.trunk[~frames.real_BF].any()


@pytest.fixture(scope="module")
def montages(root: Path) -> tuple[Montage, Montage]:
    return make(root), make(root)


@pytest.mark.parametrize("epoch", [0, 1, 41])
def test_clips_depend_on_the_seed_and_the_epoch_alone(
    montages: tuple[Montage, Montage], epoch: int
) -> None:
    montage, again = montages
    batches = Batches([[[4, 5]]] * 14, photos=7, per_photo=1, flips=True, seed=3)
    first, second = batches.epoch(epoch)
    one = montage.learn(first, epoch)
    again.learn(second, epoch)  # what was read before plays no part
    other = again.learn(first, epoch)
    assert torch.equal(one.trunk, other.trunk)
    assert one.real_BF is not None
    assert other.real_BF is not None
    assert torch.equal(one.real_BF, other.real_BF)
    next_epoch = montage.draw(first.photos, first.photos, first.flipped, 1, epoch + 1)
    assert next_epoch != montage.draw(first.photos, first.photos, first.flipped, 1, epoch)
    for clip, mirrored in zip(next_epoch, first.flipped, strict=True):
        views = {pick.view for pick in clip if not pick.blank}
        assert all(view.startswith("flip") == mirrored for view in views)
        assert {pick.photo for pick in clip} <= {-1, *first.photos.tolist()}


def test_held_out_clips_stay_the_same(root: Path) -> None:
    montage = make(root, "dev")
    whole = montage.held_out(np.arange(4))
    assert whole.real_BF is not None
    for b in range(4):
        alone = montage.held_out(np.array([b]))
        assert alone.real_BF is not None
        length = int(whole.real_BF[b].sum())
        assert alone.real_BF.sum().item() == length
        assert torch.equal(alone.trunk[0], whole.trunk[b, :length])


# The encoder of another run


def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("blocks", [0, 2])
def test_the_encoder_of_a_run_is_taken_whole(root: Path, blocks: int) -> None:
    """Wherever it is cut now."""
    options = EncoderOptions(
        name="test_efficientnet", size=64, weights=str(root / "photos"), trainable_blocks=blocks
    )
    encoder, tuned = load_encoder(options), load_run(root / "photos").encoder
    with torch.no_grad():
        assert torch.equal(encoder(pixels()), tuned(pixels()))
        torch.manual_seed(0)
        before = load_encoder(tiny_recipe().encoder)
        assert not torch.equal(encoder(pixels()), before(pixels()))
    assert encoder.weights_sha256 == load_encoder(options).weights_sha256 != "random"


def test_the_encoder_of_a_bundle(root: Path, tmp_path: Path) -> None:
    """All but what its graph does not read; half precision."""
    tuned = load_run(root / "photos").encoder
    weights = named_weights({"encoder": tuned})
    kept = {n: t for n, t in weights.items() if not n.endswith("num_batches_tracked")}
    write_weights(tmp_path / "weights.safetensors", kept)
    facts = {"name": tuned.name, "trainable_blocks": 1}
    write_json(
        tmp_path / "bundle.json", {"encoder": facts, "preprocessing": {"height": 64, "width": 64}}
    )
    options = EncoderOptions(name=tuned.name, size=64, weights=str(tmp_path))
    with torch.no_grad():
        ours, theirs = load_encoder(options)(pixels()), tuned(pixels())
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.01 * float(theirs.abs().max()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "efficientnet-lite2"}, "they are of test_efficientnet"),
        ({"size": 96}, r"learned on pixels of \(64, 64\).*encoder\.size=64"),
        ({"weights": ""}, "neither a training run"),
    ],
)
def test_folders_that_do_not_fit(
    root: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    if "weights" in changes:
        changes = {"weights": str(tmp_path)}
    values = {"name": "test_efficientnet", "size": 64, "weights": str(root / "photos")}
    with pytest.raises(UsageError, match=words):
        load_encoder(EncoderOptions.parse({**values, **changes}, where="encoder"))


# The training


def train_montage(root: Path, run: str, reporter: Recorder, *changes: str) -> bool:
    return run_training(
        montage_recipe(root, *changes),
        tiny_dataset(root / "pictures"),
        root / run,
        root / "features",
        initial=open_initial(root / "photos"),
        reporter=reporter,
    ).finished


def test_a_montage_goes_on_exactly_and_is_judged_by_both(root: Path) -> None:
    whole, first, rest = Recorder(), Recorder(4, interrupt), Recorder()
    assert train_montage(root, "whole", whole)
    assert whole.messages[0].startswith(f"starting from {root / 'photos' / BEST}")
    assert not train_montage(root, "stopped", first)
    assert train_montage(root, "stopped", rest)
    assert first.losses + rest.losses == whole.losses
    ours, facts = load_checkpoint(root / "whole" / CHECKPOINT)
    theirs, others = load_checkpoint(root / "stopped" / CHECKPOINT)
    assert facts == others
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    means = [(row["CIDEr-D"] + row["montage/CIDEr-D"]) / 2 for row in whole.rows]
    assert facts["best_score"] == max(means)
    assert facts["best_epoch"] == 1 + means.index(max(means))
    lines = (root / "whole" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    logged = [json.loads(line) for line in lines]
    assert sum("montage/BLEU-4" in row for row in logged) == 3


def test_a_frozen_encoder_has_to_be_the_one_of_the_run(root: Path) -> None:
    """The captioner learned from what the fine-tuned tail gives."""
    recipe = tiny_recipe("encoder.trainable_blocks=0", "training.flips=false")
    dataset, features = tiny_dataset(root / "pictures"), root / "features"
    store_noise(dataset, recipe, features)
    with pytest.raises(CheckpointError, match=r"set encoder\.weights=.*photos"):
        run_training(
            recipe, dataset, root / "wrong", features, initial=open_initial(root / "photos")
        )
