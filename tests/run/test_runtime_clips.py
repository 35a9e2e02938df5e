"""Clips to captions: which frames are looked at, in what order results come, what is refused."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from decoding_models import decode
from negah.captions import Caption
from negah.errors import MediaError, UsageError
from negah.media.motion import SampledPictures
from negah.media.scenes import Scene, SceneOptions, find_scenes
from negah.media.videos import open_clip
from negah.runtime import Captioner, OnnxBackend, OnnxEncoder, OnnxStepModel, find_bundle
from negah.runtime.clips import equal_scenes, read_shot
from negah.runtime.stages import to_caption
from tiny_clips import blocks, film, make_clip


@pytest.fixture(scope="module")
def clip_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle, of which a clip's default is eight frames."""
    folder = tmp_path_factory.mktemp("clips") / "bundle"
    shutil.copytree(tiny_bundle, folder)
    config = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**config, "clip_frames": 8}))
    return folder


@pytest.fixture(scope="module")
def captioner(clip_bundle: Path) -> Captioner:
    return Captioner(clip_bundle, threads=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    path.write_bytes(film(4, 3, 5))
    return path


def same(one: Caption, other: Caption) -> bool:
    return (one.text, one.times) == (other.text, other.times) and one.score == pytest.approx(
        other.score, abs=1e-4
    )


def oracle(captioner: Captioner, path: Path, count: int, span: tuple[float, float]) -> Caption:
    """Every frame decoded, those that are shown at the centres of equal parts chosen by hand."""
    every = list(open_clip(path).frames())
    part = (span[1] - span[0]) / count
    chosen: dict[float, Image.Image] = {}
    for number in range(count):
        wanted = span[0] + (number + 0.5) * part
        shown = max((f for f in every if f.time <= wanted + 1e-6), key=lambda f: f.time)
        chosen[shown.time] = shown.image
    bundle = captioner.backend.bundle
    pixels_F3HW = np.stack([bundle.config.preprocessing.apply(i) for i in chosen.values()])
    features_FRC = OnnxEncoder(bundle, threads=1).encode(pixels_F3HW).features
    (found,) = decode(
        OnnxStepModel(bundle, threads=1),
        features_FRC[None],
        bundle.config.decoding,
        tokens=bundle.tokenizer.tokens,
    )
    return to_caption(found, OnnxBackend(bundle), tuple(chosen))


@pytest.mark.parametrize("count", [1, 2, 8, 28])
def test_the_frames_are_those_at_the_centres_of_equal_parts(
    captioner: Captioner, clip: Path, count: int
) -> None:
    caption = captioner.caption_clip(clip, frames=count)
    assert same(caption, oracle(captioner, clip, count, (0, 12)))
    assert len(caption.times) == count
    encoder = captioner.backend.bundle.config.encoder
    for word in caption.words:
        assert word.frames is not None
        assert word.frames.shape == (count,)
        assert word.frames.sum() == pytest.approx(1, abs=1e-5)
        assert word.regions is not None
        assert word.regions.shape == (count, encoder.rows, encoder.columns)
        assert word.regions.sum((1, 2)) == pytest.approx(np.ones(count), abs=1e-5)


def test_the_default_is_the_models(captioner: Captioner, clip: Path, tiny_bundle: Path) -> None:
    assert len(captioner.caption_clip(clip).times) == 8
    of_photos = Captioner(tiny_bundle, threads=1)
    caption = of_photos.caption_clip(clip)
    assert caption.times == (6.0,)
    middle = next(open_clip(clip).at([6.0])).image
    assert caption.text == of_photos.caption(middle).text


def test_a_span_is_the_part_that_is_seen(captioner: Captioner, clip: Path) -> None:
    caption = captioner.caption_clip(clip, span=(4, 7), frames=4)
    assert same(caption, oracle(captioner, clip, 4, (4, 7)))
    assert captioner.caption_clip(clip, span=(-5, 99)).times == captioner.caption_clip(clip).times


def test_a_clip_in_every_form(captioner: Captioner, clip: Path) -> None:
    expected = captioner.caption_clip(clip)
    content = clip.read_bytes()
    forms: list[Any] = [str(clip), content, io.BytesIO(content), open_clip(clip)]
    assert all(same(captioner.caption_clip(form), expected) for form in forms)
    assert same(captioner.caption(clip), expected)
    assert len(captioner.caption(str(clip), frames=3).times) == 3


def test_fewer_frames_than_asked_for(captioner: Captioner) -> None:
    caption = captioner.caption_clip(film(0.6), frames=28)
    assert caption.times == pytest.approx((0, 0.2, 0.4))
    assert all(word.frames is not None and len(word.frames) == 3 for word in caption.words)


def test_photos_and_clips_together_keep_their_order(
    captioner: Captioner, clip: Path, tmp_path: Path
) -> None:
    photo, text, other = tmp_path / "a.png", tmp_path / "bad.mp4", tmp_path / "b.mkv"
    Image.fromarray(blocks(7)).save(photo)
    text.write_text("hello")
    other.write_bytes(film(2))
    given = [photo, clip, text, other, photo, photo, tmp_path / "none.webm", clip]
    results = list(captioner.caption_many(given, batch_size=2, on_error="report"))
    assert [result.photo for result in results] == given
    assert [result.error is None for result in results] == [
        True, True, False, True, True, True, False, True,
    ]  # fmt: skip
    assert "bad.mp4: is not a video" in str(results[2].error)
    for path, result in zip(given, results, strict=True):
        if result.caption is not None:
            assert same(result.caption, captioner.caption(path))
    assert [result.span for result in results[:4]] == [None, (0, 12), None, (0, 2)]
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        list(captioner.caption_many(given))


class TestScenes:
    def test_every_scene_is_captioned_as_its_span_would_be(
        self, captioner: Captioner, clip: Path
    ) -> None:
        scenes = list(captioner.caption_scenes(clip, frames=5))
        assert [(round(s.start, 2), round(s.end, 2)) for s in scenes] == [(0, 4), (4, 7), (7, 12)]
        for scene in scenes:
            alone = captioner.caption_clip(clip, frames=5, span=(scene.start, scene.end))
            assert same(scene.caption, alone)
            assert all(scene.start <= time < scene.end for time in scene.caption.times)
        row = scenes[1].to_dict()
        assert (row["start"], row["end"], row["caption"]) == (4, 7, scenes[1].caption.text)

    def test_they_come_as_they_are_found(self, captioner: Captioner) -> None:
        reached: list[float] = []
        scenes = captioner.caption_scenes(film(4, 4, 40), frames=2, progress=reached.append)
        assert next(scenes).end == pytest.approx(4)
        assert max(reached) < 20
        assert len(list(scenes)) == 2
        assert max(reached) > 45

    def test_what_progress_raises_ends_the_work(self, captioner: Captioner, clip: Path) -> None:
        def stop(time: float) -> None:
            if time > 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(captioner.caption_scenes(clip, progress=stop))

    def test_options_and_given_scenes(self, captioner: Captioner, clip: Path) -> None:
        (whole,) = captioner.caption_scenes(clip, scenes=SceneOptions(minimum=20))
        assert (whole.start, whole.end) == (0, 12)
        given = [Scene(1, 2), Scene(2, 3.5), Scene(10, 99)]
        parts = list(captioner.caption_scenes(clip, scenes=given, frames=1))
        assert [(p.start, p.end) for p in parts] == [(1, 2), (2, 3.5), (10, 12)]

    def test_parts_shorter_than_a_frame_show_the_frame_that_lasts(
        self, captioner: Captioner
    ) -> None:
        slow = open_clip(make_clip([blocks(1), blocks(2)], rate=1, container="matroska"))
        parts = list(captioner.caption_scenes(slow, scenes=equal_scenes(slow, 0.4), frames=3))
        assert [part.caption.times for part in parts] == [(0,), (0,), (0, 1), (1,), (1,)]

    @pytest.mark.parametrize(
        ("seconds", "expected"),
        [(12, [12]), (5, [5, 7]), (4, [4, 4, 4]), (8, [8, 4]), (9, [12]), (7, [7, 5]), (100, [12])],
    )
    def test_equal_parts(self, clip: Path, seconds: float, expected: list[float]) -> None:
        lengths = [scene.duration for scene in equal_scenes(open_clip(clip), seconds)]
        assert lengths == pytest.approx(expected)

    def test_damage_is_told_once(self, captioner: Captioner, tmp_path: Path, caplog: Any) -> None:
        content = bytearray(film(4, 4))
        for at in range(len(content) // 2, len(content) * 3 // 5, 3):
            content[at] ^= 0x5A
        path = tmp_path / "spoilt.mkv"
        path.write_bytes(content)
        assert list(captioner.caption_scenes(path, frames=4))
        assert sum("damaged" in record.message for record in caplog.records) <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, clip: c.caption_clip(clip, frames=0), "from 1 to"),
        (lambda c, clip: c.caption_clip(clip, frames=10_001), "from 1 to"),
        (lambda c, clip: c.caption_clip(clip, beem=3), "beam"),
        (lambda c, clip: c.caption_clip(clip, span=(20, 30)), "lasts from 0.00 s to 12.00 s"),
        (lambda c, clip: c.caption_clip(clip, span=(5, 5)), "there is nothing from 5 s"),
        (lambda c, clip: c.caption_clip(3), "a clip is a path"),
        (lambda c, clip: c.caption_scenes(clip, beem=3), "beam"),
        (lambda c, clip: c.caption_many([], frames=0), "from 1 to"),
        (lambda c, clip: list(equal_scenes(open_clip(clip), 0)), "more than 0 seconds"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    captioner: Captioner, clip: Path, call: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        call(captioner, clip)


def test_frames_are_kept_in_the_size_of_the_model(captioner: Captioner, clip: Path) -> None:
    shot = read_shot(
        clip, [SampledPictures(4, captioner.backend.bundle.config.preprocessing.resize)]
    )
    assert {picture.image.size for pictures in shot.seen for picture in pictures} == {(64, 64)}


class TestDefaultModels:
    def test_one_for_clips_is_preferred_for_clips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        both = {"negah-photo": Path("p"), "negah-video": Path("v")}
        monkeypatch.setattr("negah.runtime.models.bundled_models", lambda: both)
        assert find_bundle(clips=True) == Path("v")
        assert find_bundle() == Path("p")
        assert find_bundle("negah-photo", clips=True) == Path("p")

    def test_without_one_the_other_serves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("negah.runtime.models.bundled_models", lambda: {"negah-photo": "p"})
        assert find_bundle(clips=True) == "p"


@pytest.mark.data
def test_a_real_clip_with_the_bundled_model(data_root: Path) -> None:
    path = data_root / "msvd" / "clips" / "1RchFBCT9JU_43_53.avi"
    captioner = Captioner(find_bundle(clips=True), threads=1)
    first, second = captioner.caption_scenes(path, frames=4)
    assert second.start == pytest.approx(8.74, abs=0.01)
    assert len(first.caption.words) >= 3
    assert [(s.start, s.end) for s in find_scenes(open_clip(path))] == [
        (first.start, first.end), (second.start, second.end),
    ]  # fmt: skip
