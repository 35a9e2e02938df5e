"""The feature store: right rows, nothing computed twice, and no crash or damage goes unseen."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common import PATIENCE
from negah.data import FeatureKey, FeatureStore, build_features
from negah.data.feature_files import LINE_BYTES, LOCK_FILE, HashCache
from negah.errors import DataError, LockedError, UsageError
from negah.hashing import content_sha256
from negah.locks import exclusive, remove_lock
from negah.media.images import open_image
from negah.media.preprocess import Preprocessing

PREPROCESSING = Preprocessing(height=16, width=24, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
REGIONS, CHANNELS = 4, 6
KEY = FeatureKey(
    encoder="mean colours/4",
    weights_sha256="0" * 64,
    preprocessing=PREPROCESSING,
    shape=(REGIONS, CHANNELS),
)


def encode(pixels_N3HW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean and maximum of each colour in four columns of the picture: (N, 4, 6)."""
    assert pixels_N3HW.dtype == np.float32
    assert pixels_N3HW.shape[1:] == (3, 16, 24)
    columns_N3RX = pixels_N3HW.transpose(0, 1, 3, 2).reshape(len(pixels_N3HW), 3, REGIONS, -1)
    both = np.concatenate((columns_N3RX.mean(-1), columns_N3RX.max(-1)), axis=1)
    return np.ascontiguousarray(both.transpose(0, 2, 1))


def expected(paths: list[Path], *, flip: bool = False) -> npt.NDArray[np.float16]:
    """The oracle: one picture at a time, no store."""
    rows = []
    for path in paths:
        pixels_3HW = PREPROCESSING.apply(open_image(path))
        rows.append(encode((pixels_3HW[..., ::-1] if flip else pixels_3HW)[None])[0])
    return np.array(rows).astype(np.float16)


class Counting:
    """The encoder, counting the pictures that it was given, and stopping where told."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.batches: list[int] = []
        self._stop_after = stop_after

    @property
    def pictures(self) -> int:
        return sum(self.batches)

    def __call__(self, pixels_N3HW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._stop_after is not None and len(self.batches) == self._stop_after:
            raise KeyboardInterrupt
        self.batches.append(len(pixels_N3HW))
        return encode(pixels_N3HW)


def make_photos(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    paths = []
    for number in range(count):
        pixels_HW3 = random.integers(0, 256, (20 + number % 3, 30, 3), dtype=np.uint8)
        paths.append(folder / f"{number:03}.png")
        Image.fromarray(pixels_HW3).save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_photos(tmp_path_factory.mktemp("photos"), 23)


def check(store: FeatureStore, photos: list[Path], *, flip: bool = False) -> None:
    """Every picture's feature is what the encoder gives for it alone."""
    np.testing.assert_array_equal(store.read(store.rows(photos)), expected(photos, flip=flip))
    store.verify()


def folder_of(root: Path) -> Path:
    return root / KEY.folder_name


# What is stored


@pytest.mark.parametrize("batch_size", [1, 4, 23, 100])
@pytest.mark.parametrize("view", ["plain", "flip"])
def test_features_equal_those_computed_one_at_a_time(
    tmp_path: Path, photos: list[Path], batch_size: int, view: str
) -> None:
    key = FeatureKey.parse({**KEY.model_dump(), "view": view}, where="key")
    store = build_features(photos, encode, key, tmp_path, batch_size=batch_size)
    assert len(store) == len(photos)
    assert store.failures == ()
    assert store.hashes == tuple(map(content_sha256, photos))
    check(store, photos, flip=view == "flip")


def test_reading_at_random(tmp_path: Path, photos: list[Path]) -> None:
    store = build_features(photos, encode, KEY, tmp_path)
    wanted = [photos[index] for index in (22, 0, 5, 5, 11)]
    features = store.read(store.rows(wanted))
    assert features.dtype == np.float16
    assert features.flags.c_contiguous
    assert features.flags.writeable  # a copy, not the file
    np.testing.assert_array_equal(features, expected(wanted))
    by_hash = store.rows([content_sha256(path) for path in wanted])
    np.testing.assert_array_equal(by_hash, store.rows(wanted))
    assert store.read([]).shape == (0, REGIONS, CHANNELS)
    for rows in ([-1], [23], [0, 99]):
        with pytest.raises(DataError, match="rows 0 to 22"):
            store.read(rows)


