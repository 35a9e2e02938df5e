"""Clips that are damaged at random end in frames or in one error: no hang, no crash."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from common import REPOSITORY
from negah.errors import MediaError
from negah.media.sampling import FrameSampling, sample
from negah.media.scenes import find_scenes
from negah.media.videos import open_clip
from tiny_clips import make_clip, walking_bar

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KINDS = {
    "mp4": {},
    "mp4, fragments": {"muxing": FRAGMENTS},
    "mov": {"container": "mov", "codec": "mpeg4"},
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "codec": "libvpx", "options": {}},
    "avi": {"container": "avi", "codec": "mpeg4"},
    "ts": {"container": "mpegts"},
    "mpg": {"container": "mpeg", "codec": "mpeg2video"},
    "flv": {"container": "flv"},
    "wmv": {"container": "asf", "codec": "wmv2", "options": {}},
    "gif": {"container": "gif", "codec": "gif", "pixels": "rgb8", "options": {}},
    "raw h264": {"container": "h264"},
}


@cache
def sound(kind):
    return make_clip(walking_bar(10), **KINDS[kind])


def spoilt(kind, seed):
    """The clip of one kind, damaged in a few places, cut, or joined with another."""
    random = np.random.default_rng([seed, *kind.encode()])
    content = bytearray(sound(kind))
    if random.random() < 0.3:
        content += sound(str(random.choice(list(KINDS))))
    for _ in range(random.integers(1, 4)):
        # Headers stand at the beginning, and often at the end.
        reach = len(content) if random.random() < 0.5 else min(len(content), 500)
        at = int(random.integers(reach))
        length = int(2 ** random.integers(0, 9))
        match random.integers(6):
            case 0:
                content[at:] = b""
            case 1:
                content[at] ^= 1 << int(random.integers(8))
            case 2:
                content[at : at + length] = random.bytes(length)
            case 3:
                content[at : at + length] = bytes([random.choice([0, 255])]) * length
            case 4:
                content[at : at + length] = b""
            case 5:
                content[at:at] = content[at : at + length]
        if not content:
            break
    return bytes(content)


def read(content):
    """How many frames of a damaged clip are seen: of the whole and of its scenes."""
    try:
        clip = open_clip(content, max_pixels=100_000)
        frames = list(sample(clip, FrameSampling(frames=4)))
        scenes = list(find_scenes(clip))
    except MediaError:
        return 0
    times = [frame.time for frame in frames]
    assert frames
    assert times == sorted(set(times))
    assert all(frame.image.mode == "RGB" for frame in frames)
    assert (scenes[0].start, scenes[-1].end) == (clip.info.start, clip.info.end)
    return len(frames)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_ends_in_frames_or_one_error(kind):
    assert read(sound(kind)) == 4
    for seed in range(3):
        read(spoilt(kind, seed))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_much_damage_ends_in_frames_or_one_error(kind):
    """In a process of its own, which may crash or hang without taking the suite with it."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, kind],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env={"PYTHONPATH": ":".join([str(REPOSITORY / "tests" / "helpers"), *sys.path])},
    )
    assert done.returncode == 0, done.stderr[-3000:]


if __name__ == "__main__":
    for number in range(3, 175):
        print(number, flush=True)
        read(spoilt(sys.argv[1], number))
