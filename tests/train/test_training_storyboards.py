"""Clips made of storyboards: what is drawn, how it mixes with photos, and a training on both.

Axes: B clips, F frames, R regions, C channels.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

from negah.data import Example, build_features
from negah.data.storyboards import (
    MatchedPhoto,
    Storyboard,
    StoryboardWord,
    write_storyboards,
)
from negah.errors import CheckpointError, DataError, MediaError, UsageError
from negah.export.restore import load_captioner
from negah.export.run import (
    CardNotes,
    export_run,
    load_run,
    proof_photos,
    provenance_of,
    without_folders,
)
from negah.media import open_image
from negah.models import EncoderOptions, load_encoder
from negah.models.backbones import load_classifier
from negah.models.concepts import Concepts
from negah.models.encoders import pool_cells
from negah.run_folder import CHECKPOINT
from negah.runtime import OnnxEncoder
from negah.training import Recipe
from negah.training.batches import Batch, Batches
from negah.training.checkpoint import load_checkpoint
from negah.training.classes import add_classes, tell_classes
from negah.training.clips import ClipOptions
from negah.training.features import (
    BLANK_FOLDER,
    FeatureFolder,
    Views,
    feature_key,
    item_of,
    views_of,
)
from negah.training.implants import Implants
from negah.training.padding import TrunkOutput
from negah.training.sources import read_mixed
from negah.training.storyboards import (
    Boards,
    StoryboardClips,
    load_boards,
)
from negah.training.supported import logit_rises, show_concepts
from tiny_training import Recorder, interrupt, noise_of, run_training, tiny_dataset, tiny_recipe

PHOTOS = ("00.png", "01.png", "02.png", "extra.png", "broken.png")


pytestmark = pytest.mark.usefixtures("one_thread")


def board(
    name: str, split: str, *photos: int, words: tuple[StoryboardWord, ...] = ()
) -> Storyboard:
    captions = (f"the {name} moves", f"a {name} is moving")
    return Storyboard(name, split, captions, tuple(MatchedPhoto(at, 0.9) for at in photos), words)


BOARDS = [
    board("dog", "train", 0, 3, words=(StoryboardWord("dog", 1.0, (151, 207), (1,)),)),
    board("cat", "train", 4, 1, words=(StoryboardWord("cat", 1.0, (281,), (0,)),)),
    board("nothing", "train", 4),
    board("hedgehog", "dev", 2, words=(StoryboardWord("hedgehog", 0.5, (334,), ()),)),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, storyboards and the features that a training on them asks for."""
    folder = tmp_path_factory.mktemp("storyboards")
    pictures = folder / "pictures"
    tiny_dataset(pictures)
    from PIL import Image

    Image.new("RGB", (48, 48), "purple").save(pictures / "extra.png")
    (pictures / "broken.png").write_bytes(b"no picture")
    write_storyboards(folder / "boards.jsonl", BOARDS, PHOTOS)
    store(folder, recipe_of(folder))
    return folder


def recipe_of(root: Path, *changes: str) -> Recipe:
    boards = f"{{file: {root / 'boards.jsonl'}, images: {root / 'pictures'}, share: 0.4}}"
    return tiny_recipe(
        "encoder.name=efficientnet-lite0", "encoder.weights=auto", "encoder.trainable_blocks=0",
        "clips.frames=4", "clips.montage={crops: 1}", f"clips.storyboards={boards}",
        "training.flips=false", *changes,
    )  # fmt: skip


def store(root: Path, recipe: Recipe) -> Views:
    """All views of all pictures, of noise: no graph has to be exported."""
    encoder, features = load_encoder(recipe.encoder), root / "features"
    assert recipe.clips.storyboards is not None
    examples = [*tiny_dataset(root / "pictures").examples, *boards_of(root).photos]
    parts = views_of(examples, features / BLANK_FOLDER, flips=False, clips=recipe.clips)
    encode = noise_of(encoder.trunk_shape)
    return {
        view: build_features(wanted, encode, feature_key(encoder, view, recipe.clips), features)
        for view, wanted in parts.items()
    }


def boards_of(root: Path) -> Boards:
    recipe = recipe_of(root)
    assert recipe.clips.storyboards is not None
    return load_boards(recipe.clips.storyboards, recipe.encoder)


# -- reading --------------------------------------------------------------------------------------


