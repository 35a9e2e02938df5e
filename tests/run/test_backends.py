"""What captions, behind one protocol: a bundle, a training run, a model of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import negah
from negah.backends import BACKENDS, Encoded, Identity, Sight
from negah.cli.main import run
from negah.decoding import DecodingOptions, Step
from negah.errors import BundleError, UnknownNameError, UsageError
from negah.media.kinds import open_file
from negah.runtime import Captioner, OnnxBackend, find_bundle, open_backend
from negah.text.vocabulary import Specials
from tiny_clips import make_clip

pytest.importorskip("torch", reason="a training run needs the train extra")

from tiny_data import Trained, trained


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.getbasetemp() / "trained")


@pytest.fixture(scope="module")
def photos(tiny_run: Trained) -> list[Path]:
    return sorted((tiny_run.data / "images").iterdir())[:6]


def plain_clip(folder: Path, grey: int) -> Path:
    path = folder / "clip.mp4"
    path.write_bytes(make_clip([np.full((48, 64, 3), grey, np.uint8)] * 12))
    return path


class Counting:
    """A made backend whose model counts: the caption of a picture is its index among greys."""

    TOKENS = ("<end>", "dark", "bright", "<start>")

    def __init__(self) -> None:
        self.identity = Identity("counting", "made", "counting:here", "CC0-1.0", "0" * 64)
        self.sight = Sight(size=(8, 8), grid=None)
        self.decoding = DecodingOptions(beam=2, max_length=3)
        self.tokenizer = self
        self.model = self
        self.tokens = self.TOKENS
        self.specials = Specials(start=3, end=0, never=(3,))

    def decode(self, ids):
        return " ".join(self.TOKENS[i] for i in ids)

    def resize(self, image):
        return image.convert("RGB").resize((8, 8))

    def pixels(self, images):
        arrays = [np.asarray(self.resize(image), np.float32) / 255 for image in images]
        return np.stack(arrays).transpose(0, 3, 1, 2)

    def encode(self, pixels_N3HW):
        return Encoded(pixels_N3HW.mean(axis=(2, 3))[:, None])

    def start(self, features, real_frames=None):
        return features.mean(axis=(1, 2, 3))[:, None], 0

    def step(self, state, tokens):
        light_BK, t = state
        light_BK = np.broadcast_to(light_BK, tokens.shape)
        odds = np.full((*tokens.shape, 4), 1e-4, np.float32)
        odds[..., 0] = 0.01 if t == 0 else 0.97
        odds[..., 1], odds[..., 2] = 1.01 - light_BK, light_BK + 0.01
        logprobs = np.log(odds / odds.sum(-1, keepdims=True)).astype(np.float32)
        return Step(logprobs, (light_BK, t + 1), {})

    def reorder(self, state, parents):
        return np.take_along_axis(state[0], parents, axis=1), state[1]


def test_a_run_captions_as_its_bundle_does(tiny_run: Trained, photos: list[Path]) -> None:
    """The bundle has the weights in half precision, so the numbers differ a little."""
    by_run, by_bundle = (
        Captioner(model, threads=1) for model in (tiny_run.folder, tiny_run.bundle)
    )
    assert by_run.backend.identity.kind == "run"
    assert by_run.backend.sight == by_bundle.backend.sight
    for photo in photos:
        one, other = by_run.caption(photo), by_bundle.caption(photo)
        assert one.text == other.text
        assert one.logprob == pytest.approx(other.logprob, abs=0.05)
        for word, same in zip(one.words, other.words, strict=True):
            np.testing.assert_allclose(word.regions, same.regions, atol=0.02)


def test_the_commands_take_a_run(
    tiny_run: Trained, photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["caption", str(photos[0]), "--model", str(tiny_run.folder)]) == 0
    text = capsys.readouterr().out.strip()
    assert text == Captioner(tiny_run.bundle, threads=1).caption(photos[0]).text
    scores = tmp_path / "scores.json"
    arguments = ["evaluate", str(tiny_run.folder), "--data", str(tiny_run.data), "--beam", "1"]
    # without METEOR, whose data another worker may still be compiling: half a minute of waiting
    arguments += ["--metrics", "BLEU-4,CIDEr-D"]
    assert run([*arguments, "--json", str(scores)]) == 0
    (found,) = json.loads(scores.read_text(encoding="utf-8"))["evaluations"]
    assert found["model"]["name"] == "cam-rnn"
    capsys.readouterr()
    # what a model is read from is never written over
    best = tiny_run.folder / "best.safetensors"
    before = best.stat().st_mtime_ns
    arguments = ["caption", str(photos[0]), "--model", str(tiny_run.folder)]
    assert run([*arguments, "--output", str(best)]) == 2
    assert best.stat().st_mtime_ns == before


def test_what_pytorch_refuses_of_a_run_is_one_line(tiny_run: Trained) -> None:
    backend = open_backend(tiny_run.folder)
    pixels = backend.pixels([Image.new("RGB", (9, 9))] * 6)
    whole = backend.encode(pixels).features
    np.testing.assert_array_equal(whole[4:], backend.encode(pixels[4:]).features)
    for work in (
        lambda: backend.encode(pixels[:, :2]),
        lambda: backend.model.start(whole[:, None, :, :3]),
    ):
        with pytest.raises(
            BundleError, match=r"cam-rnn cannot be run.*lower --batch-size"
        ) as error:
            work()
        assert "\n" not in str(error.value)


def test_a_run_and_its_bundle_may_be_fused(tiny_run: Trained, photos: list[Path]) -> None:
    alone = Captioner(tiny_run.bundle, threads=1).caption(photos[1])
    fused = Captioner(tiny_run.bundle, fuse=[tiny_run.folder], threads=1).caption(photos[1])
    assert fused.text == alone.text


@pytest.mark.parametrize("kind", list(BACKENDS))
def test_every_kind_of_the_package_recognises_its_own(
    kind: str, tiny_run: Trained, tmp_path: Path
) -> None:
    own = {"bundle": tiny_run.bundle, "run": tiny_run.folder}.get(kind)
    assert not BACKENDS.get(kind).recognises(tmp_path)
    if own is not None:
        assert BACKENDS.get(kind).recognises(own)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no file bundle"):
        open_backend(tmp_path)
    with pytest.raises(UsageError, match="there is no folder 'nothing'"):
        open_backend("nothing")
    known = r"unknown kind of model 'nothing'.*Known: bundle, .*by an entry point 'negah.backends'"
    with pytest.raises(UnknownNameError, match=known):
        open_backend("nothing:here")
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="has no weights to export yet"):
        open_backend(tmp_path)


def test_a_backend_of_ones_own(tmp_path: Path) -> None:
    captioner = Captioner(Counting(), threads=1)
    for colour, word in (("black", "dark"), ("white", "bright")):
        caption = captioner.caption(Image.new("RGB", (30, 20), colour))
        assert caption.text == word
        assert caption.words[0].regions is None
    clip = plain_clip(tmp_path, 250)
    assert captioner.caption(clip).text == "bright"
    with pytest.raises(UsageError, match="1 to 1, not 2"):
        captioner.caption(clip, frames=2)
    fused = Captioner(Counting(), fuse=[Counting()], threads=1)
    assert fused.caption(Image.new("RGB", (9, 9), "white")).text == "bright"


def test_models_of_other_words_are_not_fused(tiny_run: Trained) -> None:
    with pytest.raises(UsageError, match="need one vocabulary"):
        Captioner(tiny_run.bundle, fuse=[Counting()], threads=1)


def test_the_bundled_models_share_the_work(photos: list[Path], tmp_path: Path) -> None:
    """Photos by the one, clips by the other, each opened when it is needed."""
    clip = plain_clip(tmp_path, 120)
    captioner = Captioner(threads=1)
    assert captioner.files == []
    by_clip = captioner.caption(clip)
    assert {file.parent.name for file in captioner.files} == {"negah-video"}
    results = list(captioner.caption_many([photos[0], clip, photos[1]]))
    assert results[1].caption is not None
    assert results[1].caption.to_dict() == by_clip.to_dict()
    assert {file.parent.name for file in captioner.files} == {"negah-photo", "negah-video"}
    of_clips = negah.load("negah-video", threads=1)
    assert by_clip.text == of_clips.caption(clip).text
    assert negah.load(clips=True, threads=1).backend.identity.name == "negah-video"
    assert isinstance(captioner.backend, OnnxBackend)
    assert captioner.backend.bundle.path == find_bundle()


def test_a_photo_is_opened_once_also_to_be_drawn_on(
    photos: list[Path], tiny_run: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counting(path: Path, noun: str):
        opened.append(path)
        return open_file(path, noun)

    monkeypatch.setattr("negah.media.images.open_file", counting)
    given = [str(photo) for photo in photos[:3]]
    folder = tmp_path / "pictures"
    model = ["--model", str(tiny_run.bundle)]
    assert run(["caption", *given, *model, "--picture", str(folder)]) == 0
    assert sorted(opened) == photos[:3]
    for photo in photos[:3]:
        with Image.open(folder / f"{photo.stem}.png") as picture:
            assert picture.width > 400
