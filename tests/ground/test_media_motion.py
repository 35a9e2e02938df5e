"""Pictures of motion: what stands still is grey, what moves is bright ahead and dark behind.

Axes: F frames, H rows, W columns of pixels, 3 colours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("av", reason="clips need PyAV")

from negah.errors import MediaError
from negah.media.frames import Frame
from negah.media.motion import MID_GREY, SampledPictures, difference, look_at
from negah.media.videos import Clip, open_clip
from tiny_clips import make_clip

RATE = 10
SIDE, HIGH, WIDE = 8, 32, 48

Pixels = npt.NDArray[np.uint8]


def moving_square(columns: Sequence[int]) -> list[Pixels]:
    """A light square on a dark ground, with its left edge in these columns."""
    frames = []
    for column in columns:
        frame = np.full((HIGH, WIDE, 3), 40, np.uint8)
        frame[12 : 12 + SIDE, column : column + SIDE] = (240, 200, 160)
        frames.append(frame)
    return frames


def lossless(frames: list[Pixels]) -> Clip:
    content = make_clip(frames, container="matroska", codec="ffv1", rate=RATE, pixels="bgr0")
    return open_clip(content)


def same(image: Image.Image) -> Image.Image:
    return image


def whole(clip: Clip) -> list[tuple[float, float]]:
    return [(clip.info.start, clip.info.end)]


def arrays(frames: Sequence[Frame]) -> npt.NDArray[np.int64]:
    return np.stack([np.asarray(frame.image, dtype=np.int64) for frame in frames])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(0, 0, 128), (255, 255, 128), (0, 255, 255), (255, 0, 1), (10, 11, 128), (10, 12, 129),
     (12, 10, 127), (11, 10, 128)],
)  # fmt: skip
def test_half_the_signed_difference(before: int, after: int, expected: int) -> None:
    one, other = (Image.new("RGB", (3, 2), (value, 7, value)) for value in (before, after))
    assert difference(one, other).getcolors() == [(6, (expected, 128, expected))]


@given(st.integers(0, 2**32 - 1))
def test_a_change_and_its_reverse_mirror_each_other(seed: int) -> None:
    pair_2HW3 = np.random.default_rng(seed).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    one, other = map(Image.fromarray, pair_2HW3)
    there, back = (
        np.asarray(d, np.int64) for d in (difference(one, other), difference(other, one))
    )
    np.testing.assert_array_equal(there - MID_GREY, MID_GREY - back)
    change = pair_2HW3[1].astype(np.float64) - pair_2HW3[0]
    assert np.abs(there - MID_GREY - change / 2).max() <= 0.5


@pytest.mark.parametrize(
    ("count", "step", "part", "expected"),
    [
        (2, None, (0, 4), [(1, 1), (3, 3)]),
        (2, 0.5, (0, 4), [(1, 1.5), (3, 3.5)]),
        (2, 1.5, (0, 4), [(1, 2.5), (3, 1.5)]),  # 4.5 s is over the end
        (2, 1.0, (0, 4), [(1, 2), (3, 2)]),  # so is the end itself: the next part begins there
        (2, 3.0, (10, 12), [(10.5, 12), (11.5, 10)]),  # nothing is seen of what lies outside
        (3, 0.2, (0, 0.3), [(0.05, 0.25), (0.15, 0), (0.25, 0.05)]),
    ],
)
def test_which_two_frames_are_compared(
    count: int,
    step: float | None,
    part: tuple[float, float],
    expected: list[tuple[float, float]],
) -> None:
    pairs = SampledPictures(count, same, step).pairs(*part)
    np.testing.assert_allclose(pairs, expected, rtol=0, atol=1.1e-5)
    assert all(part[0] <= time < part[1] for pair in pairs for time in pair)


def test_what_stands_still_is_grey() -> None:
    clip = lossless(moving_square([20] * 10))
    (((*frames,),),) = look_at(clip, whole(clip), [SampledPictures(4, same, 0.2)])
    assert len(frames) == 4
    assert (arrays(frames) == MID_GREY).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_a_clip_too_short_for_a_step(frames: int) -> None:
    clip = lossless(moving_square([20, 24][:frames]))
    ((seen,),) = look_at(clip, whole(clip), [SampledPictures(3, same, 0.2)])
    assert len(seen) == frames
    # of two frames, the one is compared with the other
    assert [(image != MID_GREY).any() for image in arrays(seen)] == [frames == 2] * frames


def test_the_direction_shows() -> None:
    """Two columns a frame, so four in 0.2 seconds: bright ahead, dark behind, grey between."""
    columns = range(4, 24, 2)
    expected_W3 = np.full((WIDE, 3), MID_GREY)
    light = np.array([100, 80, 60])  # half of what the square is lighter than the ground
    right = lossless(moving_square(columns))
    left = lossless(moving_square(columns[::-1]))
    ((going,),) = look_at(right, whole(right), [SampledPictures(2, same, 0.2)])
    ((coming,),) = look_at(left, whole(left), [SampledPictures(2, same, 0.2)])
    assert [frame.time for frame in going] == pytest.approx([0.2, 0.7])
    for frame, picture_HW3 in zip(going, arrays(going), strict=True):
        column = columns[round(frame.time * RATE)]
        row_W3 = expected_W3.copy()
        row_W3[column : column + 4] -= light
        row_W3[column + SIDE : column + SIDE + 4] += light
        np.testing.assert_array_equal(picture_HW3[12], row_W3)
        assert (picture_HW3[[*range(12), *range(20, HIGH)]] == MID_GREY).all()
    assert (arrays(going) != arrays(coming)).any()
    # a clip that is played backwards shows the reverse of each change
    np.testing.assert_array_equal(
        np.sort(arrays(going).sum((1, 2))), np.sort((2 * MID_GREY - arrays(coming)).sum((1, 2)))
    )


def test_at_the_end_it_is_the_step_before() -> None:
    clip = lossless(moving_square(range(0, 20, 2)))
    ((seen,),) = look_at(clip, whole(clip), [SampledPictures(10, same, 0.2)])
    forward = arrays(seen)
    # the last two frames have none 0.2 s later; each is compared with the one 0.2 s before
    np.testing.assert_array_equal(forward[8], forward[6])
    np.testing.assert_array_equal(forward[9], forward[7])


def test_one_walk_serves_several_models_and_parts() -> None:
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (HIGH, WIDE, 3), dtype=np.uint8) for _ in range(30)]
    clip = lossless(noise)
    parts = [(0.0, 1.0), (1.0, 1.3), (1.5, 3.0)]
    looks = [
        SampledPictures(4, same),
        SampledPictures(5, lambda image: image.resize((4, 4)), 0.15),
        SampledPictures(40, same, 0.5),
    ]
    together = list(look_at(clip, parts, looks))
    assert [len(seen) for seen in together] == [3, 3, 3]
    for part, seen in zip(parts, together, strict=True):
        for look, pictures in zip(looks, seen, strict=True):
            shown: dict[float, Pixels] = {}
            for time, other in look.pairs(*part):
                at, beside = (int(t * RATE + 1e-5) for t in (time, other))
                images = [look.prepare(Image.fromarray(noise[n])) for n in sorted((at, beside))]
                image = images[0] if look.motion_step is None else difference(*images)
                shown.setdefault(at / RATE, np.asarray(image))
            assert [picture.time for picture in pictures] == pytest.approx(list(shown))
            np.testing.assert_array_equal(arrays(pictures), list(shown.values()))


def test_a_part_without_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    clip = lossless(moving_square([1, 2]))
    monkeypatch.setattr(Clip, "at", lambda *_, **__: iter(()))
    with pytest.raises(MediaError, match=r"its frames from 0\.00 s on cannot be read"):
        list(look_at(clip, whole(clip), [SampledPictures(2, same)]))
