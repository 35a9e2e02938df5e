"""Recordings joined end to end are read to their end, in every container, by one clock."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from negah.media.recordings import find_recordings
from negah.media.sampling import Sampling, sample
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
    assert [seen(frame.image) for frame in every] == [1] * first + [2] * (frames - first)
    times = [frame.time for frame in every]
    # AVI stores no times: of H.264 with frames out of order, FFmpeg guesses the first too early.
    assert times == pytest.approx([n / rate for n in range(frames)], abs=1.01 / rate)
    assert clip.info.end == pytest.approx(frames / rate, abs=0.01)
    shown = {frame.time: frame.image.tobytes() for frame in every}
    chosen = list(sample(clip, Sampling(frames=4)))
    assert [seen(frame.image) for frame in chosen] == [1, 1, 2, 2]
    for wanted in ([frame.time for frame in chosen], times[-3:-2], times[first : first + 1]):
        for frame in clip.at(wanted):
            assert frame.image.tobytes() == shown[frame.time]
    return clip


@pytest.mark.parametrize("name", FORMATS)
def test_every_container_is_read_to_its_end(name, tmp_path):
    how = {"container": "mp4", "rate": RATE, **FORMATS[name]}
    count, half = -(-COUNT * how["rate"] // RATE), -(-COUNT * how["rate"] // RATE) / how["rate"]
    # Into files: some formats write their index before the frames.
    for seed in (1, 2):
        make_clip(shot(seed, count), path=tmp_path / str(seed), **how)
    joined = (tmp_path / "1").read_bytes() + (tmp_path / "2").read_bytes()
    clip = check(joined, frames=2 * count, first=count, rate=how["rate"])
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


@pytest.mark.parametrize("seconds", [0, 50_000])
def test_a_damaged_time_is_no_joint(seconds):
    """One time that is far away among sound ones moves nothing."""
    content = bytearray(recording(1, count=20, options=H264 | {"bf": "0"}))
    headers = [found.start() for found in re.finditer(rb"\x00\x00\x01\xe0", content)]
    pts = seconds * 90_000
    # ISO/IEC 13818-1, table 2-21: 3, 15 and 15 bits, a one behind each.
    coded = (0x21 | pts >> 29 & 14) << 32 | (pts >> 14 & 0xFFFE | 1) << 16 | (pts << 1 & 0xFFFE | 1)
    content[headers[15] + 9 : headers[15] + 14] = coded.to_bytes(5, "big")
    clip = open_clip(bytes(content))
    times = [frame.time for frame in clip.frames()]
    assert times == pytest.approx([number / RATE for number in range(20)])
    assert clip.info.end == pytest.approx(2)


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
