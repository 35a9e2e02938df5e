"""Photos with damaged metadata, or without their end: what viewers show of them is read."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from negah.errors import MediaError
from negah.media import open_image, read_image
from negah.media.repair import repaired
from tiny_photos import HEIC, chunk, encoded, every_kind, scene

FILES = every_kind()
LARGER = every_kind(240, 160)
PNG = FILES["PNG"]
made_by = Image.Exif()
made_by[0x010F] = "nobody in particular"
MADE_BY = made_by.tobytes()
LARGE = zlib.compress(bytes(2 << 20))


def pixels(content: bytes, **options: object) -> np.ndarray:
    return np.asarray(read_image(content, **options).image, dtype=int)


def with_chunk(name: bytes, data: bytes, *, behind: bool = False, flip: int = 0) -> bytes:
    """The PNG with one more chunk, whose checksum is wrong where ``flip`` is not 0."""
    added = bytearray(chunk(name, data))
    added[-1] ^= flip
    at = PNG.index(b"IEND") - 4 if behind else 33
    return PNG[:at] + bytes(added) + PNG[at:]


def with_segment(data: bytes, marker: int = 0xE1, length: int | None = None) -> bytes:
    content = FILES["JPEG"]
    stated = 2 + len(data) if length is None else length
    return content[:2] + struct.pack(">BBH", 0xFF, marker, stated) + data + content[2:]


def with_riff(name: bytes, data: bytes, length: int | None = None) -> bytes:
    stated = len(data) if length is None else length
    content = FILES["WebP"] + name + struct.pack("<I", stated) + data
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def with_preview(marker: bytes) -> bytes:
    """The JPEG whose EXIF block is said to end at the last such marker of the preview in it."""
    preview = encoded(Image.new("RGB", (16, 16), "red"), "JPEG")
    data = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6) + preview
    return with_segment(data, length=2 + data.rindex(marker))


# Of each kind metadata that Pillow's readers take exception to; the pixels are all there.
METADATA = {
    "PNG, text": (PNG, with_chunk(b"tEXt", b"Comment\0made", flip=1)),
    "PNG, text behind": (PNG, with_chunk(b"tEXt", b"Comment\0made", behind=True, flip=1)),
    "PNG, large zTXt": (PNG, with_chunk(b"zTXt", b"Comment\0\0" + LARGE)),
    "PNG, large zTXt behind": (PNG, with_chunk(b"zTXt", b"Comment\0\0" + LARGE, behind=True)),
    "PNG, large iTXt": (PNG, with_chunk(b"iTXt", b"Comment\0\1\0\0\0" + LARGE)),
    "PNG, large profile": (PNG, with_chunk(b"iCCP", b"icc\0\0" + LARGE)),
    "PNG, odd profile": (PNG, with_chunk(b"iCCP", b"icc\0\7nonsense")),
    "PNG, time": (PNG, with_chunk(b"tIME", b"", flip=9)),
    "PNG, resolution": (PNG, with_chunk(b"pHYs", b"\0")),
    "PNG, gamma": (PNG, with_chunk(b"gAMA", b"\0")),
    "PNG, EXIF": (PNG, with_chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff", behind=True)),
    "PNG, no animation": (PNG, with_chunk(b"acTL", bytes(8))),
    "PNG, unknown": (PNG, with_chunk(b"prVt", b"x" * 9, flip=3)),
    "PNG, tRNS": (PNG, with_chunk(b"tRNS", b"\0")),
    "PNG, checksum of the pixels": (
        PNG,
        PNG[: PNG.index(b"IDAT") - 4]
        + chunk(b"IDAT", PNG[PNG.index(b"IDAT") + 4 : PNG.index(b"IEND") - 12] + b"none")
        + PNG[PNG.index(b"IEND") - 4 :],
    ),
    "APNG": (
        FILES["APNG"],
        FILES["APNG"].replace(b"IDAT", b"IDAT", 1)[:33]
        + chunk(b"zTXt", b"Comment\0\0" + LARGE)
        + FILES["APNG"][33:],
    ),
    "JPEG, profile": (FILES["JPEG"], with_segment(b"ICC_PROFILE\0", 0xE2)),
    "JPEG, Adobe": (FILES["JPEG"], with_segment(b"Adobe", 0xEE)),
    "JPEG, JFIF": (FILES["JPEG"], with_segment(b"JFIF", 0xE0)),
    "JPEG, EXIF": (FILES["JPEG"], with_segment(b"Exif\0\0II*\0\xff\xff\xff\xff")),
    "JPEG, length too large": (FILES["JPEG"], with_segment(b"nonsense", length=60_000)),
    "JPEG, length too small": (FILES["JPEG"], with_segment(b"nonsense" * 9, length=7)),
    "JPEG, length 0": (FILES["JPEG"], with_segment(b"nonsense", length=0)),
    **{
        f"JPEG, length into a preview, {name}": (FILES["JPEG"], with_preview(marker))
        for name, marker in (("DQT", b"\xff\xdb"), ("frame", b"\xff\xc0"), ("scan", b"\xff\xda"))
    },
    "WebP, EXIF cut": (FILES["WebP"], with_riff(b"EXIF", b"II", 500)),
    "WebP, size": (FILES["WebP"], FILES["WebP"][:4] + b"\xff\xff\xff\0" + FILES["WebP"][8:]),
    "AVIF, EXIF": (
        FILES["AVIF"],
        encoded(scene(), "AVIF", exif=MADE_BY).replace(MADE_BY[6:14], MADE_BY[6:10] + b"\xff" * 4),
    ),
    "JPEG 2000, box": (
        FILES["JPEG 2000"],
        FILES["JPEG 2000"].replace(b"colr\1\0\0", b"colr\7\7\7"),
    ),
}


@pytest.mark.parametrize("name", METADATA)
def test_damaged_metadata_hide_no_pixels(name):
    whole, damaged = METADATA[name]
    assert damaged != whole
    opened = read_image(damaged)
    assert not opened.warnings
    assert np.array_equal(np.asarray(opened.image), np.asarray(open_image(whole)))


def test_a_preview_is_not_taken_for_the_picture():
    preview = encoded(Image.new("RGB", (16, 16), "red"), "JPEG")
    damaged = with_segment(b"Exif\0\0" + preview, length=50_000)
    assert np.array_equal(pixels(damaged), pixels(FILES["JPEG"]))


def test_metadata_that_are_sound_still_tell_the_orientation():
    turned = FILES["PNG, turned"]
    for at in (33, turned.index(b"IDAT") - 4, turned.index(b"IEND") - 4):
        damaged = turned[:at] + chunk(b"zTXt", b"Comment\0\0" + LARGE) + turned[at:]
        assert np.array_equal(pixels(damaged), pixels(turned))
    turned = FILES["JPEG, turned"]
    damaged = turned[:2] + struct.pack(">BBH", 0xFF, 0xEE, 7) + b"Adobe" + turned[2:]
    assert np.array_equal(pixels(damaged), pixels(turned))


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("JPEG", [b"\xff\xd9"]),
        ("JPEG, progressive", [b"\xff\xd9"]),
        ("JPEG, grey", [b"\xff\xd9"]),
        ("JPEG, CMYK", [b"\xff\xd9"]),
        ("JPEG, restarts", [b"\xff\xd9"]),
        ("PNG", [PNG[-12:], PNG[-4:]]),
        ("GIF", [b"\0;", b";"]),
        ("JPEG 2000, bare", [b"\xff\xd9", b"\xd9"]),
    ],
)
@pytest.mark.parametrize("behind", [b"", b"SEFH\0\0\xff\x01SEFT", bytes(64)])
def test_a_missing_end_marker_is_no_missing_picture(name, ends, behind):
    content = FILES[name]
    if behind and name.startswith("JPEG 2000"):
        pytest.skip("what follows would have to be told from the picture")
    for end in ends:
        assert content.endswith(end)
        opened = read_image(content.removesuffix(end) + behind)
        assert not opened.warnings
        assert np.array_equal(np.asarray(opened.image), pixels(content))


# Kinds of which the beginning can be read, and how much is there of half a file, at least.
CUT = {
    "JPEG": 0.2,
    "JPEG, grey": 0.2,
    "JPEG, CMYK": 0.2,
    "JPEG, restarts": 0.2,
    "MPO": 0.9,
    "PNG": 0.3,
    "PNG, palette": 0.3,
    "GIF": 0.3,
    "GIF, transparent": 0.3,
    "TIFF": 0.4,
    "BMP": 0.4,
    "BMP, palette": 0.1,
    "WebP": 0.1,
    "AVIF": 0.1,
    **({"HEIC": 0.1} if HEIC else {}),
}


@pytest.mark.parametrize("name", CUT)
def test_rows_that_are_there_are_read_and_no_others(name):
    content = LARGER[name]
    whole = read_image(content).image
    opened = read_image(content[: int(0.55 * len(content))])
    kept, all_rows = np.asarray(opened.image, int), np.asarray(whole, int)
    assert kept.shape[1] == all_rows.shape[1]
    assert len(kept) >= CUT[name] * len(all_rows)
    # A bitmap begins with its last row.
    same = all_rows[-len(kept) :] if name.startswith("BMP") else all_rows[: len(kept)]
    assert np.abs(kept - same).mean() < 1
    if len(kept) < len(all_rows):
        (warning,) = opened.warnings
        share = int(warning.removeprefix("read only in part: ").removesuffix("% of its rows"))
        assert abs(share / 100 - len(kept) / len(all_rows)) < 0.02


@pytest.mark.parametrize("name", ["JPEG, turned", "PNG, turned", "TIFF, turned"])
def test_a_cut_photo_is_turned_too(name):
    content = LARGER[name]
    whole = pixels(content)
    opened = read_image(content[: int(0.7 * len(content))])
    kept = np.asarray(opened.image, int)
    assert opened.warnings
    assert len(kept) == len(whole)
    # Lying on its side, what was below is now on the left.
    assert np.abs(kept - whole[:, -kept.shape[1] :]).mean() < 1


@pytest.mark.parametrize("name", ["PNG, interlaced", "GIF, interlaced"])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_an_interlaced_photo_is_shown_coarsely(name, share):
    content = LARGER[name]
    opened = read_image(content[: int(share * len(content))])
    whole = read_image(content).image
    assert opened.image.height > 0.85 * whole.height
    shown, small = (one.resize((12, 8), Image.Resampling.BOX) for one in (opened.image, whole))
    assert np.abs(np.asarray(shown, int) - np.asarray(small, int)).mean() < 30
    assert len(opened.warnings) == 1


def test_a_progressive_jpeg_that_is_complete_is_decoded_once():
    content = encoded(Image.new("RGB", (40, 40), (128, 128, 128)), "JPEG", progressive=True)
    assert repaired("JPEG", content).complete
    assert not repaired("JPEG", content[: content.rindex(b"\xff\xda")] + b"\xff\xd9").complete
    assert not repaired("JPEG", content[:-2]).complete


@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
def test_a_progressive_jpeg_is_shown_in_less_detail(share):
    content = encoded(scene(320, 240), "JPEG", progressive=True)
    opened = read_image(content[: int(share * len(content))])
    assert opened.warnings == ("read only in part: all rows, but not in all detail",)
    assert np.abs(np.asarray(opened.image, int) - pixels(content)).mean() < 30


def test_a_jpeg_that_ends_early_though_it_says_that_it_ends():
    content = encoded(scene(160, 160), "JPEG")
    for cut in (content[: len(content) // 2] + b"\xff\xd9", content[: len(content) // 2] + content):
        opened = read_image(cut)
        assert opened.warnings
        kept = np.asarray(opened.image, int)
        assert 0.2 * 160 < len(kept) < 0.8 * 160
        assert np.array_equal(kept, pixels(content)[: len(kept)])


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_copy_that_failed_ends_in_zeros(end):
    content = encoded(scene(160, 160), "JPEG")
    half = len(content) // 2
    opened = read_image(content[:half] + bytes((len(content) - half) // 4) + end)
    assert opened.warnings
    assert np.array_equal(np.asarray(opened.image), pixels(content)[: opened.image.height])


@pytest.mark.parametrize("target", [None, (40, 40)])
def test_a_cut_jpeg_is_decoded_small_too(target):
    content = encoded(scene(640, 480), "JPEG")
    opened = read_image(content[: len(content) // 2], target_size=target)
    assert opened.image.width == (640 if target is None else 160)
    assert 0.3 < opened.image.height / (480 if target is None else 120) < 0.7


@pytest.mark.parametrize("name", ["JPEG", "PNG", "BMP", "GIF", "TIFF, LZW", "AVIF"])
def test_too_little_is_refused(name):
    content = FILES[name]
    with pytest.raises(MediaError, match=r"damaged or truncated \(.+\); fetch it again"):
        read_image(content[: max(40, len(content) // 25)])


def test_flat_pictures_are_whole():
    for colour in ((0, 0, 0), (128, 128, 128), (255, 255, 255)):
        for kind in ("JPEG", "PNG", "BMP", "GIF", "WebP"):
            content = encoded(Image.new("RGB", (40, 40), colour), kind)
            assert read_image(content).warnings == (), (kind, colour)
    cut = encoded(Image.new("RGB", (40, 40), (0, 0, 0)), "BMP")[:-2400]
    assert read_image(cut).warnings == ("read only in part: 50% of its rows",)


def test_a_bitmap_whose_alpha_says_nothing_shows_its_colours():
    image = scene()
    colours = np.asarray(image)
    for alpha, shown in ((0, colours), (255, colours)):
        stored = np.dstack([colours[::-1, :, ::-1], np.full(colours.shape[:2], alpha, np.uint8)])
        for header, masks in ((56, True), (108, True), (124, True), (40, False)):
            compression = 3 if masks else 0
            info = struct.pack(
                "<IiiHHIIiiII", header, *image.size, 1, 32, compression, 0, 0, 0, 0, 0
            )
            info += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) if masks else b""
            info = info.ljust(header, b"\0")
            offset = 14 + len(info)
            content = b"BM" + struct.pack("<IHHI", offset + stored.size, 0, 0, offset) + info
            content += stored.tobytes()
            assert np.array_equal(np.asarray(open_image(content)), shown), (alpha, header)
            cut = np.asarray(open_image(content[: -stored.size // 2]))
            assert np.array_equal(cut, shown[-len(cut) :]), (alpha, header)


def test_the_alpha_of_a_bitmap_that_says_something_counts():
    image = scene().convert("RGBA")
    image.putpixel((0, 0), (1, 2, 3, 0))
    stored = np.asarray(image)[::-1, :, [2, 1, 0, 3]]
    info = struct.pack("<IiiHHIIiiII", 56, *image.size, 1, 32, 3, 0, 0, 0, 0, 0)
    info += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    content = b"BM" + struct.pack("<IHHI", 70 + stored.size, 0, 0, 70) + info + stored.tobytes()
    assert open_image(content).getpixel((0, 0)) == (255, 255, 255)


def test_the_limit_is_about_what_is_decoded():
    content = encoded(scene(1600, 1200), "JPEG")
    assert open_image(content, max_pixels=200_000, target_size=(100, 100)).size == (400, 300)
    with pytest.raises(MediaError, match=r"1600 x 1200 = 1,920,000 .*--max-pixels 2M \(max_pix"):
        open_image(content, max_pixels=200_000)
    # A progressive one is held in memory as a whole.
    progressive = encoded(scene(1600, 1200), "JPEG", progressive=True)
    with pytest.raises(MediaError, match="more than the limit of 400,000"):
        open_image(progressive, max_pixels=200_000, target_size=(100, 100))
    assert open_image(progressive, max_pixels=1_000_000, target_size=(100, 100)).size == (400, 300)


@pytest.mark.parametrize("kind", ["WebP", "TIFF", "PNG", "GIF"])
def test_no_limit_of_pillow_stands_in_the_way(monkeypatch, kind):
    content = encoded(scene(), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert open_image(content).size == scene().size
    assert open_image(content[: int(0.8 * len(content))]).width == scene().width


def test_raw_files_are_said():
    tiff = bytearray(FILES["TIFF"])
    with pytest.raises(MediaError, match="is a camera's raw file"):
        open_image(bytes(tiff[:8] + b"CR\2\0" + tiff[8:]))
    info = {50706: (1, 4, 0, 0)}
    with pytest.raises(MediaError, match="is a camera's raw file"):
        open_image(encoded(scene(), "TIFF", tiffinfo=info))


@pytest.mark.skipif(not HEIC, reason="needs the extra heic")
def test_heic_is_read_and_pillow_does_not_learn_it():
    opened = open_image(FILES["HEIC, turned"])
    assert opened.size == scene().size[::-1]
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(FILES["HEIC"]))


def test_heic_without_the_extra_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(MediaError) as caught:
        open_image(path)
    assert str(caught.value) == (
        f"{path}: reading a HEIC photo needs pillow_heif, which is not installed. "
        "Install it with: pip install 'negah[heic]'"
    )


def test_pillow_is_left_as_it_was():
    def state():
        return (
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            list(warnings.filters),
            dict(Image.OPEN),
        )

    before = state()
    for content in FILES.values():
        read_image(content)
        with pytest.raises(MediaError):
            read_image(content[:30])
    assert state() == before