def test_the_same_picture_under_two_names_is_encoded_once(
    tmp_path: Path, photos: list[Path]
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(photos[3].read_bytes())
    counting = Counting()
    store = build_features([*photos[:5], copy, photos[3]], counting, KEY, tmp_path)
    assert counting.pictures == len(store) == 5
    assert store.row(copy) == store.row(photos[3]) == 3


def test_pictures_can_be_added_and_nothing_is_computed_twice(
    tmp_path: Path, photos: list[Path]
) -> None:
    first = Counting()
    store = build_features(photos[:9], first, KEY, tmp_path, batch_size=4)
    assert first.batches == [4, 4, 1]
    second = Counting()
    reports: list[tuple[int, int]] = []
    larger = build_features(
        photos, second, KEY, tmp_path, batch_size=8, progress=lambda *done: reports.append(done)
    )
    assert second.pictures == len(photos) - 9
    assert reports == [(9, 23), (17, 23), (23, 23)]
    check(larger, photos)
    check(store, photos[:9])  # a store opened before still reads what it saw
    third = Counting()
    build_features(photos, third, KEY, tmp_path)
    assert third.pictures == 0


def test_no_pictures_at_all(tmp_path: Path) -> None:
    store = build_features([], encode, KEY, tmp_path)
    assert len(store) == 0
    assert store.read([]).shape == (0, REGIONS, CHANNELS)
    with pytest.raises(UsageError, match="batch_size 0"):
        build_features([], encode, KEY, tmp_path, batch_size=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be made"):
        build_features([], encode, KEY, tmp_path / "file")


# Keys

OTHER_KEYS = {
    "encoder": "other",
    "weights_sha256": "1" * 64,
    "preprocessing": PREPROCESSING.model_copy(update={"fit": "crop"}),
    "view": "flip",
    "shape": (CHANNELS, REGIONS),
}


@pytest.mark.parametrize("field", OTHER_KEYS)
def test_every_part_of_the_key_counts(field: str) -> None:
    assert KEY.model_copy(update={field: OTHER_KEYS[field]}).folder_name != KEY.folder_name
    assert KEY.model_copy().folder_name == KEY.folder_name
    assert KEY.row_bytes == 2 * REGIONS * CHANNELS


@given(st.text(min_size=1))
def test_folder_names_are_safe_for_any_encoder_name(encoder: str) -> None:
    name = KEY.model_copy(update={"encoder": encoder}).folder_name
    readable, _, digits = name.rpartition("-")
    assert len(digits) == 8
    assert set(readable) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert not readable.startswith(".")


def test_the_key_of_a_name_stays() -> None:
    # A change here makes every stored feature of every user be computed again.
    assert KEY.folder_name == "mean-colours-4-700ec93b"


# Pictures that cannot be read


def test_bad_pictures_are_recorded_and_left_out(tmp_path: Path, photos: list[Path]) -> None:
    truncated, text, copy = (tmp_path / name for name in ("short.png", "text.jpg", "text2.jpg"))
    truncated.write_bytes(photos[0].read_bytes()[:200])
    text.write_text("this is no photograph")
    copy.write_text("this is no photograph")
    missing = tmp_path / "missing.png"
    given = [truncated, *photos[:3], text, missing, *photos[3:6], copy]
    store = build_features(given, encode, KEY, tmp_path / "store", batch_size=4)
    check(store, photos[:6])
    failures = {failure.path: failure for failure in store.failures}
    assert set(failures) == set(map(str, (truncated, text, copy, missing)))
    assert failures[str(missing)].sha256 is None
    assert failures[str(text)].sha256 == content_sha256(text)
    assert all(failure.reason for failure in store.failures)
    assert store.row(missing) is store.row(text) is None
    with pytest.raises(DataError, match=r"2 of 3 pictures have no features: .*text\.jpg \(.+\)"):
        store.rows([photos[0], text, missing])
    with pytest.raises(DataError, match="is not a SHA-256"):
        store.rows([str(text)])

    # Repaired, they are no failures any more.
    truncated.write_bytes(photos[7].read_bytes())
    missing.write_bytes(photos[8].read_bytes())
    store = build_features(given, encode, KEY, tmp_path / "store")
    assert {failure.path for failure in store.failures} == {str(text), str(copy)}
    check(store, [truncated, missing, *photos[:6]])


def test_only_bad_pictures(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    store = build_features([bad], Counting(stop_after=0), KEY, tmp_path)
    assert (len(store), len(store.failures)) == (0, 1)


# Encoders that misbehave


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda pixels: encode(pixels)[:, :2], r"shape \(4, 2, 6\) for 4 pictures"),
        (lambda pixels: encode(pixels)[:1], "shape"),
        (lambda pixels: encode(pixels) * 1e6, r"000\.png that float16 cannot hold"),
        (lambda pixels: encode(pixels) * np.nan, "float16 cannot hold"),
    ],
)
def test_wrong_features_are_refused_and_not_stored(
    tmp_path: Path,
    photos: list[Path],
    wrong: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    message: str,
) -> None:
    with pytest.raises(DataError, match=message):
        build_features(photos, wrong, KEY, tmp_path, batch_size=4)
    assert len(FeatureStore(tmp_path, KEY)) == 0


