"""Clips into frames: every format the same, the right frame at the right time, and bad files."""

from __future__ import annotations

import io
import logging
import os
import struct
import subprocess
import sys
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import PATIENCE
from negah.errors import MediaError, UsageError
from negah.media.sampling import FrameSampling, sample, sample_times, uniform_times
from negah.media.videos import open_clip
from odd_clips import COUNT, ODD, REFUSED, made, photo
from tiny_clips import H264, damaged, make_clip, make_sound, walking_bar

RATE = 25
OPEN_GOP = H264 | {"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:log-level=none"}

FORMATS = {
    "mp4": {},
    "mp4, open groups": {"options": OPEN_GOP},
    "mp4, one key frame": {"options": H264 | {"g": "1000"}},
    "mov, mpeg4": {"container": "mov", "codec": "mpeg4"},
    "mkv": {"container": "matroska"},
    "mkv, starting at 10 s": {"container": "matroska", "first": 250},
    "mkv, ffv1": {"container": "matroska", "codec": "ffv1", "options": {}},
    "webm, vp8": {"container": "webm", "codec": "libvpx"},
    "avi, h264": {"container": "avi"},
    "avi, mpeg4 with B-frames": {"container": "avi", "codec": "mpeg4",
                                 "options": {"g": "12", "bf": "2"}},
    "avi, mjpeg": {"container": "avi", "codec": "mjpeg", "pixels": "yuvj420p", "options": {}},
    "ts": {"container": "mpegts"},
    "ts, open groups": {"container": "mpegts", "options": OPEN_GOP},
    "mpg": {"container": "mpeg", "codec": "mpeg2video", "options": {"g": "12", "bf": "2"}},
    "flv": {"container": "flv"},
    "wmv": {"container": "asf", "codec": "wmv2"},
    "gif": {"container": "gif", "codec": "gif", "pixels": "rgb8", "options": {}},
    "apng": {"container": "apng", "codec": "apng", "pixels": "rgb24", "options": {}},
    "raw h264, no times": {"container": "h264"},
}  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    return {name: make_clip(walking_bar(COUNT), rate=RATE, **how) for name, how in FORMATS.items()}


@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_by_its_time_is_the_frame_of_a_full_walk(clips, name):
    clip = open_clip(clips[name])
    every = {frame.time: frame.image.tobytes() for frame in clip.frames()}
    assert len(every) == COUNT
    # AVI stores no times: of H.264 with frames out of order, FFmpeg guesses the first too early.
    near = 1.01 / RATE if name == "avi, h264" else 1e-9
    assert list(every) == pytest.approx([number / RATE for number in range(COUNT)], abs=near)
    assert clip.info.start == 0
    assert clip.info.duration == pytest.approx(COUNT / RATE)
    assert clip.info.frame_rate == RATE
    assert (clip.info.height, clip.info.width) == (48, 64)
    times = list(every)
    for chosen in [times[::7], times[::-1][:1], times[5:50:23], [times[31] + 0.01]]:
        given = list(clip.at(chosen))
        assert [frame.image.tobytes() for frame in given] == [
            every[max(time for time in times if time <= asked)] for asked in chosen
        ]
    # Each alone, so that every one is reached by its own leap.
    for time in times[3::11]:
        (frame,) = clip.at([time])
        assert (frame.time, frame.image.tobytes()) == (time, every[time])


@pytest.mark.parametrize("name", ["mp4", "mkv", "avi, h264", "flv"])
def test_far_frames_are_reached_without_decoding_all(name, monkeypatch):
    from negah.media.clip_reader import ClipReader

    decoded = 0
    decode = ClipReader.decode

    def counting(self, packet):
        nonlocal decoded
        decoded += 1
        return decode(self, packet)

    clip = open_clip(make_clip(walking_bar(1000), rate=RATE, **FORMATS[name]))
    monkeypatch.setattr(ClipReader, "decode", counting)
    assert len(list(sample(clip, FrameSampling(frames=5)))) == 5
    assert decoded < 350


