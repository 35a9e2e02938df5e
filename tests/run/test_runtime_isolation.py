"""A model that refuses one photo of a batch: this one is recorded, and the others are captioned."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from negah.backends import BACKENDS, Encoded
from negah.cli.main import run
from negah.data import Example
from negah.errors import MediaError
from negah.runtime import Captioner, CaptionQueue
from negah.runtime.isolation import isolate_errors
from negah.runtime.lazy import LazyPhoto
from negah.tuning import TriedOptions, tune
from place_backend import PlaceBackend, spotted
from tiny_clips import make_clip

#: Names of photos; those that the model refuses have "bad" in their name.
NAMES = ("a.png", "bad1.png", "b.png", "c.png", "bad2.png", "d.png", "e.png")


class Picky(PlaceBackend):
    """Refuses green pictures: in ``encode``, as a service does, or before, in ``pixels``."""

    def __init__(self, stage: str = "encode", frames: int = 1) -> None:
        super().__init__(frames)
        self.stage = stage
        self.batches: list[int] = []

    def _look(self, stage: str, pixels_N3HW: np.ndarray) -> None:
        red, green, _ = pixels_N3HW.mean((2, 3)).T
        if stage == self.stage and (green > red + 0.2).any():
            raise MediaError("a picture", "is refused by the model")

    def pixels(self, images):
        pixels_N3HW = super().pixels(images)
        self._look("pixels", pixels_N3HW)
        return pixels_N3HW

    def encode(self, pixels_N3HW) -> Encoded:
        self.batches.append(len(pixels_N3HW))
        self._look("encode", pixels_N3HW)
        return super().encode(pixels_N3HW)


@pytest.fixture
def album(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "album" / name for name in NAMES]
    paths[0].parent.mkdir()
    for number, path in enumerate(paths):
        photo = Image.new("RGB", (56, 56), (20, 220, 20)) if "bad" in path.name else None
        (photo or spotted((number, 3))).save(path)
    return paths


def test_a_bad_item_is_found_in_any_place() -> None:
    def work(some: list[int]) -> int:
        if {2, 5} & set(some):
            raise MediaError(str(some), "bad")
        return sum(some)

    assert list(isolate_errors([1, 3, 4], work)) == [([1, 3, 4], 8)]
    found = [(some, result if isinstance(result, int) else result.path)
             for some, result in isolate_errors([1, 2, 4, 5], work)]  # fmt: skip
    assert found == [([1], 1), ([2], "[2]"), ([4], 4), ([5], "[5]")]


@pytest.mark.parametrize("stage", ["encode", "pixels"])
@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_the_others_are_captioned(album: list[Path], stage: str, batch_size: int) -> None:
    captioner = Captioner(Picky(stage), threads=1)
    results = list(captioner.caption_many(album, batch_size=batch_size, on_error="report"))
    assert [result.photo for result in results] == album
    for path, result in zip(album, results, strict=True):
        if "bad" in path.name:
            assert str(result.error) == f"{path}: is refused by the model"
        else:
            assert result.caption is not None
            assert result.caption.text == captioner.caption(path).text


def test_samples_do_not_depend_on_the_bad_ones(album: list[Path]) -> None:
    good = [path for path in album if "bad" not in path.name]
    options = {"method": "sample", "on_error": "report", "batch_size": 3}
    captioner = Captioner(Picky(), threads=1)
    texts = {r.photo: r.caption.text for r in captioner.caption_many(album, **options) if r.caption}
    places = [album.index(path) for path in good]
    alone = captioner.caption_many(good, places=places, **options)
    assert texts == {result.photo: result.caption.text for result in alone if result.caption}


def test_raising_stops_after_the_results_before(album: list[Path]) -> None:
    results = Captioner(Picky(), threads=1).caption_many(album, batch_size=7)
    assert next(results).photo == album[0]
    with pytest.raises(MediaError, match=r"bad1\.png: is refused by the model"):
        next(results)
    with pytest.raises(MediaError, match="is refused by the model"):
        Captioner(Picky(), threads=1).caption(album[1])


def test_other_forms_of_photos(album: list[Path]) -> None:
    """An error has the name of the file where there is one."""
    contents = [path.read_bytes() for path in album[:3]]
    lazy = [LazyPhoto(f"{at}!", lambda one=one: one) for at, one in enumerate(contents)]
    pictures = [Image.open(io.BytesIO(one)) for one in contents]
    for photos, name in ((contents, "a picture"), (lazy, "1!"), (pictures, "a picture")):
        results = Captioner(Picky(), threads=1).caption_many(photos, on_error="report")
        errors = [result.error for result in results]
        assert [error and str(error) for error in errors] == [
            None,
            f"{name}: is refused by the model",
            None,
        ]


def test_a_refused_clip(tmp_path: Path) -> None:
    for name, colour in (("a", (90, 90, 90)), ("bad", (20, 220, 20)), ("b", (200, 90, 90))):
        frames = [np.full((56, 56, 3), colour, np.uint8)] * 12
        (tmp_path / f"{name}.mp4").write_bytes(make_clip(frames))
    paths = [tmp_path / f"{name}.mp4" for name in ("a", "bad", "b")]
    captioner = Captioner(Picky(frames=2), threads=1)
    results = list(captioner.caption_many(paths, on_error="report"))
    assert [result.error is None for result in results] == [True, False, True]
    assert str(results[1].error) == f"{paths[1]}: is refused by the model"


def test_the_queue_answers_each_caller(album: list[Path]) -> None:
    queue = CaptionQueue(Captioner(Picky(), threads=1, batch_size=7))
    try:
        answers = [queue.submit(path.read_bytes()) for path in album]
        for path, answer in zip(album, answers, strict=True):
            error = answer.exception(timeout=60)
            assert isinstance(error, MediaError) if "bad" in path.name else error is None
    finally:
        queue.close()


class Kind:
    """Opens ``picky:STAGE``."""

    def recognises(self, path: Path) -> bool:
        return False

    def open(self, source, *, threads: int) -> Picky:
        return Picky(str(source).partition(":")[2])


@pytest.mark.parametrize("output", [(), ("--output", "captions.csv")])
def test_the_command(
    album: list[Path],
    output: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with BACKENDS.temporary():
        BACKENDS.register("picky", Kind())
        assert run(["caption", "album", "--model", "picky:encode", "--format", "csv", *output]) == 1
    out, err = capsys.readouterr()
    rows = (Path("captions.csv").read_text("utf-8") if output else out).splitlines()
    assert [row.partition(",")[0] for row in rows[1:]] == [
        f"album/{path.name}" for path in album if "bad" not in path.name
    ]
    assert re.findall(r"failed: album/(\w+)\.png: is refused by the model", err) == ["bad1", "bad2"]
    assert "captioned 5, skipped 0, failed 2" in err


def test_options_are_tuned_on_the_others(album: list[Path]) -> None:
    examples = [Example(path.name, path, ("f0c3 f0c10",), "dev") for path in album]
    tried = TriedOptions(beams=(2,), exponents=(0.0,))
    found = tune(Picky(), examples, tried, max_pixels=10**6)
    assert (found.photos, found.unread) == (5, ("bad1.png", "bad2.png"))
    good = [example for example in examples if "bad" not in example.name]
    assert found.trials == tune(Picky(), good, tried, max_pixels=10**6).trials
