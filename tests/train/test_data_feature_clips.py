"""Stored features of clips: the right frames and times, spans apart, nothing computed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

pytest.importorskip("av", reason="clips need PyAV")

from negah.arrays import FloatArray
from negah.data import FeatureKey, FeatureStore, build_features
from negah.data.feature_files import TIMES_FILE
from negah.data.media_items import ZOOMS, MediaItem, read_pictures
from negah.errors import DataError, MediaError
from negah.hashing import content_sha256
from negah.media.preprocess import Preprocessing
from negah.media.sampling import uniform_times
from negah.media.videos import open_clip
from tiny_clips import make_clip, walking_bar

PREPROCESSING = Preprocessing(height=16, width=24, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
FRAMES = 5
PICTURES = FeatureKey(
    encoder="columns", weights_sha256="0" * 64, preprocessing=PREPROCESSING, shape=(24, 3)
)
KEY = PICTURES.model_copy(update={"frames": FRAMES})


def encode(pixels_N3HW: FloatArray) -> FloatArray:
    """The mean colour of each column: (N, 24, 3)."""
    assert len(pixels_N3HW) <= 16
    means_N3W: FloatArray = pixels_N3HW.mean(2)
    return np.ascontiguousarray(means_N3W.transpose(0, 2, 1))


def never(pixels_N3HW: FloatArray) -> FloatArray:
    raise AssertionError("computed twice")


def expected(
    path: Path, span: tuple[float, float] | None = None, view: str = "plain", count: int = FRAMES
) -> tuple[npt.NDArray[np.float16], list[float]]:
    """The oracle: one frame at a time, no store."""
    clip = open_clip(path)
    start, end = span or (clip.info.start, clip.info.end)
    features, times = [], []
    for frame in clip.at(uniform_times(start, end, count)):
        pixels_3HW = PREPROCESSING.apply(frame.image)
        features.append(encode((pixels_3HW[..., ::-1] if view == "flip" else pixels_3HW)[None])[0])
        times.append(frame.time)
    return np.array(features).astype(np.float16), times


def check(store: FeatureStore, items: list[MediaItem], view: str = "plain") -> None:
    rows = store.rows(items)
    stored, times = store.read(rows), store.times(rows)
    for item, features, at in zip(items, stored, times, strict=True):
        wanted, shown = expected(item.path, item.span, view)
        np.testing.assert_array_equal(features[: len(wanted)], wanted)
        assert not features[len(wanted) :].any()
        np.testing.assert_allclose(at[: len(shown)], shown)
        assert np.isnan(at[len(shown) :]).all()
    store.verify()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A long one, one of two frames, another long one."""
    folder = tmp_path_factory.mktemp("clips")
    paths = []
    for number, count in enumerate((50, 2, 30)):
        paths.append(folder / f"{number}.mp4")
        frames = (np.roll(pixels, 7 * number, axis=1) for pixels in walking_bar(count))
        make_clip(frames, path=paths[-1])
    return paths


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("view", ["plain", "flip"])
def test_frames_and_times(tmp_path: Path, clips: list[Path], batch_size: int, view: str) -> None:
    """A clip of two frames has zeros behind them; no call of the encoder exceeds its size."""
    key = KEY.model_copy(update={"view": view})
    store = build_features(clips, encode, key, tmp_path, batch_size=batch_size)
    assert store.read([0]).shape == (1, FRAMES, 24, 3)
    assert store.hashes == tuple(map(content_sha256, clips))
    assert (~np.isnan(store.times(store.rows(clips)))).sum(1).tolist() == [5, 2, 5]
    check(store, [MediaItem(path) for path in clips], view)


def test_spans_of_one_clip_are_rows_of_their_own(tmp_path: Path, clips: list[Path]) -> None:
    items = [
        MediaItem(clips[0], (0.0, 1.0)),
        MediaItem(clips[0], (1.0, 2.0)),
        MediaItem(clips[0]),
        MediaItem(clips[2]),
    ]
    store = build_features([*items, items[1]], encode, KEY, tmp_path, batch_size=16)
    assert len(store) == 4
    assert len(set(store.rows(items).tolist())) == 4
    check(store, items)
    # numbers that are equal name the same span
    assert store.row(MediaItem(clips[0], (1, 2))) == store.row(items[1])
    assert store.row(MediaItem(clips[0], (1.0, 1.9))) is None
    # a span that reaches beyond the clip is what there is of it
    beyond = MediaItem(clips[2], (0.4, 99.0))
    store = build_features([*items, beyond], encode, KEY, tmp_path, batch_size=16)
    np.testing.assert_array_equal(
        store.read([store.row(beyond)])[0], expected(clips[2], (0.4, 1.2))[0]
    )