def test_uneven_times_are_kept():
    ticks = [0, 1, 2, 50, 51, 100, 200, 201]
    clip = open_clip(make_clip(walking_bar(8), container="matroska", ticks=ticks))
    times = [frame.time for frame in clip.frames()]
    assert times == pytest.approx([tick / 25 for tick in ticks])
    # Halves of 8.08 s; the frame of 4 s is shown until 8 s.
    assert [frame.time for frame in clip.at(uniform_times(0, 8, 4))] == pytest.approx(
        [0.08, 2.04, 4.0]
    )
    assert [frame.time for frame in clip.at([-1, 1.99, 2.0, 99])] == pytest.approx(
        [0, 0.08, 2, 8.04]
    )


def test_times_count_from_where_the_sound_begins():
    clip = open_clip(make_clip(walking_bar(20), container="matroska", first=100, sound=3500))
    assert clip.info.start == pytest.approx(0.5, abs=0.2)
    assert next(clip.frames()).time == clip.info.start
    assert clip.info.duration == pytest.approx(0.8)


def test_the_end_is_that_of_the_picture_not_of_the_sound():
    clip = open_clip(make_clip(walking_bar(10), container="matroska", sound=0))
    assert clip.info.end == pytest.approx(0.4)


def corner(image):
    """Where the one white corner is: (row, column), 0 or 1 each."""
    pixels = np.asarray(image.convert("L"), float)
    height, width = pixels.shape
    blocks = pixels[: height // 2 * 2].reshape(2, height // 2, 2, width // 2).mean((1, 3))
    return tuple(int(at) for at in np.unravel_index(blocks.argmax(), (2, 2)))


@pytest.mark.parametrize(
    ("turn", "size", "expected", "rotation"),
    [
        ((0, False, False), (64, 48), (0, 0), (0, False)),
        ((90, False, False), (48, 64), (1, 0), (270, False)),
        ((180, False, False), (64, 48), (1, 1), (180, False)),
        ((-90, False, False), (48, 64), (0, 1), (90, False)),
        ((0, True, False), (64, 48), (0, 1), (0, True)),
        ((0, False, True), (64, 48), (1, 0), (180, True)),
    ],
)
def test_frames_stand_upright(turn, size, expected, rotation):
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32] = 255
    clip = open_clip(make_clip([stored] * 3, turn=turn))
    assert (clip.info.width, clip.info.height) == size
    assert (clip.info.rotation, clip.info.mirrored) == rotation
    for image in (next(clip.frames()).image, next(clip.at([0.08])).image):
        assert image.size == size
        assert corner(image) == expected
    assert next(clip.frames(size=(10, 20))).image.size == (20, 10)


def test_oblong_pixels_are_made_square():
    clip = open_clip(make_clip(walking_bar(2), aspect=Fraction(4, 3)))
    assert (clip.info.width, clip.info.height) == (85, 48)
    assert next(clip.frames()).image.size == (85, 48)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 30, 40), (30, 60, 200)])
@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_colours_are_those_that_were_coded(codec, colour):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    frame = np.broadcast_to(np.uint8(colour), (48, 64, 3)).copy()
    options = {"qmin": "1", "qmax": "1"} if codec == "mjpeg" else H264
    content = make_clip([frame], container="matroska", codec=codec, pixels=pixels, options=options)
    image = next(open_clip(content).frames()).image
    assert np.abs(np.asarray(image, int).mean((0, 1)) - colour).max() < 4


def test_transparent_parts_are_white():
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[:, :32] = (255, 0, 0, 255)
    content = make_clip([frame] * 2, container="apng", codec="apng", pixels="rgba", options={})
    image = next(open_clip(content).frames()).image
    assert image.getpixel((5, 5)) == (255, 0, 0)
    assert image.getpixel((60, 5)) == (255, 255, 255)


def test_paths_bytes_and_files_give_the_same(tmp_path):
    content = make_clip(walking_bar(5))
    odd = tmp_path / "12:30 http:%03d café.mp4"
    odd.write_bytes(content)
    with odd.open("rb") as file:
        from_file = open_clip(file)
    found = [open_clip(odd), open_clip(str(odd)), open_clip(content), from_file]
    assert len({tuple(f.image.tobytes() for f in clip.frames()) for clip in found}) == 1
    assert found[0].name == str(odd)
    with pytest.raises(UsageError, match="'rb'"):
        open_clip(io.StringIO("text"))


