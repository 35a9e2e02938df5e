"""The motion stream from clips to a proven bundle, and captions of two models together.

Axes: F frames, R regions, 3 colours, H rows, W columns of pixels.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from decoding_models import decode

pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")
pytest.importorskip("av", reason="clips need PyAV")

import torch

from negah.bundle import read_bundle
from negah.captions import Caption
from negah.cli.main import run
from negah.data import FeatureKey, FeatureStore, load_dataset
from negah.data.media_items import MediaItem, read_pictures
from negah.decoding import FusedStepModel, Streams
from negah.errors import DataError, UsageError
from negah.export import load_captioner
from negah.export.run import proof_photos
from negah.media.motion import difference
from negah.media.scenes import Scene
from negah.media.videos import open_clip
from negah.models import EncoderOptions, load_encoder
from negah.runtime import Captioner, OnnxBackend, OnnxEncoder, OnnxStepModel
from negah.runtime.stages import to_caption
from negah.training import load_recipe
from negah.training.clips import ClipOptions
from negah.training.features import feature_key
from tiny_bundle import make_tiny_bundle, tiny_encoder
from tiny_clips import make_clip
from tiny_data import TINY_CAM, tiny_arguments

RATE = 10
TINY_ENCODER = {"name": "test_efficientnet", "weights": "random", "size": 64}


pytestmark = pytest.mark.usefixtures("one_thread")


def write_film(path: Path, seed: int, *, seconds: float = 2.0, step: int = 3) -> Path:
    """Coloured blocks over which a light square walks, to the right or to the left."""
    colours = np.random.default_rng(seed).integers(0, 200, (3, 4, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(colours).resize((96, 64), Image.Resampling.NEAREST))
    frames = []
    for number in range(round(seconds * RATE)):
        frame = ground.copy()
        column = (40 + step * number) % 80
        frame[20:36, column : column + 16] = 250
        frames.append(frame)
    make_clip(frames, rate=RATE, path=path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("motion")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    return write_film(folder / "film.mp4", 0)


@pytest.fixture(scope="module")
def appearance(tiny_bundle: Path, folder: Path) -> Path:
    """The tiny bundle, of which a clip's default is four frames."""
    bundle = Path(shutil.copytree(tiny_bundle, folder / "appearance"))
    config = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    (bundle / "bundle.json").write_text(json.dumps({**config, "clip_frames": 4}), encoding="utf-8")
    return bundle


@pytest.fixture(scope="module")
def motion(folder: Path) -> Path:
    return make_tiny_bundle(
        folder / "motion", clip_frames=3, stream="motion", seed=1, visual="frames"
    )


@pytest.fixture(scope="module")
def fused(appearance: Path, motion: Path) -> Captioner:
    return Captioner(appearance, fuse=[motion], threads=1)