def test_photos_that_cannot_be_read_leave_their_storyboards(root: Path) -> None:
    boards = boards_of(root)
    assert [photo.name for photo in boards.photos] == list(PHOTOS[:1] + PHOTOS[3:] + PHOTOS[1:3])
    left = boards.readable(store(root, recipe_of(root)))
    assert [found.name for found in left.boards] == ["dog", "cat", "hedgehog"]
    cat = left.boards[1]
    assert [boards.photos[shown.photo].name for shown in cat.photos] == ["01.png"]
    assert cat.words[0].borne_out == ()  # the photo that said it is gone
    assert left.boards[0].words[0].borne_out == (1,)


def test_photos_are_shown_beside_those_of_the_data_set(root: Path) -> None:
    boards, dataset = boards_of(root), tiny_dataset(root / "pictures")
    assert [photo.name for photo in boards.beside(dataset.examples)] == ["extra.png", "broken.png"]
    held_out = [replace(example, split="dev") for example in dataset.examples[:1]]
    with pytest.raises(DataError, match=r"00\.png is in the part dev"):
        boards.beside(held_out)
    # a copy under another name, of a part that is not trained on
    copy = root / "copy.png"
    copy.write_bytes((root / "pictures" / "extra.png").read_bytes())
    elsewhere = [*dataset.examples, Example("copy.png", copy, ("x",), "test")]
    with pytest.raises(DataError, match=r"copy\.png = .*extra\.png is in the part test"):
        boards.beside(elsewhere)


