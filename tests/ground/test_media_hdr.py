"""PQ and HLG become what a screen of standard range shows; all else stays as it was coded.

Numbers are those of ITU-R BT.2100-2 and BT.2408-7, or computed by hand from the formulas.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from PIL import Image

from negah.media.frames import can_convert, to_array
from negah.media.hdr import (
    WHITE,
    hlg_to_scene,
    light_to_pq,
    pq_to_light,
    roll_off,
    to_sdr,
)
from negah.media.scenes import find_scenes
from negah.media.videos import open_clip

FROM_BT709 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)


def srgb(linear):
    linear = np.clip(linear, 0, 1)
    bright = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, bright) * 255


def from_srgb(picture):
    coded = np.asarray(picture, float) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def codes(signal):
    return np.round(np.asarray(signal) * 65535).astype(np.uint16)


def hdr_of(picture, transfer="pq", white=WHITE):
    """The same picture with its white at so many cd/m2, in BT.2020."""
    light = from_srgb(picture) @ FROM_BT709.T * white
    if transfer == "pq":
        return codes(light_to_pq(light))
    luminance = light @ [0.2627, 0.6780, 0.0593]
    scene = light / 1000 * (np.maximum(luminance, 1e-6)[..., None] / 1000) ** (1 / 1.2 - 1)
    low = np.sqrt(3 * scene)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-6)) + 0.55991073
    return codes(np.clip(np.where(scene <= 1 / 12, low, high), 0, 1))


def picture(seed=1, size=(48, 64)):
    """Soft blotches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("signal", "light"), [(0, 0), (0.5081, 100), (0.58069, 203), (0.75183, 1000), (1, 10_000)]
)
def test_pq_codes_light(signal, light):
    assert pq_to_light(signal) == pytest.approx(light, rel=1e-3)
    assert light_to_pq(light) == pytest.approx(signal, abs=1e-4)


@pytest.mark.parametrize(("signal", "scene"), [(0, 0), (0.5, 1 / 12), (0.75, 0.26496), (1, 1)])
def test_hlg_codes_the_scene(signal, scene):
    assert hlg_to_scene(signal) == pytest.approx(scene, abs=1e-5)


def test_the_curve_leaves_what_is_dark_and_ends_at_white():
    light = np.geomspace(0.01, 1000, 500)
    rolled = roll_off(light, 1000)
    knee = pq_to_light((1.5 * light_to_pq(WHITE) / light_to_pq(1000) - 0.5) * light_to_pq(1000))
    assert rolled[light < knee] == pytest.approx(light[light < knee], rel=1e-6)
    assert (np.diff(rolled) > 0).all()
    assert rolled[-1] == pytest.approx(WHITE)
    assert (rolled <= light * (1 + 1e-9)).all()
    assert roll_off([5.0, 150.0], 200) == pytest.approx([5.0, 150.0])


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_greys_stay_grey_and_in_order(transfer):
    ramp = np.repeat(np.arange(0, 65536, 64, dtype=np.uint16)[None, :, None], 3, axis=2)
    shown = to_sdr(ramp, transfer).astype(int)
    assert np.ptp(shown, axis=2).max() <= 1
    assert (np.diff(shown[0, :, 1]) >= 0).all()
    assert (shown[0, 0, 1], shown[0, -1, 1]) == (0, 255)


def test_dark_light_is_its_share_of_white():
    shown = to_sdr(codes(light_to_pq([[[50, 50, 50], [20, 20, 20]]])), "pq")
    assert shown[0, :, 0] == pytest.approx(srgb(np.array([50, 20]) / WHITE), abs=1)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_a_picture_comes_back(transfer):
    given = picture()
    shown = to_sdr(hdr_of(given, transfer), transfer, peak=WHITE)
    if transfer == "pq":
        # The metadata say that there is nothing to roll off.
        assert np.abs(shown.astype(int) - given).max() <= 2
    plain = to_sdr(hdr_of(given, transfer), transfer)
    assert plain.std() == pytest.approx(given.std(), rel=0.15)
    assert np.corrcoef(plain.ravel(), given.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 0), (20, 20, 180)])
def test_colours_come_back(colour):
    given = np.broadcast_to(np.uint8(colour), (2, 2, 3))
    assert np.abs(to_sdr(hdr_of(given), "pq", peak=WHITE).astype(int) - given).max() <= 3
    same = codes(light_to_pq(from_srgb(given) * WHITE))
    shown = to_sdr(same, "pq", peak=WHITE, primaries="bt709")
    assert np.abs(shown.astype(int) - given).max() <= 2


