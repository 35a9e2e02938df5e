"""Training on clips: padding that nothing sees, exact resume, and captions learned by heart.

Axes: B clips, F frames, K captions of each, T words.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")
pytest.importorskip("av", reason="clips need PyAV")

import torch

from negah.data import Dataset, Example, FeatureStore
from negah.decoding import DecodingOptions
from negah.errors import DataError, UsageError
from negah.models import EncoderOptions, load_encoder
from negah.run_folder import BEST, CHECKPOINT, RUN
from negah.training import Recipe, load_recipe
from negah.training.batches import Batch
from negah.training.checkpoint import load_checkpoint
from negah.training.features import feature_key
from negah.training.inputs import Stored
from negah.training.learner import Learner
from negah.training.padding import pad_captions
from negah.training.sources import StoredSource, check_kinds
from negah.training.validation import Validation, validation_options
from tiny_training import (
    Recorder,
    forced_loss,
    interrupt,
    run_training,
    store_features,
    store_noise,
    tiny_clips,
    tiny_dataset,
    tiny_recipe,
    tiny_train,
)

CLIPS = ("encoder.trainable_blocks=0", "clips.frames=4")


pytestmark = pytest.mark.usefixtures("one_thread")


def clip_recipe(*changes: str) -> Recipe:
    return tiny_recipe(*CLIPS, *changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    store_noise(tiny_clips(folder / "clips"), clip_recipe(), folder / "features")
    return folder


def train_clips(root: Path, run: str, reporter: Recorder, *changes: str) -> bool:
    dataset = tiny_clips(root / "clips")
    recipe = clip_recipe(*changes)
    return run_training(recipe, dataset, root / run, root / "features", reporter=reporter).finished


@pytest.mark.parametrize("blocks", [0, 1])
@pytest.mark.parametrize(
    "name", ["cam-rnn", "cam-rnn-bottom-up", "frame-rnn", "none-rnn", "show-tell"]
)
def test_padded_frames_change_no_loss(name: str, blocks: int) -> None:
    """A batch of clips of 3, 1 and 4 frames is each of them alone, with noise in the padding."""
    torch.manual_seed(0)
    options = EncoderOptions(
        name="test_efficientnet", weights="random", size=64, trainable_blocks=blocks
    )
    encoder = load_encoder(options)
    small = ["model.embedding_size=8", "model.hidden_size=8", "model.dropout=0"]
    learner = Learner(load_recipe(name, small).model, encoder, 14)
    lengths = (3, 1, 4)
    trunk = torch.randn(3, 4, *encoder.trunk_shape) * 3
    real_BF = torch.arange(4) < torch.tensor(lengths)[:, None]
    inputs, targets = map(
        torch.from_numpy, pad_captions([[[5, 6, 7], [8]], [[9, 10]], [[11, 4], [4, 4], [12]]])
    )
    together = forced_loss(learner, trunk, (inputs, targets), real_BF)
    alone = [
        forced_loss(
            learner,
            trunk[b : b + 1, :frames],
            (inputs[b : b + 1], targets[b : b + 1]),
            torch.ones(1, frames, dtype=torch.bool),
        )
        for b, frames in enumerate(lengths)
    ]
    assert sum(loss.count for loss in alone) == together.count
    torch.testing.assert_close(together.total, torch.stack([loss.total for loss in alone]).sum())
    # a clip of one frame is a photo
    photo = forced_loss(learner, trunk[1:2, 0], (inputs[1:2], targets[1:2]))
    torch.testing.assert_close(photo.total, alone[1].total)


def test_batches_are_as_long_as_their_longest_clip(root: Path) -> None:
    recipe = clip_recipe()
    torch.manual_seed(0)
    encoder = load_encoder(recipe.encoder)
    examples = tiny_clips(root / "clips").split("train")
    stores = {
        view: FeatureStore(root / "features", feature_key(encoder, view, recipe.clips))
        for view in ("plain", "flip")
    }
    read = Stored(stores["plain"], examples)
    found = read(np.array([2, 0]))  # of 2 frames, and of one
    assert found.real_BF is not None
    assert found.real_BF.tolist() == [[True, True], [True, False]]
    assert found.trunk.shape == (2, 2, *encoder.trunk_shape)
    assert not found.trunk[1, 1].any()
    flipped = np.array([True, False])
    tokens = np.zeros((2, 1, 2), dtype=np.int64)
    source = StoredSource(stores, examples, examples)
    mirrored = source.read(Batch(np.array([2, 0]), flipped, tokens, tokens), 0)
    expected = Stored(stores["flip"], examples)(np.array([2])).trunk
    assert torch.equal(mirrored.trunk[:1], expected)
    assert torch.equal(mirrored.trunk[1], found.trunk[1])
    assert not torch.equal(mirrored.trunk[0], found.trunk[0])


def test_interrupted_equals_uninterrupted(root: Path) -> None:
    whole, first, rest = Recorder(), Recorder(3, interrupt), Recorder()
    assert train_clips(root, "whole", whole)
    assert not train_clips(root, "stopped", first)
    assert train_clips(root, "stopped", rest)
    assert first.losses + rest.losses == whole.losses
    for name in (CHECKPOINT, BEST):
        (ours, facts), (theirs, others) = (
            load_checkpoint(root / run / name) for run in ("whole", "stopped")
        )
        assert facts == others
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


def test_clips_are_learned_by_heart(root: Path) -> None:
    """One batch, over and over, until each clip gets its own caption, free-running."""
    recipe = clip_recipe("model.dropout=0", "model.hidden_size=24", "model.visual_size=24")
    torch.manual_seed(0)
    encoder = load_encoder(recipe.encoder)
    clips = [
        Example(e.name, e.path, (f"{e.captions[0]} of number {number}",), "train")
        for number, e in enumerate(tiny_clips(root / "clips").examples[:6])
    ]
    tokenizer = recipe.text.build([e.captions[0] for e in clips])
    learner = Learner(recipe.model, encoder, len(tokenizer))
    store = FeatureStore(root / "features", feature_key(encoder, "plain", recipe.clips))
    read = Stored(store, clips)
    frames = read(np.arange(6))
    inputs, targets = map(
        torch.from_numpy, pad_captions([[tokenizer.encode(e.captions[0])] for e in clips])
    )
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.02)
    for _ in range(60):
        loss = forced_loss(learner, frames.trunk, (inputs, targets), frames.real_BF).value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    options = validation_options(DecodingOptions(), 2)
    validation = Validation(clips, read, tokenizer, options, batch_size=4)
    captions = validation.captions(encoder, learner.eval().captioner)
    assert captions == {e.name: e.captions[0] for e in clips}


def test_a_clip_that_cannot_be_read_is_left_out(root: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no clip")
    examples = (Example("broken.mp4", broken, ("a clip",), "train"),)
    dataset = Dataset("clips", (*examples, *tiny_clips(root / "clips").examples))
    recorder = Recorder(1, interrupt)
    recipe = clip_recipe()
    run_training(recipe, dataset, tmp_path / "run", root / "features", reporter=recorder)
    assert "1 photographs or clips could not be read" in recorder.messages[0]
    assert json.loads((tmp_path / "run" / RUN).read_text())["training_photos"] == 8


def test_photos_and_clips_do_not_mix(root: Path, tmp_path: Path) -> None:
    photos, clips = tiny_dataset(tmp_path), tiny_clips(root / "clips")
    montage = clip_recipe("clips.montage={}").clips
    check_kinds(clips.examples, clip_recipe().clips)
    check_kinds(photos.examples, montage)
    check_kinds((*photos.examples, *clips.examples), tiny_recipe().clips)  # the middle frame
    with pytest.raises(DataError, match=r"00\.png is a photo, .*clips\.montage={}"):
        check_kinds((*clips.examples, *photos.examples), clip_recipe().clips)
    with pytest.raises(DataError, match=r"00\.mp4 is a clip, .*clips\.montage=null"):
        check_kinds((*photos.examples, *clips.examples), montage)


def test_a_run_of_before_there_were_clips_goes_on(tmp_path: Path) -> None:
    store_features(tmp_path)
    tiny_train(tmp_path, "old", reporter=Recorder(4, interrupt))
    path = tmp_path / "old" / RUN
    facts = json.loads(path.read_text(encoding="utf-8"))
    del facts["recipe"]["clips"]
    path.write_text(json.dumps(facts), encoding="utf-8")
    reporter = Recorder()
    assert tiny_train(tmp_path, "old", reporter=reporter).finished
    assert reporter.messages[0].startswith("resuming after step 4")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("clips.frames=0", "clips.frames: .*greater than or equal to 1"),
        ("clips.frames=257", "clips.frames: .*less than or equal to 256"),
        ("clips.montage={}", "clips.frames to 2 or more"),
        ("clips.frame=8", "Did you mean 'clips.frames'"),
    ],
)
def test_mistaken_options(change: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_recipe("cam-rnn", [change])


def test_the_shipped_recipes_for_clips() -> None:
    video, clips = load_recipe("cam-rnn-video"), load_recipe("cam-rnn-clips")
    assert (video.clips.frames, video.clips.montage) == (8, None)
    assert clips.clips.frames == 8
    assert clips.clips.montage is not None
    assert video.encoder.trainable_blocks == clips.encoder.trainable_blocks == 0
    for name in ("none-rnn", "frame-rnn", "visual-rnn", "vt-rnn", "cam-rnn"):
        assert load_recipe(name, ["clips.frames=8"]).clips.frames == 8
    with pytest.raises(UsageError, match=r"set encoder\.trainable_blocks=0"):
        load_recipe("cam-rnn-clips", ["encoder.trainable_blocks=2"])