class TestFeatures:
    def test_an_encoder_of_motion_gives_the_mean_region(self) -> None:
        pixels = torch.randn(2, 3, 64, 64)
        encoders = {stream: tiny_encoder(stream=stream) for stream in ("appearance", "motion")}
        grid_NRC, one_N1C = (encoder(pixels) for encoder in encoders.values())
        torch.testing.assert_close(one_N1C, grid_NRC.mean(1, keepdim=True))
        moving = encoders["motion"]
        assert (moving.grid, moving.regions, moving.trunk_shape) == ((1, 1), 1, (1, 256))
        # where blocks learn, their map is what is stored, and the mean comes behind it
        options = {**TINY_ENCODER, "trainable_blocks": 1, "stream": "motion"}
        learning = load_encoder(EncoderOptions.parse(options, where="test"))
        assert len(learning.trunk_shape) == 3
        assert learning(pixels).shape == (2, 1, 256)

    def test_keys(self) -> None:
        clips = ClipOptions(frames=4)
        keys = {}
        for name, options in {
            "appearance": {},
            "motion": {"stream": "motion"},
            "slow": {"stream": "motion", "motion_step": 0.5},
            "unused": {"motion_step": 0.5},
        }.items():
            torch.manual_seed(0)
            encoder = load_encoder(EncoderOptions.parse({**TINY_ENCODER, **options}, where="test"))
            keys[name] = feature_key(encoder, "plain", clips)
        assert keys["unused"] == keys["appearance"]
        assert len({key.folder_name for key in keys.values()}) == 3
        assert keys["motion"].to_dict()["motion_step"] == 0.2
        assert "motion_step" not in keys["appearance"].to_dict()

    def test_keys_of_appearance_are_what_they_were(self) -> None:
        """Or every stored feature of every user would be computed again."""
        preprocessing = {"height": 8, "width": 8, "mean": (0.5,) * 3, "std": (0.5,) * 3}
        values = {
            "encoder": "tiny", "weights_sha256": "0" * 64, "preprocessing": preprocessing,
            "shape": (4, 2),
        }  # fmt: skip
        key = FeatureKey.parse(values, where="test")
        assert key.folder_name == "tiny-fd4c6dbd"
        assert key.model_copy(update={"frames": 8}).folder_name == "tiny-b3f4ca02"
        with pytest.raises(UsageError, match="single pictures have no motion"):
            FeatureKey.parse({**values, "motion_step": 0.2}, where="test")

    @pytest.mark.parametrize("view", ["plain", "flip", "zoom-3"])
    def test_what_is_stored_is_the_difference(self, clip: Path, view: str) -> None:
        preprocessing = tiny_encoder().preprocessing
        found = read_pictures(MediaItem(clip, (0.0, 1.5)), preprocessing, view, 3, 0.2)
        every = [frame.image for frame in open_clip(clip).frames()]
        np.testing.assert_allclose(found.times, [0.2, 0.7, 1.2])
        for pixels_3HW, at in zip(found.pixels_F3HW, (2, 7, 12), strict=True):
            # 0.2 s after the middle of each third, the last of which reaches to 1.5 s
            later = {2: 4, 7: 9, 12: 14}[at]
            pair = [every[at], every[later]]
            if view == "zoom-3":
                pair = [image.crop((27, 13, 27 + 62, 13 + 42)) for image in pair]
            expected = preprocessing.apply(difference(*map(preprocessing.resize, pair)))
            if view == "flip":
                expected = expected[..., ::-1]
            np.testing.assert_array_equal(pixels_3HW, expected)


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("cam-rnn", ["encoder.stream=motion"], "needs several frames: set clips.frames"),
        ("cam-rnn-clips", ["encoder.stream=motion"], "without motion"),
        ("cam-rnn-video", ["encoder.stream=movement"], "appearance"),
        ("cam-rnn-motion", ["encoder.motion_step=0"], "motion_step"),
    ],
)
def test_recipes_without_motion_are_refused(recipe: str, changes: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(recipe, changes)


def test_the_recipe_differs_from_the_one_of_appearance_in_the_stream() -> None:
    video, moving = load_recipe("cam-rnn-video"), load_recipe("cam-rnn-motion")
    assert moving.encoder == video.encoder.model_copy(update={"stream": "motion"})
    assert moving.model == video.model.model_copy(update={"visual": "frames"})
    assert (moving.text, moving.clips, moving.training) == (video.text, video.clips, video.training)


@pytest.fixture(scope="module")
def data(folder: Path) -> Path:
    """Eight clips with two captions each, half of which go to the left."""
    place = folder / "data"
    (place / "clips").mkdir(parents=True)
    with (place / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["video", "caption", "split"])
        for number in range(8):
            way = ("left", "right")[number % 2]
            name = f"{number}.mp4"
            write_film(place / "clips" / name, number, step=3 if number % 2 else -3)
            for caption in (f"a square goes {way}", f"it moves to the {way}"):
                table.writerow([name, caption, ("train", "dev", "test")[max(0, number - 5)]])
    return place


@pytest.fixture(scope="module")
def trained(folder: Path, data: Path) -> Path:
    """A run of two epochs, its bundle, and in ``told.txt`` what the command printed."""
    run_folder = folder / "run"
    arguments = ["train", "cam-rnn-motion", "--data", str(data), "--output", str(run_folder)]
    arguments += ["--features", str(folder / "features"), "--device", "cpu", "--threads", "1"]
    changes = [*TINY_CAM, "encoder.trainable_blocks=0", "clips.frames=3", "training.epochs=2"]
    with redirect_stdout(io.StringIO()) as out:
        assert run([*arguments, *tiny_arguments(tuple(changes))]) == 0
    (run_folder / "told.txt").write_text(out.getvalue(), encoding="utf-8")
    return run_folder


class TestTraining:
    def test_training_ends_with_a_proven_bundle(self, trained: Path) -> None:
        bundle = read_bundle(trained / "bundle")
        encoder = bundle.config.encoder
        assert (encoder.stream, encoder.motion, encoder.regions) == ("motion", 0.2, 1)
        assert bundle.config.clip_frames == 3
        card = (trained / "bundle" / "README.md").read_text(encoding="utf-8")
        assert "clips by their motion (changes within 0.2 s)" in card
        assert "negah caption clip.mp4" in card
        told = (trained / "told.txt").read_text(encoding="utf-8")
        assert "proof: 100.0% of" in told
        assert "negah caption clip.mp4 --model" in told
        restored, _ = load_captioner(bundle)
        assert (restored.grid, restored.options.motion) == ((1, 1), 0.2)

    def test_it_is_proven_on_pictures_of_motion(self, data: Path, tmp_path: Path) -> None:
        dataset = load_dataset(data)
        first = proof_photos(dataset, 8, motion_step=0.2)[0]
        assert isinstance(first, Image.Image)
        frames = [f.image for f in open_clip(data / "clips" / "6.mp4").frames()]
        assert first.tobytes() == difference(frames[1], frames[3]).tobytes()
        with (tmp_path / "captions.csv").open("w", encoding="utf-8") as file:
            file.write("image,caption\na.png,a photo\n")
        Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
        photos = load_dataset(tmp_path)
        assert len(proof_photos(photos)) == 1
        with pytest.raises(DataError, match="no clip, which a model of motion needs"):
            proof_photos(photos, motion_step=0.2)

    def test_the_runtime_sees_what_training_saw(self, trained: Path, data: Path) -> None:
        """Stored features are those of the runtime, to half precision."""
        bundle = read_bundle(trained / "bundle")
        changes = [*TINY_CAM, "encoder.trainable_blocks=0", "clips.frames=3"]
        recipe = load_recipe("cam-rnn-motion", changes)
        torch.manual_seed(recipe.training.seed)
        key = feature_key(load_encoder(recipe.encoder), "plain", recipe.clips)
        store = FeatureStore(trained.parent / "features", key)
        path = data / "clips" / "2.mp4"
        row = store.rows([path])
        captioner = Captioner(trained / "bundle", threads=1)
        assert captioner.caption_clip(path).times == pytest.approx(store.times(row)[0])
        seen = read_pictures(MediaItem(path), bundle.config.preprocessing, "plain", 3, 0.2)
        features_F1C = OnnxEncoder(bundle, threads=1).encode(seen.pixels_F3HW).features
        assert features_F1C.shape[1] == 1
        np.testing.assert_allclose(store.read(row)[0], features_F1C, rtol=5e-3, atol=5e-3)


def close(one: Caption, other: Caption) -> bool:
    scores = one.score == pytest.approx(other.score, abs=1e-4)
    return scores and (one.text, one.times) == (other.text, other.times)


def by_hand(appearance: Path, motion: Path, clip: Path, span: tuple[float, float]) -> Caption:
    """Every frame decoded, both models fed and fused without the runtime."""
    every = list(open_clip(clip).frames())
    models, features, times = [], [], ()
    for folder, step in ((appearance, None), (motion, 0.2)):
        bundle = read_bundle(folder)
        config = bundle.config
        part = (span[1] - span[0]) / config.clip_frames
        pixels, shown = [], []
        for number in range(config.clip_frames):
            wanted = span[0] + (number + 0.5) * part
            at = max(n for n, f in enumerate(every) if f.time <= wanted + 1e-6)
            image = config.preprocessing.resize(every[at].image)
            if step is not None:
                image = difference(image, config.preprocessing.resize(every[at + 2].image))
            pixels.append(config.preprocessing.apply(image))
            shown.append(every[at].time)
        features.append(OnnxEncoder(bundle, threads=1).encode(np.stack(pixels)).features[None])
        models.append(OnnxStepModel(bundle, threads=1))
        times = times or tuple(shown)
    bundle = read_bundle(appearance)
    (found,) = decode(
        FusedStepModel(models),
        Streams(tuple(features), (None, None)),
        bundle.config.decoding,
        tokens=bundle.tokenizer.tokens,
    )
    return to_caption(found, OnnxBackend(bundle), times)


class TestFusion:
    def test_both_read_the_clip_and_choose_together(
        self, fused: Captioner, appearance: Path, motion: Path, clip: Path
    ) -> None:
        expected = by_hand(appearance, motion, clip, (0.0, 2.0))
        caption = fused.caption_clip(clip)
        assert close(caption, expected)
        assert caption.times == pytest.approx((0.2, 0.7, 1.2, 1.7))  # of the first model
        for word, other in zip(caption.words, expected.words, strict=True):
            assert word.regions is not None
            assert word.regions.shape == (4, 2, 2)
            np.testing.assert_allclose(word.regions, other.regions, atol=1e-4)
        alone = [Captioner(model, threads=1).caption_clip(clip) for model in (appearance, motion)]
        assert not any(close(caption, one) for one in alone)
        assert alone[1].words[0].frames is not None
        assert alone[1].words[0].frames.shape == (3,)

    def test_scenes_and_many(self, fused: Captioner, clip: Path) -> None:
        scenes = [Scene(0.0, 1.0), Scene(1.0, 2.0)]
        found = list(fused.caption_scenes(clip, scenes=scenes))
        for scene, one in zip(scenes, found, strict=True):
            assert close(one.caption, fused.caption_clip(clip, span=(scene.start, scene.end)))
        (many,) = fused.caption_many([clip], frames=2)
        assert many.caption is not None
        assert close(many.caption, fused.caption(clip, frames=2))

    def test_a_model_fused_with_itself_is_itself(self, motion: Path, clip: Path) -> None:
        alone = Captioner(motion, threads=1).caption_clip(clip)
        assert close(Captioner(motion, fuse=[motion, motion], threads=1).caption_clip(clip), alone)

    def test_a_photo_is_for_models_of_appearance(
        self, fused: Captioner, appearance: Path, motion: Path, clip: Path, tmp_path: Path
    ) -> None:
        photo = tmp_path / "photo.png"
        next(open_clip(clip).at([1.0])).image.save(photo)
        alone = Captioner(appearance, threads=1)
        assert close(fused.caption(photo), alone.caption(photo))
        # wherever the model of motion stands
        turned = Captioner(motion, fuse=[appearance], threads=1)
        assert turned.caption(photo).text
        results = list(fused.caption_many([photo, clip, photo]))
        assert [r.caption and r.caption.text for r in results] == [
            alone.caption(photo).text, fused.caption(clip).text, alone.caption(photo).text,
        ]  # fmt: skip
        of_motion = Captioner(motion, threads=1)
        for call in (
            lambda: of_motion.caption(photo),
            lambda: list(of_motion.caption_many([photo])),
        ):
            with pytest.raises(UsageError, match="by their motion, and a photo has none"):
                call()

    def test_what_cannot_be_fused(self, appearance: Path, trained: Path) -> None:
        with pytest.raises(UsageError, match=r"need one vocabulary.*learn from the same data"):
            Captioner(appearance, fuse=[trained / "bundle"], threads=1)
        wrong: Any = str(appearance)
        with pytest.raises(UsageError, match="fuse is a list of models"):
            Captioner(appearance, fuse=wrong)
        with pytest.raises(UsageError, match="there is no folder 'nowhere'"):
            Captioner(appearance, fuse=["nowhere"])


def test_the_command_fuses(
    fused: Captioner,
    appearance: Path,
    motion: Path,
    clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = ["--model", str(appearance), "--fuse", str(motion), "--threads", "1"]
    assert run(["caption", str(clip), *both]) == 0
    assert capsys.readouterr().out == f"{fused.caption_clip(clip).text}\n"
    assert run(["caption", str(clip), *both, "--every", "1", "--format", "jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["caption"] for row in rows] == [
        fused.caption_clip(clip, span=span).text for span in ((0, 1), (1, 2))
    ]
    picture = tmp_path / "evidence.png"
    of_motion = ["--model", str(motion), "--threads", "1"]
    assert run(["caption", str(clip), *of_motion, "--picture", str(picture)]) == 0
    with Image.open(picture) as drawn:
        assert drawn.width > 100
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 30), "red").save(photo)
    capsys.readouterr()
    assert run(["caption", str(clip), str(photo), *of_motion]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "a photo has none" in shown.err