def test_float16_from_the_encoder_is_stored_as_it_is(tmp_path: Path, photos: list[Path]) -> None:
    store = build_features(photos, lambda p: encode(p).astype(np.float16), KEY, tmp_path)
    check(store, photos)


def test_a_disk_too_small_is_noticed_before_work_starts(tmp_path: Path, photos: list[Path]) -> None:
    huge = KEY.model_copy(update={"shape": (1 << 50,)})
    with pytest.raises(DataError, match="GB are free"):
        build_features(photos, Counting(stop_after=0), huge, tmp_path)


# Interruptions


def test_ctrl_c_keeps_what_was_done(tmp_path: Path, photos: list[Path]) -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        build_features(photos, Counting(stop_after=3), KEY, tmp_path, batch_size=4)
    rest = Counting()
    check(build_features(photos, rest, KEY, tmp_path, batch_size=4), photos)
    assert rest.pictures == len(photos) - 12
    assert not [thread for thread in set(threading.enumerate()) - before if "negah" in thread.name]


CHILD = """
from __future__ import annotations
import time
from pathlib import Path
import numpy as np
from negah.data import FeatureKey, build_features

REGIONS = {regions}
{encode}
batches = 0
def until_killed(pixels):
    global batches
    batches += 1
    print(len(pixels), flush=True)
    if batches == {batches}:
        time.sleep(600)
    return encode(pixels)

key = FeatureKey.parse({key!r}, where="key")
build_features(sorted(Path({photos!r}).glob("*.png")), until_killed, key, {root!r}, batch_size=2)
"""


