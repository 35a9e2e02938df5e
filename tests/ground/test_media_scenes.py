"""Where scenes begin: known cuts and fades are found, flashes and moving cameras are not cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from negah.errors import UsageError
from negah.media.scenes import Scene, SceneOptions, find_scenes
from negah.media.transitions import SMALL, find_boundaries, signature
from negah.media.videos import open_clip
from tiny_clips import make_clip

RATE = 25
HEIGHT, WIDTH = 48, 64


def texture(seed, height=HEIGHT, width=3 * WIDTH):
    """A wide landscape of soft blotches around one colour, other ones for other seeds."""
    random = np.random.default_rng(seed)
    ground = random.integers(40, 216, 3)
    coarse = np.clip(ground + random.integers(-90, 91, (5, 13, 3)), 0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def still(seed, seconds):
    return [texture(seed)[:, :WIDTH]] * round(seconds * RATE)


def solid(colour, seconds):
    return [np.full((HEIGHT, WIDTH, 3), colour, np.uint8)] * round(seconds * RATE)


def pan(seed, seconds):
    """The camera moves by two widths."""
    count = round(seconds * RATE)
    wide = texture(seed)
    starts = np.linspace(0, 2 * WIDTH, count).astype(int)
    return [wide[:, start : start + WIDTH] for start in starts]


def zoom(seed, seconds):
    picture = Image.fromarray(texture(seed)[:, :WIDTH])
    count = round(seconds * RATE)
    return [
        np.asarray(picture.resize((WIDTH, HEIGHT), box=(m, m * 0.75, WIDTH - m, HEIGHT - m * 0.75)))
        for m in np.linspace(0, 20, count)
    ]


def brightened(frames, factors):
    return [
        np.clip(frame * factor, 0, 255).astype(np.uint8)
        for frame, factor in zip(frames, factors, strict=True)
    ]


def dissolved(one, other, seconds):
    """The end of one and the beginning of the other overlap."""
    count = round(seconds * RATE)
    mixed = [
        (old * (1 - part) + new * part).astype(np.uint8)
        for old, new, part in zip(
            one[-count:], other[:count], np.linspace(0, 1, count + 2)[1:-1], strict=True
        )
    ]
    return one[:-count] + mixed + other[count:]


def faded(one, other, seconds, level=0):
    """Through black (or white) and out of it, each in so many seconds."""
    count = round(seconds * RATE)
    blank = [np.full((HEIGHT, WIDTH, 3), level, np.uint8)] * count
    out = dissolved(one, [*blank, *blank], seconds)
    return dissolved(out[:-1], other, seconds)


def with_flash(frames, at, length):
    start = round(at * RATE)
    white = [np.full_like(frames[0], 250)] * length
    return frames[:start] + white + frames[start + length :]


def starts(frames, container="mp4", **options):
    """When scenes begin, the first aside."""
    clip = open_clip(make_clip(frames, rate=RATE, container=container))
    scenes = list(find_scenes(clip, SceneOptions(**options)))
    assert scenes[0].start == clip.info.start
    assert scenes[-1].end == clip.info.end
    assert all(one.end == other.start for one, other in pairwise(scenes))
    return [scene.start for scene in scenes[1:]]


CUTS = {
    "solids": (solid((200, 0, 0), 2) + solid((0, 0, 200), 2) + solid((0, 160, 0), 1.6), [2, 4]),
    "textures": (still(1, 1.4) + still(2, 2) + still(3, 1.2), [1.4, 3.4]),
    "pans": (pan(1, 2) + pan(2, 2.2) + pan(3, 2), [2, 4.2]),
    "zooms": (zoom(4, 2) + zoom(5, 2), [2]),
    "black and back": (still(6, 2) + solid(0, 3) + still(6, 2), [2, 5]),
    "flash before a cut": (with_flash(still(7, 3), 1.5, 2) + still(8, 2), [3]),
}
NONE = {
    "solid": solid((90, 120, 30), 3),
    "texture": still(9, 3),
    "pan": pan(10, 4),
    "fast pan": pan(11, 1.2),
    "zoom": zoom(12, 3),
    "flash": with_flash(still(13, 3), 1.5, 1),
    "long flash": with_flash(pan(14, 4), 2, 4),
    "flashes": with_flash(with_flash(still(15, 4), 1.5, 2), 2.4, 2),
    "lamp": brightened(still(16, 4), [1.0] * 50 + [0.6] * 50),
    "dusk": brightened(still(17, 4), np.linspace(1, 0.4, 100)),
    "one frame": still(18, 0.04),
    "two scenes of two frames": still(19, 0.08) + still(20, 0.08),
}
GRADUAL = {
    "dissolve": (dissolved(still(21, 3), still(22, 3), 0.8), 2.6),
    "long dissolve": (dissolved(still(23, 4), still(24, 4), 1.6), 3.2),
    "dissolve of zooms": (dissolved(zoom(25, 4), zoom(26, 4), 0.5), 3.75),
    "through black": (faded(still(27, 3), still(28, 3), 0.6), 3.0),
    "through white": (faded(still(29, 3), still(30, 3), 0.6, 255), 3.0),
}


@pytest.mark.parametrize("name", CUTS)
def test_cuts_are_found_to_the_frame(name):
    frames, expected = CUTS[name]
    assert starts(frames) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", NONE)
def test_nothing_is_cut_that_is_one_scene(name):
    assert starts(NONE[name]) == []


@pytest.mark.parametrize("name", GRADUAL)
def test_gradual_changes_are_cut_once_while_they_last(name):
    frames, expected = GRADUAL[name]
    assert starts(frames) == pytest.approx([expected], abs=0.31)


def test_the_minimum_keeps_the_stronger_boundary():
    frames = still(31, 2) + still(32, 0.6) + still(33, 2)
    assert len(starts(frames)) == 1
    assert starts(frames, minimum=0.5) == pytest.approx([2, 2.6])
    assert starts(frames, minimum=3) == []


def test_scenes_come_before_the_clip_is_read_to_its_end():
    frames = [frame for seed in range(40, 46) for frame in still(seed, 4)]
    clip = open_clip(make_clip(frames, rate=RATE))
    reached = []
    scenes = find_scenes(clip, progress=reached.append)
    assert next(scenes) == Scene(0, pytest.approx(4))
    assert max(reached) < 16
    assert len(list(scenes)) == 5
    assert reached == pytest.approx(list(range(24)), abs=0.5)


def test_a_scene_knows_how_long_it_is():
    assert Scene(1.5, 4).duration == 2.5


@pytest.mark.parametrize("options", [{"threshold": 0}, {"minimum": -1}, {"length": 3}])
def test_options_are_checked(options):
    with pytest.raises(UsageError, match="scenes"):
        SceneOptions.parse(options, where="scenes")


@given(st.lists(st.integers(0, 7), max_size=40), st.floats(0.01, 3))
@settings(max_examples=40)
def test_any_frames_at_any_rate_give_boundaries_in_range(seeds, step):
    pictures = [texture(seed, *SMALL) for seed in range(8)]
    given_frames = [signature(n * step, pictures[seed]) for n, seed in enumerate(seeds)]
    for _, found in find_boundaries(given_frames, 0.25):
        assert all(0 <= boundary.time <= len(seeds) * step for boundary in found)
        assert all(0 < boundary.strength <= 1.0001 for boundary in found)


def test_random_films_are_cut_where_they_were_joined():
    """Precision and recall of cuts between pans, zooms and stills, with noise and flashes."""
    random = np.random.default_rng(5)
    right = wrong = missed = 0
    for film in range(6):
        frames, truth = [], []
        for shot in range(4):
            kind = (still, pan, zoom)[random.integers(3)]
            shown = kind(1000 + film * 10 + shot, random.uniform(1.6, 3))
            if random.random() < 0.3:
                shown = with_flash(shown, 0.8, int(random.integers(1, 4)))
            truth.append(len(frames) / RATE)
            frames += shown
        noisy = [
            np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
            for frame in frames
        ]
        found = starts(noisy)
        hits = sum(any(abs(time - cut) < 0.02 for cut in found) for time in truth[1:])
        right, wrong, missed = right + hits, wrong + len(found) - hits, missed + 3 - hits
    assert right / (right + wrong) > 0.95
    assert right / (right + missed) > 0.95


@pytest.mark.data
def test_the_cuts_of_a_real_clip(data_root):
    clip = open_clip(data_root / "msvd" / "clips" / "1RchFBCT9JU_43_53.avi")
    first, second = find_scenes(clip)
    assert second.start == pytest.approx(8.74, abs=0.01)
    steady = open_clip(data_root / "msvd" / "clips" / "_9iG5Ge01PM_3_11.avi")
    assert len(list(find_scenes(steady))) == 1
    assert first.end == second.start