def clip(frames, *, trc, params="", size=(48, 64), matrix="bt2020nc", pixels="yuv444p10le"):
    """HEVC of pictures in codes of 16 bits."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        told = f"colorprim=bt2020:transfer={trc}:colormatrix={matrix}:crf=4:log-level=none{params}"
        # in the order of their times, whatever else the machine does
        told += ":bframes=0:frame-threads=1"
        stream = file.add_stream("libx265", rate=25, options={"x265-params": told})
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        for number, codes_HW3 in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(codes_HW3, format="rgb48le").reformat(
                format=pixels, dst_colorspace=Colorspace.BT2020
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


SCREEN = ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(%d,50)"


@pytest.mark.parametrize(
    ("trc", "params", "peak"),
    [
        ("smpte2084", "", None),
        ("smpte2084", ":max-cll=4000,100", 4000),
        ("smpte2084", SCREEN % 4_000_0000, 4000),
        ("smpte2084", SCREEN % 4_000_0000 + ":max-cll=1000,100", 1000),
        ("arib-std-b67", "", None),
    ],
)
def test_clips_are_tone_mapped(trc, params, peak):
    transfer = "hlg" if trc == "arib-std-b67" else "pq"
    coded = hdr_of(picture(), transfer)
    expected = to_sdr(coded, transfer, peak=peak).astype(int)
    read = open_clip(clip([coded] * 3, trc=trc, params=params))
    for frame in (next(read.frames()), next(read.at([0.08]))):
        error = np.abs(np.asarray(frame.image, int) - expected)
        assert error.mean() < 3
        assert abs(np.asarray(frame.image).mean() - expected.mean()) < 1.5
        assert abs(np.asarray(frame.image).std() - expected.std()) < 2
    small = next(read.frames(size=(12, 16))).image
    assert small.size == (16, 12)


def test_ten_bits_of_standard_range_stay_as_they_are():
    given = picture()
    read = open_clip(clip([given.astype(np.uint16) * 257] * 2, trc="bt2020-10"))
    assert np.abs(np.asarray(next(read.frames()).image, int) - given).mean() < 3


def test_scenes_are_found_in_hdr():
    first, second = hdr_of(picture(1)), hdr_of(picture(2))
    scenes = list(find_scenes(open_clip(clip([first] * 30 + [second] * 30, trc="smpte2084"))))
    assert [scene.end for scene in scenes] == pytest.approx([1.2, 2.4])


MATRICES = {"bt601": (5, 0.299, 0.114), "bt709": (1, 0.2126, 0.0722), "bt2020": (9, 0.2627, 0.0593)}


@pytest.mark.parametrize("named", MATRICES)
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("height", [48, 720])
def test_every_matrix_and_range_is_honoured(named, full, height):
    number, red, blue = MATRICES[named]
    r, g, b = 200 / 255, 30 / 255, 40 / 255
    y = red * r + (1 - red - blue) * g + blue * b
    differences = ((b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red)))
    planes = [y * 255 if full else 16 + 219 * y]
    planes += [128 + (255 if full else 224) * difference for difference in differences]
    stored = np.stack([np.full((height, 64), round(plane), np.uint8) for plane in planes])
    frame = av.VideoFrame.from_ndarray(stored, format="yuv444p")
    frame.colorspace, frame.color_range = number, 2 if full else 1
    assert np.abs(to_array(frame, (height, 64))[5, 5].astype(int) - (200, 30, 40)).max() <= 2
    if named == "bt709" and height == 720:
        frame.colorspace = 2  # not said: of HD it is this one
        assert np.abs(to_array(frame, (height, 64))[5, 5].astype(int) - (200, 30, 40)).max() <= 2


@pytest.mark.parametrize("number", range(20))
def test_no_number_of_a_matrix_is_too_odd(number):
    """Damaged files have those that are reserved; FFmpeg refuses to convert them."""
    frame = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")
    frame.colorspace = number
    frame.color_range = number % 6
    assert to_array(frame, (12, 16)).shape == (12, 16, 3)


@pytest.mark.parametrize(
    ("pixels", "possible"),
    [("yuv420p", True), ("yuva444p12le", True), ("gray32le", False), ("yaf32be", False)],
)
def test_pixels_that_become_no_rgb_are_known(pixels, possible):
    if pixels in av.video.format.names:
        assert can_convert(pixels) == possible