@pytest.mark.parametrize(("share", "times"), [(0.5, 5), (0.7, 12), (0.01, 1)])
def test_storyboards_come_as_often_as_it_takes(root: Path, share: float, times: int) -> None:
    boards = boards_of(root)
    options = recipe_of(root).clips
    assert options.storyboards is not None
    changed = options.storyboards.model_copy(update={"share": share})
    found = boards.epoch_captions(15, options.model_copy(update={"storyboards": changed}))
    captions = [board.captions for board in boards.split("train")]
    assert found == captions * times


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"file": "nowhere.jsonl"}, UsageError, "no such file.*negah data storyboards"),
        ({"file": ""}, UsageError, "none are given.*negah data storyboards"),
        ({"file": "clips.jsonl"}, DataError, "a.mp4 is a clip"),
        ({"images": "nowhere"}, UsageError, "no such folder"),
        ({"images": "features"}, DataError, "none of the 5 photos"),
        ({"file": "dev.jsonl"}, DataError, "no storyboard of the part train"),
    ],
)
def test_storyboards_that_cannot_be_used(
    root: Path, changes: dict[str, str], error: type[Exception], message: str
) -> None:
    write_storyboards(root / "dev.jsonl", BOARDS[3:], PHOTOS)
    recipe = recipe_of(root)
    options = recipe.clips.storyboards
    assert options is not None
    write_storyboards(root / "clips.jsonl", BOARDS[:1], ["a.mp4", *PHOTOS[1:]])
    where = {name: value and str(root / value) for name, value in changes.items()}
    with pytest.raises(error, match=message):
        load_boards(options.model_copy(update=where), recipe.encoder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("clips.storyboards={file: x, weakest: 9}", "weakest is at most as much as strongest"),
        ("clips.montage=null", "set clips.montage={}"),
        ("clips.storyboards={file: x, share: 1}", "less than 1"),
    ],
)
def test_options_that_do_not_go_together(root: Path, change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipe_of(root, change)


# -- drawing --------------------------------------------------------------------------------------


def clips(root: Path, implants: Implants | None, *, crops: int = 0) -> StoryboardClips:
    recipe = recipe_of(root)
    views = store(root, recipe)
    options = recipe.clips.model_copy(update={"frames": 6})
    assert options.montage is not None
    montage = options.montage.model_copy(update={"crops": crops})
    options = ClipOptions.model_validate({**options.model_dump(), "montage": montage.model_dump()})
    boards = boards_of(root).readable(views)
    grid = load_encoder(recipe.encoder).grid
    return StoryboardClips(
        boards.split("train"), boards.photos, views, options, grid, implants, seed=3
    )


def test_without_implants_the_photos_are_shown_as_they_are(root: Path) -> None:
    reader = clips(root, None)
    stored = reader.views["plain"]
    photos = {
        name: stored.read(stored.rows([item_of(photo)]))[0].astype(np.float32)
        for photo in boards_of(root).photos
        if (name := photo.name) != "broken.png"
    }
    seen: set[tuple[str, ...]] = set()
    for epoch in range(40):
        frames = reader.learn(np.arange(2), epoch)
        assert frames.real_BF is not None
        for b, names in enumerate([{"00.png", "extra.png"}, {"01.png"}]):
            count = int(frames.real_BF[b].sum())
            assert 1 <= count <= 6
            assert not frames.trunk[b, count:].any()
            shown = [
                name
                for f in range(count)
                for name, feature in photos.items()
                if np.array_equal(frames.trunk[b, f].numpy(), feature)
            ]
            assert len(shown) == count
            assert set(shown) <= names
            # one shot, or two, one after the other
            changes = sum(one != other for one, other in pairwise(shown))
            assert changes <= 1
            seen.add(tuple(dict.fromkeys(shown)))
    assert {("00.png",), ("extra.png",), ("00.png", "extra.png"), ("01.png",)} <= seen


def test_implants_are_put_in_as_often_as_is_said(root: Path) -> None:
    """Within four standard deviations: the word of all sentences is in 70% of the frames of a photo
    whose captions do not say it, and in 21% of those of one whose captions do."""
    directions = np.zeros((1000, 1280), dtype=np.float32)
    directions[[151, 207], 0] = 1000.0
    reader = clips(root, Implants(directions, np.zeros(1280, np.float32), -1e9, 1e9))
    plain = reader.views["plain"]
    first = {
        photo.name: plain.read(plain.rows([item_of(photo)]))[0].astype(np.float32)[:, 1]
        for photo in boards_of(root).photos
        if photo.name != "broken.png"
    }
    counts = {"00.png": [0, 0], "extra.png": [0, 0]}
    for epoch in range(400):
        frames = reader.learn(np.arange(1), epoch)
        assert frames.real_BF is not None
        for f in range(int(frames.real_BF[0].sum())):
            regions_RC = frames.trunk[0, f].numpy()
            (name,) = (n for n, v in first.items() if _behind(regions_RC[:, 1], v))
            counts[name][0] += 1
            counts[name][1] += bool((regions_RC[:, 0] > 100).any())
    for name, share in (("00.png", 0.7), ("extra.png", 0.21)):
        whole, part = counts[name]
        # frames of one clip are drawn one by one
        assert abs(part / whole - share) < 4 * (share * (1 - share) / whole) ** 0.5, name


def _behind(seen_R: np.ndarray, photo_R: np.ndarray) -> bool:
    """Whether a photo is seen, free or behind an implant, which leaves two fifths of it."""
    share_R = seen_R / photo_R
    return bool((np.isclose(share_R, 1) | np.isclose(share_R, 0.4)).all())


def test_clips_depend_on_the_place_and_the_epoch_alone(root: Path) -> None:
    reader = clips(root, None, crops=1)
    whole = reader.learn(np.array([1, 0, 5]), 2)
    assert whole.real_BF is not None
    for b, position in enumerate([1, 0, 5]):
        alone = reader.learn(np.array([position]), 2)
        assert torch.equal(alone.trunk[0], whole.trunk[b, : alone.trunk.shape[1]])
    other = reader.learn(np.array([1, 0, 5]), 3)
    assert whole.trunk.shape != other.trunk.shape or not torch.equal(whole.trunk, other.trunk)
    held_out = reader.held_out(np.array([0, 1]))
    assert torch.equal(held_out.trunk, reader.held_out(np.array([0, 1])).trunk)


def test_photos_and_storyboards_in_one_batch(root: Path) -> None:
    reader = clips(root, None)
    shape = reader.views["plain"].key.shape

    def photos(batch: Batch, epoch: int) -> TrunkOutput:
        trunk = torch.stack([torch.full((2, *shape), float(at)) for at in batch.photos])
        return TrunkOutput(trunk, torch.ones(len(batch.photos), 2, dtype=torch.bool))

    batches = Batches([[[4]]] * 14, photos=7, per_photo=1, flips=False, seed=0)
    for batch in batches.epoch(0):
        frames = read_mixed(batch, 0, photos, reader, 8)
        assert frames.real_BF is not None
        for b, position in enumerate(batch.photos.tolist()):
            real = frames.trunk[b][frames.real_BF[b]]
            if position < 8:
                assert torch.equal(real, torch.full((2, *shape), float(position)))
            else:
                alone = reader.learn(np.array([position - 8]), 0)
                assert torch.equal(real, alone.trunk[0])
            assert not frames.trunk[b][~frames.real_BF[b]].any()


# -- training ----------------------------------------------------------------------------------


def train_storyboards(root: Path, run: str, reporter: Recorder, *changes: str) -> bool:
    return run_training(
        recipe_of(root, *changes),
        tiny_dataset(root / "pictures"),
        root / run,
        root / "features",
        reporter=reporter,
    ).finished


def test_a_training_goes_on_exactly_and_is_judged_by_storyboards_too(root: Path) -> None:
    whole, first, rest = Recorder(), Recorder(5, interrupt), Recorder()
    assert train_storyboards(root, "whole", whole)
    assert "broken.png" in " ".join(whole.messages)
    assert not train_storyboards(root, "stopped", first)
    assert train_storyboards(root, "stopped", rest)
    assert first.losses + rest.losses == whole.losses
    ours, facts = load_checkpoint(root / "whole" / CHECKPOINT)
    theirs, others = load_checkpoint(root / "stopped" / CHECKPOINT)
    assert facts == others
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    names = ("CIDEr-D", "montage/CIDEr-D", "storyboards/CIDEr-D")
    best = max(sum(row[name] for name in names) / 3 for row in whole.rows)
    assert facts["best_score"] == pytest.approx(best)
    # 14 photos and 2 storyboards, of which 2 are 0.4 of all 5 times: 24 in batches of 4
    assert len(whole.losses) == 3 * ((14 + 2 * 5) // 4)
    vocabulary = (root / "whole" / "tokenizer.json").read_text(encoding="utf-8")
    assert '"moving"' in vocabulary
    assert '"hedgehog"' not in vocabulary  # of the part dev


def test_other_storyboards_are_another_run(root: Path, tmp_path: Path) -> None:
    assert train_storyboards(root, "first", Recorder(), "training.epochs=1")
    other = tmp_path / "boards.jsonl"
    original = (root / "boards.jsonl").read_bytes()
    write_storyboards(other, [*BOARDS, board("cow", "train", 1)], PHOTOS)
    try:
        (root / "boards.jsonl").write_bytes(other.read_bytes())
        with pytest.raises(CheckpointError, match="different storyboards"):
            train_storyboards(root, "first", Recorder(), "training.epochs=1")
    finally:
        (root / "boards.jsonl").write_bytes(original)


def test_a_photo_that_has_vanished_is_another_run(root: Path) -> None:
    assert not train_storyboards(root, "vanished", Recorder(2, interrupt))
    extra = root / "pictures" / "extra.png"
    content = extra.read_bytes()
    extra.unlink()
    try:
        with pytest.raises(CheckpointError, match="different storyboards"):
            train_storyboards(root, "vanished", Recorder())
    finally:
        extra.write_bytes(content)
    assert train_storyboards(root, "vanished", Recorder())


@pytest.mark.parametrize(
    "changes",
    [
        ("encoder.weights=random",),
        ("encoder.weights=negah-photo", "encoder.name=efficientnet-lite2", "encoder.size=224"),
    ],
)
def test_implants_need_the_weights_of_imagenet(root: Path, changes: tuple[str, ...]) -> None:
    """Said before features are computed; a bundle's encoder is without a classifier."""
    with pytest.raises(UsageError, match=rf"not {re.escape(changes[0])}: set that to package"):
        train_storyboards(root, "other weights", Recorder(), *changes)


def test_a_card_tells_of_storyboards_and_of_no_folder(root: Path) -> None:
    train_storyboards(root, "carded", Recorder(), "training.epochs=1")
    run = load_run(root / "carded")
    provenance = provenance_of(run, CardNotes())
    (boards,) = (d for d in provenance.training_data if "storyboards" in d.name)
    assert boards.name == "storyboards boards.jsonl"
    assert boards.images == 3
    assert "4 sentences about 2 clips" in boards.note
    told = json.dumps(without_folders(run.recipe)) + provenance.model_dump_json()
    assert "boards.jsonl" in told
    assert str(root) not in told


# -- fewer regions -------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [0, 1])
def test_a_pooled_map_is_the_mean_of_neighbouring_cells(blocks: int) -> None:
    torch.manual_seed(0)
    given = {"name": "efficientnet-lite0", "size": 128, "trainable_blocks": blocks}
    whole = load_encoder(EncoderOptions.parse(given, where="encoder"))
    pooled = load_encoder(EncoderOptions.parse({**given, "pool": 2}, where="encoder"))
    assert (whole.grid, pooled.grid, pooled.regions) == ((4, 4), (2, 2), 4)
    assert pooled.weights_sha256 == whole.weights_sha256
    pixels = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        cells = whole(pixels).reshape(2, 2, 2, 2, 2, -1).mean((2, 4)).flatten(1, 2)
        torch.testing.assert_close(pooled(pixels), cells)


@pytest.mark.heavy
def test_a_pooled_captioner_is_the_same_in_a_bundle_and_back(root: Path) -> None:
    """Also where cells do not divide evenly: 4 x 4 of 7 x 7."""
    changes = ("encoder.size=224", "encoder.pool=4", "training.epochs=1")
    store(root, recipe_of(root, *changes))
    train_storyboards(root, "pooled", Recorder(), *changes)
    run = load_run(root / "pooled")
    assert run.encoder.grid == (4, 4)
    pictures = proof_photos(tiny_dataset(root / "pictures"))
    bundle, proof = export_run(run, root / "pooled-bundle", pictures)
    assert proof is not None
    assert proof.equal_text_share == 1
    encoder, _ = load_captioner(bundle)
    assert encoder.grid == (4, 4)
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    seen = OnnxEncoder(bundle).encode(pixels.numpy()).features
    with torch.no_grad():
        np.testing.assert_allclose(seen, encoder(pixels).numpy(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rows", [4, 7, 9])
@pytest.mark.parametrize("pool", [1, 2, 3, 4])
def test_bins_are_those_of_pytorch(rows: int, pool: int) -> None:
    map_NCHW = torch.randn(2, 3, rows, rows + 1, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.adaptive_avg_pool2d(map_NCHW, pool)
    torch.testing.assert_close(pool_cells(map_NCHW, pool), expected)


def test_pools_that_make_no_sense() -> None:
    given = {"name": "efficientnet-lite0", "size": 64, "weights": "random"}
    with pytest.raises(UsageError, match=r"has 2 x 2 cells; set a smaller number"):
        load_encoder(EncoderOptions.parse({**given, "pool": 3}, where="encoder"))
    with pytest.raises(UsageError, match="one region already"):
        EncoderOptions.parse({**given, "pool": 2, "stream": "motion"}, where="encoder")


# -- concepts ------------------------------------------------------------------------------------


def test_concepts_stand_for_what_is_said(root: Path) -> None:
    torch.manual_seed(2)
    views = store(root, recipe_of(root))
    boards = boards_of(root).readable(views)
    concepts = Concepts(1280, ("dog", "moving", "cat", "sea"))
    features = {
        at: torch.from_numpy(views["plain"].read(np.array([row]))[0].astype(np.float32))
        for at, photo in enumerate(boards.photos)
        if (row := views["plain"].row(item_of(photo))) is not None
    }
    with torch.no_grad():
        concepts.layer.weight.mul_(10)
        logits = {at: f @ concepts.layer.weight.T for at, f in features.items()}
        # of every concept, the photos that show it are about half
        middle_W = torch.stack([of.amax(0) for of in logits.values()]).median(0).values
        concepts.layer.bias.copy_(-middle_W)
    captions = {boards.photos[0].path.resolve(): ("a dog", "the sea")}
    found, implants = show_concepts(boards, concepts, views, captions)
    dog = found.boards[0]
    assert [(word.stem, word.share, word.classes) for word in dog.words] == [
        ("dog", 1.0, (0,)),
        ("moving", 0.5, (1,)),
    ]
    shown = set()
    for board_ in found.boards:
        for word in board_.words:
            for place, photo in enumerate(board_.photos):
                supported = concepts(features[photo.photo][None])[0, word.classes[0]] >= 0.5
                assert (place in word.borne_out) == bool(supported)
                shown.add(bool(supported))
    assert shown == {True, False}
    # of the concepts that are said of too few photos to tell, a gain is one logit
    whole = implants.directions_LC @ concepts.layer.weight.detach().numpy().T
    np.testing.assert_allclose(whole.diagonal(), 1, rtol=1e-2)
    with pytest.raises(UsageError, match="it has none: start from a model with concepts"):
        show_concepts(boards, None, views, captions)


def test_classes_are_shown_where_no_concept_stands_for_a_word(root: Path) -> None:
    views = store(root, recipe_of(root))
    boards = boards_of(root).readable(views)
    options = EncoderOptions.parse({"name": "efficientnet-lite0"}, where="encoder")
    asked = tell_classes(boards, options, FeatureFolder(root / "classes"), torch.device("cpu"))
    assert asked.logits_NL is not None
    encoder = load_encoder(options)
    classifier_LC = load_classifier("efficientnet-lite0", "auto")
    for photo, logits_L in zip(boards.photos, asked.logits_NL, strict=True):
        if np.isnan(logits_L).any():
            with pytest.raises(MediaError):
                open_image(photo.path)
            continue
        pixels_CHW = torch.from_numpy(encoder.preprocessing.apply(open_image(photo.path)))
        with torch.no_grad():
            expected_L = encoder(pixels_CHW[None])[0].mean(0) @ classifier_LC.T
        np.testing.assert_allclose(logits_L, expected_L, atol=0.02)
    concepts = Implants(np.ones((2, 1280), np.float32), np.zeros(1280, np.float32), 0.0, 6.0)
    dogs = StoryboardWord("dogs", 1.0, (1,), ())
    told = replace(asked, boards=tuple(replace(board, words=(dogs,)) for board in asked.boards))
    both, implants = add_classes(asked, told, concepts, views)
    assert implants.directions_LC.shape == (1002, 1280)
    assert (implants.directions_LC[:2] == 1).all()
    for after, before in zip(both.boards, asked.boards, strict=True):
        others = [word for word in before.words if word.stem != "dog"]
        assert [word.stem for word in after.words] == ["dogs", *(word.stem for word in others)]
        moved = [tuple(label - 2 for label in word.classes) for word in after.words[1:]]
        assert moved == [word.classes for word in others]


def test_how_much_higher_a_logit_is_where_a_word_is_said() -> None:
    random = np.random.default_rng(0)
    said_NW = np.zeros((60, 3), dtype=np.bool_)
    said_NW[:20, 0] = said_NW[10:40, 1] = said_NW[:3, 2] = True
    means_NW = random.normal(size=(60, 3)).astype(np.float32) + said_NW * np.array([2.0, 4.0, 9.0])
    found = logit_rises(means_NW, said_NW)
    expected = [
        means_NW[said_NW[:, w], w].mean() - means_NW[~said_NW[:, w], w].mean() for w in (0, 1)
    ]
    np.testing.assert_allclose(found, [*expected, np.mean(expected)], rtol=1e-5)  # 3 are too few


def test_a_captioner_of_photos_learns_from_text_without_photos(root: Path) -> None:
    """With storyboards of one frame, shown by the concepts of the encoder that it starts from."""
    assert train_storyboards(root, "teller", Recorder(), "encoder.concepts=4", "training.epochs=1")
    boards = f"{{file: {root / 'boards.jsonl'}, images: {root / 'pictures'}, share: 0.4"
    changes = ("clips.frames=1", "clips.montage=null", "encoder.concepts=4", "training.epochs=1")
    changes = (*changes, f"clips.storyboards={boards}, implants: concepts}}")
    reporter = Recorder()
    with pytest.raises(UsageError, match="start from a model with concepts"):
        train_storyboards(root, "untold", Recorder(), *changes)
    weights = f"encoder.weights={root / 'teller'}"
    assert train_storyboards(root, "told", reporter, *changes, weights, "model.concepts=true")
    assert "10 of 24 photos of an epoch are storyboards" in reporter.messages
    assert set(reporter.rows[0]) >= {"CIDEr-D", "storyboards/CIDEr-D"}
    assert not any(name.startswith("montage") for name in reporter.rows[0])
    with pytest.raises(UsageError, match=r"training\.augment stores none"):
        recipe_of(root, *changes, "training.augment={crop: 0.5}")


def test_implants_were_a_switch_once(root: Path) -> None:
    for value, meant in ((True, "classes"), (False, "none")):
        options = recipe_of(root).model_dump(mode="json")
        options["clips"]["storyboards"]["implants"] = value
        clips_ = Recipe.parse(options, where="run.json").clips
        assert clips_.storyboards is not None
        assert clips_.storyboards.implants == meant
