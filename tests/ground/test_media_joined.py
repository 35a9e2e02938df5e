"""Recordings joined end to end are read to their end, in every container, by one clock."""

from __future__ import annotations

import io
import re
from functools import cache

import numpy as np
import pytest

from negah.media.recordings import find_recordings
from negah.media.sampling import FrameSampling, sample
from negah.media.scenes import find_scenes
from negah.media.videos import open_clip
from tiny_clips import H264, make_clip, make_sound

RATE, COUNT = 10, 15
MPEG2 = {"codec": "mpeg2video", "options": {"g": "6", "bf": "2"}}
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}

FORMATS = {
    "ts": {"container": "mpegts"},
    "ts, mpeg2": {"container": "mpegts", **MPEG2, "rate": 25},
    "mpg": {"container": "mpeg", **MPEG2, "rate": 25},
    "vob": {"container": "vob", **MPEG2, "rate": 25},
    "mp4": {},
    "mp4, fragments": {"muxing": FRAGMENTS},
    "mp4, index first": {"muxing": {"movflags": "faststart"}},
    "mov": {"container": "mov", "codec": "mpeg4"},
    "mkv": {"container": "matroska"},
    "webm, live": {"container": "webm", "codec": "libvpx", "options": {}, "muxing": {"live": "1"}},
    "avi": {"container": "avi"},
    "avi, mpeg4": {"container": "avi", "codec": "mpeg4"},
    "flv": {"container": "flv"},
    "wmv": {"container": "asf", "codec": "wmv2", "options": {}},
    "ogg": {"container": "ogg", "codec": "libvpx", "options": {}},
    "nut": {"container": "nut"},
    "ivf": {"container": "ivf", "codec": "libvpx", "options": {}},
    "mxf": {"container": "mxf", **MPEG2, "rate": 25},
    "wtv": {"container": "wtv", **MPEG2, "rate": 25},
    "rm": {"container": "rm", "codec": "rv20", "options": {}},
    "gif": {"container": "gif", "codec": "gif", "pixels": "rgb8", "options": {}},
    "apng": {"container": "apng", "codec": "apng", "pixels": "rgb24", "options": {}},
    "y4m": {"container": "yuv4mpegpipe", "codec": "rawvideo", "options": {}},
    "raw h264": {"container": "h264", "rate": 25},
    "raw mpeg2": {"container": "mpeg2video", **MPEG2, "rate": 25},
    "raw mpeg4": {"container": "m4v", "codec": "mpeg4", "rate": 25},
}  # fmt: skip


def blocks(seed, size=1):
    """A picture of coloured blocks, 64 x 48 times the size."""
    colours = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.kron(colours, np.ones((16 * size, 16 * size, 1), np.uint8))


def shot(seed, count=COUNT, size=1):
    """A bar walks over one picture."""
    for number in range(count):
        frame = blocks(seed, size)
        frame[:, number % 64] = 255
        yield frame


def recording(seed, *, count=COUNT, size=1, **how):
    return make_clip(shot(seed, count, size), **{"rate": RATE, "container": "mpegts"} | how)


def seen(image):
    """Which of the two pictures it is."""
    pixels = np.asarray(image.resize((64, 48)), float)
    return min((1, 2), key=lambda seed: float(np.abs(pixels - blocks(seed)).mean()))


def check(content, *, frames=2 * COUNT, first=COUNT, rate=RATE):
    """All frames are there, at their times, whether they are walked through or asked for."""
    clip = open_clip(content)
    every = list(clip.frames())
    assert [said for said in clip.warnings if "only sound" not in said] == []
    assert [seen(frame.image) for frame in every] == [1] * first + [2] * (frames - first)
    times = [frame.time for frame in every]
    # AVI stores no times: of H.264 with frames out of order, FFmpeg guesses the first too early.
    assert times == pytest.approx([n / rate for n in range(frames)], abs=1.01 / rate)
    assert clip.info.end == pytest.approx(frames / rate, abs=0.01)
    shown = {frame.time: frame.image.tobytes() for frame in every}
    chosen = list(sample(clip, FrameSampling(frames=4)))
    assert [seen(frame.image) for frame in chosen] == [1, 1, 2, 2]
    for wanted in ([frame.time for frame in chosen], times[-3:-2], times[first : first + 1]):
        for frame in clip.at(wanted):
            assert frame.image.tobytes() == shown[frame.time]
    return clip