def test_clips_that_cannot_be_read(tmp_path: Path, clips: list[Path]) -> None:
    cut, text, photo = (tmp_path / name for name in ("cut.mp4", "text.avi", "photo.png"))
    cut.write_bytes(clips[0].read_bytes()[:200])
    text.write_text("this is no clip")
    Image.new("RGB", (30, 20)).save(photo)
    outside = MediaItem(clips[0], (7.0, 8.0))
    given = [
        MediaItem(cut),
        MediaItem(clips[0]),
        MediaItem(text),
        outside,
        MediaItem(photo),
        MediaItem(clips[2]),
    ]
    store = build_features(given, encode, KEY, tmp_path / "store", batch_size=16)
    check(store, [MediaItem(clips[0]), MediaItem(clips[2])])
    failures = {failure.path: failure.reason for failure in store.failures}
    assert set(failures) == {str(item) for item in (given[0], given[2], outside, given[4])}
    assert "correct the span" in failures[str(outside)]
    assert "is no clip by its name, but 5 frames are wanted" in failures[str(photo)]
    with pytest.raises(DataError, match=r"1 of 2 pictures have no features: .*correct the span"):
        store.rows([MediaItem(clips[0]), outside])


class Stopping:
    """The encoder, which gives up at one of its calls."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, pixels_N3HW: FloatArray) -> FloatArray:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return encode(pixels_N3HW)


@pytest.mark.parametrize("torn", [b"", b"torn", b"x" * 500])
def test_a_stopped_run_goes_on(tmp_path: Path, clips: list[Path], torn: bytes) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_features(clips, Stopping(2), KEY, tmp_path, batch_size=FRAMES)
    folder = tmp_path / KEY.folder_name
    for name in (TIMES_FILE, "features.f16"):
        path = folder / name
        path.write_bytes(path.read_bytes() + torn)
    seen: list[tuple[int, int]] = []
    store = build_features(
        clips, Stopping(1), KEY, tmp_path, batch_size=FRAMES, progress=lambda *n: seen.append(n)
    )
    assert seen == [(2, 3), (3, 3)]
    check(store, [MediaItem(path) for path in clips])
    build_features(clips, never, KEY, tmp_path)


@pytest.mark.parametrize("name", [TIMES_FILE, "features.f16"])
def test_damage_is_noticed(tmp_path: Path, clips: list[Path], name: str) -> None:
    build_features(clips, encode, KEY, tmp_path, batch_size=16)
    path = tmp_path / KEY.folder_name / name
    content = bytearray(path.read_bytes())
    content[9] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"row 0 .*is not what was written.*Delete this folder"):
        FeatureStore(tmp_path, KEY)
    path.write_bytes(content[:-1])
    with pytest.raises(DataError, match=f"{name} has .* bytes, 3 rows need"):
        FeatureStore(tmp_path, KEY)


def test_a_store_of_pictures_takes_the_middle_frame_of_a_clip(
    tmp_path: Path, clips: list[Path]
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(next(iter(walking_bar(1)))).save(photo)
    span = MediaItem(clips[0], (0.0, 1.0))
    store = build_features([photo, clips[0], span], encode, PICTURES, tmp_path)
    for item in (MediaItem(clips[0]), span):
        wanted, _ = expected(item.path, item.span, count=1)
        np.testing.assert_array_equal(store.read(store.rows([item])), wanted)
    assert store.times([0]).shape == (1, 0)
    assert not (store.folder / TIMES_FILE).exists()


def test_keys_of_pictures_say_nothing_of_frames() -> None:
    """Or every stored feature of every user would be computed again."""
    assert "frames" not in PICTURES.to_dict()
    assert KEY.to_dict() == {**PICTURES.to_dict(), "frames": FRAMES}
    names = {key.folder_name for key in (PICTURES, KEY, KEY.model_copy(update={"frames": 6}))}
    assert len(names) == 3
    assert KEY.row_bytes == FRAMES * PICTURES.row_bytes


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("number", range(1, len(ZOOMS) + 1))
def test_crops_show_a_part_of_the_photo(tmp_path: Path, number: int, mirrored: bool) -> None:
    """Columns of rising brightness: what is seen is a run of them, mirrored or not."""
    path = tmp_path / "ramp.png"
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 100, axis=0).repeat(3, axis=2)
    Image.fromarray(ramp).save(path)
    view = f"{'flip-' if mirrored else ''}zoom-{number}"
    pixels_3HW = read_pictures(MediaItem(path), PREPROCESSING, view, None).pixels_F3HW[0]
    columns = pixels_3HW[0].mean(0) * PREPROCESSING.std[0] + PREPROCESSING.mean[0]
    columns = 255 * (columns[::-1] if mirrored else columns)
    side, x, _ = ZOOMS[number - 1]
    assert 0.6 <= side <= 0.85
    left = 200 * (1 - side) * x
    cells = left + 200 * side * (np.arange(24) + 0.5) / 24
    np.testing.assert_allclose(columns[1:-1], cells[1:-1], atol=2)


def test_a_span_of_a_photo_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.new("RGB", (30, 20)).save(path)
    with pytest.raises(MediaError, match="a span of a clip is wanted"):
        read_pictures(MediaItem(path, (0.0, 1.0)), PREPROCESSING, "plain", None)