def test_walks_do_not_disturb_each_other():
    clip = open_clip(make_clip(walking_bar(20)))
    pairs = list(zip(clip.frames(), clip.frames(), strict=True))
    assert all(one.image.tobytes() == other.image.tobytes() for one, other in pairs)


def test_times_must_ascend():
    with pytest.raises(UsageError, match="ascend"):
        list(open_clip(make_clip(walking_bar(5))).at([0.1, 0.0]))


# Sampling


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ({"frames": 1}, [1.2]),
        ({"frames": 4}, [0.3, 0.9, 1.5, 2.1]),
        ({"mode": "fps", "rate": 1}, [0, 1, 2]),
        ({"mode": "fps", "rate": 2.5}, [0, 0.4, 0.8, 1.2, 1.6, 2.0]),
        ({"mode": "fps", "rate": 25, "frames": 3}, [0.4, 1.2, 2.0]),
        ({"mode": "fps", "rate": 0.01}, [0]),
        ({"mode": "keyframes"}, [0, 0.48, 0.96, 1.44, 1.92]),
        ({"mode": "keyframes", "frames": 2}, [0.48, 1.44]),
        ({"mode": "keyframes", "frames": 1}, [0.96]),
    ],
)
def test_which_frames_are_chosen(clips, sampling, expected):
    clip = open_clip(clips["mp4"])
    chosen = FrameSampling.parse(sampling, where="sampling")
    assert sample_times(clip, chosen) == pytest.approx(expected)
    # A time within a frame's span gives that frame.
    assert [frame.time for frame in sample(clip, chosen)] == pytest.approx(
        [int(time * RATE + 1e-6) / RATE for time in expected]
    )


def test_key_frames_of_a_stream_without_times(clips):
    assert open_clip(clips["raw h264, no times"]).keyframe_times() == pytest.approx(
        [0, 0.48, 0.96, 1.44, 1.92]
    )


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("container", ["mp4", "matroska", "gif"])
def test_fewer_frames_than_asked_for_are_given_once(count, container):
    how = {"codec": "gif", "pixels": "rgb8", "options": {}} if container == "gif" else {}
    clip = open_clip(make_clip(walking_bar(count), container=container, **how))
    assert len(list(sample(clip, FrameSampling(frames=28)))) == count


@pytest.mark.parametrize("options", [{"rate": 2}, {"mode": "fps"}, {"mode": "all"}, {"frames": 0}])
def test_contradictions_are_refused(options):
    with pytest.raises(UsageError, match="sampling"):
        FrameSampling.parse(options, where="sampling")