# They are read in the way of another.
HEAVY = {"ts, mpeg2", "vob", "mov", "avi, mpeg4", "wtv", "rm", "y4m", "raw mpeg2", "raw mpeg4"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two recordings in each container. In files: some formats write their index to the front."""
    folder = tmp_path_factory.mktemp("recordings")

    @cache
    def make(name):
        how = {"container": "mp4", "rate": RATE, **FORMATS[name]}
        for seed in (1, 2):
            make_clip(shot(seed, -(-COUNT * how["rate"] // RATE)), path=folder / str(seed), **how)
        return (folder / "1").read_bytes(), (folder / "2").read_bytes()

    return make


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.heavy if name in HEAVY else ()) for name in FORMATS],
)
def test_every_container_is_read_to_its_end(name, made):
    rate = FORMATS[name].get("rate", RATE)
    count, half = -(-COUNT * rate // RATE), -(-COUNT * rate // RATE) / rate
    clip = check(b"".join(made(name)), frames=2 * count, first=count, rate=rate)
    scenes = [(scene.start, scene.end) for scene in find_scenes(clip)]
    assert scenes == [pytest.approx((0, half)), pytest.approx((half, 2 * half))]


HOURS_26 = 26 * 3600 * RATE
WRAPS = round(2**33 / 90_000 * RATE)
ODD = {
    "other PIDs": lambda: recording(1) + recording(2, muxing={"mpegts_start_pid": "512"}),
    "a clock far ahead": lambda: recording(1) + recording(2, first=HOURS_26),
    "a clock far behind": lambda: recording(1, first=HOURS_26) + recording(2),
    "a clock that wraps": lambda: (
        recording(1, first=WRAPS - COUNT) + recording(2, first=WRAPS)
    ),
    "another size": lambda: recording(1) + recording(2, size=2),
    "another size, mkv": lambda: (
        recording(1, container="matroska") + recording(2, size=2, container="matroska")
    ),
    "other codecs, mkv": lambda: (
        recording(1, container="matroska")
        + recording(2, container="matroska", codec="mpeg4")
    ),
    "mkv and mp4": lambda: recording(1, container="matroska") + recording(2, container="mp4"),
    "mp4 and mkv": lambda: recording(1, container="mp4") + recording(2, container="matroska"),
    "flv and mkv": lambda: recording(1, container="flv") + recording(2, container="matroska"),
    "mp4 and ts": lambda: recording(1, container="mp4") + recording(2),
    "ts and mp4": lambda: recording(1) + recording(2, container="mp4"),
    "mkv and ts": lambda: recording(1, container="matroska") + recording(2),
    "fragments alone": lambda: fragments(),
    "sound alone between": lambda: (
        recording(1, container="mp4") + make_sound("mp4", "aac") + recording(2, container="mp4")
    ),
}  # fmt: skip


def fragments():
    """The second is joined without its header, as the pieces of a stream are."""
    first, second = (recording(seed, container="mp4", muxing=FRAGMENTS) for seed in (1, 2))
    return first + second[second.index(b"moof") - 4 :]


@pytest.mark.parametrize("name", ODD)
def test_recordings_that_differ(name):
    check(ODD[name]())


def test_many_short_recordings():
    """Each is shorter than a second: the clock steps back by little."""
    parts = [recording(1 + number % 2, count=6) for number in range(10)]
    clip = open_clip(b"".join(parts))
    assert [seen(frame.image) for frame in clip.frames()] == ([1] * 6 + [2] * 6) * 5
    times = [frame.time for frame in clip.frames()]
    assert times == pytest.approx([number / RATE for number in range(60)])


def test_a_second_recording_of_another_shape_keeps_it():
    tall = (np.swapaxes(frame, 0, 1) for frame in shot(2))
    joined = recording(1) + make_clip(tall, rate=RATE, container="mpegts")
    assert {frame.image.size for frame in open_clip(joined).frames()} == {(64, 48), (48, 64)}


@pytest.mark.parametrize(
    ("changed", "pts"),
    [
        ([15], lambda _: 0),
        ([15], lambda _: 50_000 * 90_000),
        (range(15, 20), lambda pts: pts + 20 * 90_000),
    ],
    ids=["damaged, near", "damaged, far", "a clock that leaps between key frames"],
)
def test_a_time_that_is_far_away_costs_no_frame(changed, pts):
    """One among sound ones moves nothing; behind a leap the time goes on."""
    whole = recording(1, count=20, options=H264 | {"bf": "0"})
    content = bytearray(whole)
    headers = [found.start() for found in re.finditer(rb"\x00\x00\x01\xe0", content)]
    for number in changed:
        place = slice(headers[number] + 9, headers[number] + 14)
        old = int.from_bytes(content[place], "big")
        new = pts((old >> 33 & 7) << 30 | (old >> 17 & 0x7FFF) << 15 | (old >> 1 & 0x7FFF))
        # ISO/IEC 13818-1, table 2-21: 3, 15 and 15 bits, a one behind each.
        high, low = 0x21 | new >> 29 & 14, (new >> 14 & 0xFFFE | 1) << 16 | (new << 1 & 0xFFFE | 1)
        content[place] = (high << 32 | low).to_bytes(5, "big")
    clip = open_clip(bytes(content))
    every = list(clip.frames())
    assert [frame.time for frame in every] == pytest.approx([n / RATE for n in range(20)])
    assert [frame.image for frame in every] == [frame.image for frame in open_clip(whole).frames()]
    assert clip.info.end == pytest.approx(2)


ENDLESS = r"its end is missing"
SHARE = r"[5-8]\d% of its length"
CUT = {
    **dict.fromkeys(["mp4, index first", "mkv", "avi", "flv", "wmv", "ivf", "mxf"], SHARE),
    **dict.fromkeys(["mp4, fragments", "ogg", "gif", "apng"], ENDLESS),
    **dict.fromkeys(["ts", "mpg", "webm, live", "nut", "raw h264"], None),
}


@pytest.mark.parametrize("name", CUT)
def test_a_clip_that_was_cut_short_says_so(name, made):
    whole, other = made(name)
    assert open_clip(whole).warnings == ()
    said = open_clip(whole[: len(whole) * 4 // 5]).warnings
    if CUT[name] is None:
        assert said == ()
        return
    assert re.fullmatch(f"read only in part: {CUT[name]}", *said)
    # FFmpeg reads joined GIFs as one.
    which = "" if name == "gif" else f"of the recording at byte {len(whole)} "
    joined = open_clip(whole + other[: len(other) * 4 // 5])
    assert re.fullmatch(f"read only in part: {which}{CUT[name]}", *joined.warnings)


def test_what_is_no_frame_costs_a_warning_not_the_clip(made):
    clip = open_clip(made("ivf")[0] + b"Saved by a tool. " * 40)
    assert clip.warnings == ("read only in part: its last 680 bytes are no frames",)
    assert (len(list(clip.frames())), clip.info.end) == (COUNT, pytest.approx(COUNT / RATE))


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_what_cannot_be_read_of_it_is_told(container):
    first, second = recording(1, container=container), recording(2, container=container)
    clip = open_clip(first + second[: len(second) // 8])
    (warning,) = clip.warnings
    assert warning.startswith(f"read only in part: the recording at byte {len(first)} ")
    assert clip.info.end == pytest.approx(COUNT / RATE)


@pytest.mark.parametrize("container", ["matroska", "avi", "asf", "mp4"])
def test_a_recording_that_was_cut_short_hides_no_other(container):
    how = {"codec": "wmv2", "options": {}} if container == "asf" else {}
    parts = [recording(seed, container=container, **how) for seed in (1, 2)]
    cut = parts[0][: len(parts[0]) * 9 // 10]
    starts = [start for start, _ in find_recordings(io.BytesIO(cut + parts[1]))]
    assert starts == [0, len(cut)]


def test_a_file_is_not_taken_apart_for_what_is_in_it():
    """A film that holds another, as data, is one recording."""
    inner = recording(1, container="mp4")
    box = (8 + len(inner)).to_bytes(4, "big") + b"free" + inner
    outer = recording(2, container="mp4")
    assert len(list(open_clip(outer + box).frames())) == COUNT