def child(photos: list[Path], root: Path, batches: int) -> subprocess.Popen[str]:
    """A process that computes features two by two and stays in batch `batches` until killed."""
    code = CHILD.format(
        regions=REGIONS,
        encode=inspect.getsource(encode),
        key=KEY.model_dump(),
        photos=str(photos[0].parent),
        root=str(root),
        batches=batches,
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_kill_9_loses_at_most_the_batch_it_was_in(
    tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("negah.data.features.PATIENCE", 0.2)
    computed = 0
    for batches in (2, 3):
        with child(photos, tmp_path, batches) as process:
            try:
                assert process.stdout is not None
                for _ in range(batches):
                    assert process.stdout.readline() == "2\n"
                if batches == 3:  # the killed run's lock is stale, a living one's is not
                    with pytest.raises(
                        LockedError, match=rf"another process \(pid {process.pid}\)"
                    ):
                        build_features(photos, encode, KEY, tmp_path)
            finally:
                process.kill()
        store = FeatureStore(tmp_path, KEY)
        assert len(store) >= computed + 2 * (batches - 1)
        computed = len(store)
        check(store, photos[:computed])
    rest = Counting()
    check(build_features(photos, rest, KEY, tmp_path), photos)
    assert rest.pictures == len(photos) - computed


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when somebody has found a lock taken, and pauses before the next look."""
    found, sleep = threading.Event(), time.sleep

    def pause(seconds: float) -> None:
        found.set()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    return found


def test_a_store_that_is_held_for_a_moment_is_waited_for(
    tmp_path: Path, photos: list[Path], waiting: threading.Event
) -> None:
    build_features(photos, encode, KEY, tmp_path)
    path = tmp_path / KEY.folder_name / LOCK_FILE
    held = threading.Event()

    def hold() -> None:
        with exclusive(path, "reading hashes"):
            held.set()
            waiting.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE)
    again = Counting()
    check(build_features(photos, again, KEY, tmp_path), photos)
    assert again.pictures == 0
    assert waiting.is_set()
    holder.join()


def test_a_lock_that_its_holder_has_removed_locks_nothing(
    tmp_path: Path, waiting: threading.Event
) -> None:
    """Else whoever makes it anew would hold it at the same time."""
    path, held = tmp_path / "lock", threading.Event()

    def hold() -> None:
        with exclusive(path, "working"):
            held.set()
            waiting.wait(PATIENCE)
            remove_lock(path)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE)
    with (
        pytest.raises(LockedError, match="a moment ago"),
        exclusive(path, "working", patience=PATIENCE),
    ):
        pass
    holder.join()
    with exclusive(path, "working"):
        pass


@settings(max_examples=40)
@given(data=st.data())
def test_any_torn_end_is_cut_off_and_written_again(
    tmp_path_factory: pytest.TempPathFactory, photos: list[Path], data: st.DataObject
) -> None:
    """States a crash can leave: a prefix of the index, at least the features of its rows."""
    root = tmp_path_factory.mktemp("store")
    some = photos[:6]
    build_features(some, encode, KEY, root)
    index, features = folder_of(root) / "index", folder_of(root) / "features.f16"
    kept = data.draw(st.integers(0, LINE_BYTES * len(some)))
    rows = kept // LINE_BYTES
    index.write_bytes(index.read_bytes()[:kept])
    size = data.draw(st.integers(rows * KEY.row_bytes, len(some) * KEY.row_bytes))
    features.write_bytes(features.read_bytes()[:size] + b"\7" * data.draw(st.integers(0, 99)))
    assert len(FeatureStore(root, KEY)) == rows
    rest = Counting()
    check(build_features(some, rest, KEY, root), some)
    assert rest.pictures == len(some) - rows
    assert features.stat().st_size == len(some) * KEY.row_bytes


# Damage


def flip_bit(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "features cut": lambda folder: os.truncate(folder / "features.f16", KEY.row_bytes * 5 - 1),
    "features gone": lambda folder: (folder / "features.f16").unlink(),
    "features changed": lambda folder: flip_bit(folder / "features.f16", KEY.row_bytes * 5),
    "index changed": lambda folder: flip_bit(folder / "index", LINE_BYTES - 1),
    "index is something else": lambda folder: (folder / "index").write_bytes(b"\0" * 1000),
    "key gone": lambda folder: (folder / "key.json").unlink(),
    "key cut": lambda folder: os.truncate(folder / "key.json", 20),
    "key of another store": lambda folder: (folder / "key.json").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_noticed_and_the_folder_to_delete_is_named(
    tmp_path: Path, photos: list[Path], damage: Callable[[Path], object]
) -> None:
    build_features(photos[:6], encode, KEY, tmp_path)
    damage(folder_of(tmp_path))
    message = rf"{KEY.folder_name}: this feature store is damaged: .* Delete this folder"
    with pytest.raises(DataError, match=message):
        FeatureStore(tmp_path, KEY)
    with pytest.raises(DataError, match=message):
        build_features(photos[:6], encode, KEY, tmp_path)


def test_damage_is_noticed_before_pictures_are_added(tmp_path: Path, photos: list[Path]) -> None:
    build_features(photos[:6], encode, KEY, tmp_path)
    flip_bit(folder_of(tmp_path) / "features.f16", 3)
    with pytest.raises(DataError, match="damaged"):
        build_features(photos, Counting(stop_after=0), KEY, tmp_path)


def test_verify_reads_every_row(tmp_path: Path, photos: list[Path]) -> None:
    paths = make_photos(tmp_path / "many", 40)
    build_features(paths, encode, KEY, tmp_path)
    flip_bit(folder_of(tmp_path) / "features.f16", 3)
    store = FeatureStore(tmp_path, KEY)  # opening looks at the last rows only
    with pytest.raises(DataError, match=r"row 0 of features\.f16"):
        store.verify()


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such feature store\. Compute the features first"):
        FeatureStore(tmp_path, KEY)


# Hashes of files


def test_hashes_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    hour_ago = time.time_ns() - 3600 * 10**9
    os.utime(path, ns=(hour_ago, hour_ago))
    cache = HashCache(tmp_path)
    first = cache.sha256(path)
    assert first == content_sha256(path)
    cache.save()

    # Content of the same size and time is not looked at again: that is the point of a cache.
    path.write_bytes(b"two")
    os.utime(path, ns=(hour_ago, hour_ago))
    assert HashCache(tmp_path).sha256(path) == first
    os.utime(path, ns=(hour_ago, hour_ago + 1))
    assert HashCache(tmp_path).sha256(path) == content_sha256(path) != first

    # A file that was just written may change again within the clock's tick.
    fresh = tmp_path / "b.jpg"
    fresh.write_bytes(b"x")
    status = fresh.stat()
    cache.sha256(fresh)
    fresh.write_bytes(b"y")
    os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cache.sha256(fresh) == content_sha256(fresh)


def test_a_damaged_cache_of_hashes_costs_only_time(tmp_path: Path, photos: list[Path]) -> None:
    build_features(photos[:3], encode, KEY, tmp_path)
    (folder_of(tmp_path) / "hashes.jsonl").write_bytes(b'{"path": 3}\n[1]\n\xff\xfe\n{"pa')
    (folder_of(tmp_path) / "failures.jsonl").write_bytes(b'{"path": ')
    check(build_features(photos[:3], encode, KEY, tmp_path), photos[:3])