# Odd and broken files


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_clip_is_said(tmp_path, name):
    make, reason = REFUSED[name]
    content = make()
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(MediaError, match=reason) as caught:
            open_clip(source)
        assert "\n" not in str(caught.value)
    with pytest.raises(MediaError) as caught:
        open_clip(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("name", ODD)
def test_what_can_be_read_of_an_odd_file_is_read(name):
    make, least = ODD[name]
    clip = open_clip(make())
    times = [frame.time for frame in clip.frames()]
    assert len(times) >= least
    assert times == sorted(set(times))
    assert 0 < clip.info.duration < 10
    for mode in ({}, {"mode": "fps", "rate": 5}, {"mode": "keyframes"}):
        chosen = list(sample(clip, FrameSampling.parse(mode, where="sampling")))
        assert 1 <= len(chosen) <= 28


def test_damage_is_told(caplog):
    clip = open_clip(damaged(made("fast"), 0.5, 0.9))
    with caplog.at_level(logging.WARNING):
        list(clip.frames())
    assert "damaged places were skipped" in caplog.text


def test_a_cover_is_no_moving_picture(tmp_path):
    cover = tmp_path / "album.mp3"
    picture = photo("JPEG")
    body = b"\0image/jpeg\0\x03\0" + picture
    size = len(body)
    frame = b"APIC" + struct.pack(">I", size) + b"\0\0" + body
    total = len(frame)
    sizes = bytes((total >> shift) & 0x7F for shift in (21, 14, 7, 0))
    cover.write_bytes(b"ID3\x03\0\0" + sizes + frame + make_sound("mp3", "libmp3lame"))
    with pytest.raises(MediaError, match="only sound"):
        open_clip(cover)


def test_paths_that_cannot_be_read(tmp_path):
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    for path, reason in [
        (tmp_path / "none.mp4", "no such file"),
        (tmp_path, "is a folder; name the clips in it"),
        (pipe, "pipe"),
        ("nul\0.mp4", "cannot be opened"),
        ("http://example.org/a.mp4", "no such file"),
    ]:
        with pytest.raises(MediaError, match=reason):
            open_clip(path)


def test_a_file_that_goes_away_is_said(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(made("mp4"))
    clip = open_clip(path)
    path.unlink()
    with pytest.raises(MediaError, match="no such file"):
        next(clip.frames())


def test_the_pixel_limit_is_the_callers():
    with pytest.raises(MediaError, match=r"64 x 48 = 3,072 pixels, more than the limit of 3,071"):
        open_clip(made("mp4"), max_pixels=3071)
    open_clip(made("mp4"), max_pixels=64 * 48)


@cache
def short(kind):
    codec = {"avi": "mpeg4", "gif": "gif"}.get(kind, "libx264")
    pixels = "rgb8" if kind == "gif" else "yuv420p"
    return make_clip(walking_bar(8), container=kind, codec=codec, pixels=pixels)


@pytest.mark.parametrize("kind", ["mp4", "matroska", "avi", "mpegts", "gif"])
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_damage_gives_frames_or_a_media_error(kind, data):
    content = bytearray(short(kind))
    places = st.one_of(st.integers(0, min(len(content), 400) - 1), st.integers(0, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(places)] = data.draw(st.integers(0, 255))
    length = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    try:
        clip = open_clip(bytes(content[:length]), max_pixels=100_000)
        list(sample(clip, FrameSampling(frames=4)))
    except MediaError:
        return


# Length

PEAK = """
import resource, sys
from negah.media.videos import open_clip
from negah.media.sampling import FrameSampling, sample
from negah.media.scenes import find_scenes
clip = open_clip(sys.argv[1])
assert len(list(sample(clip, FrameSampling(frames=8)))) == 8
scenes = list(find_scenes(clip))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, clip.info.duration, len(scenes))
"""


def test_memory_does_not_grow_with_the_length(tmp_path):
    peaks = []
    still = np.full((48, 64, 3), 90, np.uint8)
    for seconds in (10, 200):
        path = tmp_path / f"{seconds}.avi"
        make_clip(
            (still + np.uint8(number // 250 % 2 * 100) for number in range(seconds * 10)),
            container="avi", codec="mpeg4", rate=10, path=path,
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        peak, duration, _ = done.stdout.split()
        assert float(duration) == pytest.approx(seconds)
        peaks.append(int(peak))
    # In KiB; the pictures of the longer clip would take 17,000 more.
    assert peaks[1] < peaks[0] + 5_000


@pytest.mark.data
def test_real_clips(data_root):
    for name, frames, size in [
        ("Kqb-mmkEWqU_1_5.avi", 97, (320, 240)),
        ("_9iG5Ge01PM_3_11.avi", 201, (320, 240)),
    ]:
        clip = open_clip(data_root / "msvd" / "clips" / name)
        every = {frame.time: frame.image.tobytes() for frame in clip.frames(size=(24, 32))}
        assert len(every) == clip.info.frame_count == frames
        assert (clip.info.width, clip.info.height) == size
        assert clip.info.duration == pytest.approx(frames / clip.info.frame_rate)
        chosen = list(sample(clip, FrameSampling(frames=10), size=(24, 32)))
        assert len(chosen) == 10
        assert all(frame.image.tobytes() == every[frame.time] for frame in chosen)
