"""Photographs of every kind, made here, open as the right upright RGB picture."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from common import REPOSITORY
from negah.errors import UsageError
from negah.media import Preprocessing, open_image, to_rgb
from tiny_photos import chunk, encoded

ORIENTATION = 0x0112
PHOTOS = REPOSITORY / "examples" / "photos"


def scene(width: int = 24, height: int = 16) -> Image.Image:
    """A picture that no flip or turn leaves as it is."""
    image = Image.new("RGB", (width, height), (200, 40, 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width // 2, height // 4), fill=(20, 220, 60))
    draw.rectangle((0, 0, width // 8, height - 1), fill=(30, 40, 210))
    return image


def difference(first: Image.Image, second: Image.Image) -> float:
    """Mean absolute difference, in 0..255."""
    assert first.size == second.size
    pair = [np.asarray(image, dtype=np.float64) for image in (first, second)]
    return float(np.abs(pair[0] - pair[1]).mean())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, 3),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 3),
        ("PNG", {}, 0),
        ("WebP", {"lossless": True}, 0),
        ("WebP", {"quality": 95}, 10),
        ("GIF", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, 0),
        ("TIFF", {"big_tiff": True}, 0),
        ("BMP", {}, 0),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ""])
def test_content_decides_not_the_name(tmp_path, kind, options, tolerance, suffix):
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(encoded(scene(), kind, **options))
    image = open_image(path)
    assert image.mode == "RGB"
    assert type(image) is Image.Image
    assert difference(image, scene()) <= tolerance


def test_paths_bytes_and_files_give_the_same(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(scene(), "PNG"))
    with path.open("rb") as file:
        opened = [open_image(path), open_image(str(path)), open_image(path.read_bytes())]
        opened.append(open_image(file))
        assert not file.closed
    assert all(difference(image, scene()) == 0 for image in opened)
    with path.open(encoding="latin-1") as text, pytest.raises(UsageError, match="'rb'"):
        open_image(text)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WebP", "TIFF"])
def test_the_first_of_several_frames(kind):
    frames = [scene(), ImageOps.invert(scene())]
    options = {"lossless": True} if kind == "WebP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert difference(open_image(content), frames[0]) == 0


def as_grey(values_HW: np.ndarray) -> Image.Image:
    return Image.fromarray(values_HW)


RAMP = np.linspace(0, 255, 256).reshape(16, 16)
GREY = np.repeat(RAMP.astype(np.uint8)[..., None], 3, axis=2)

# Mode by mode: a picture, and what it means in RGB.
MODES = {
    "1": (Image.new("1", (4, 4), 1), Image.new("RGB", (4, 4), "white")),
    "L": (Image.new("L", (4, 4), 77), Image.new("RGB", (4, 4), (77, 77, 77))),
    "LA": (Image.new("LA", (4, 4), (0, 102)), Image.new("RGB", (4, 4), (153, 153, 153))),
    "RGBA": (Image.new("RGBA", (4, 4), (255, 0, 0, 51)), Image.new("RGB", (4, 4), (255, 204, 204))),
    "P": (scene().quantize(4), scene()),
    "CMYK": (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), Image.new("RGB", (4, 4), "red")),
    "I;16": (as_grey((RAMP * 257).astype(np.uint16)), Image.fromarray(GREY)),
    "I;16B": (as_grey((RAMP * 257).astype(">u2")), Image.fromarray(GREY)),
    "I, 16-bit": (as_grey((RAMP * 257).astype(np.int32)), Image.fromarray(GREY)),
    "I, wide": (as_grey(((RAMP - 100) * 1e6).astype(np.int32)), Image.fromarray(GREY)),
    "F, 0..1": (as_grey((RAMP / 255).astype(np.float32)), Image.fromarray(GREY)),
    "F, 0..255": (as_grey(RAMP.astype(np.float32)), Image.fromarray(GREY)),
    "F, any": (as_grey((RAMP * 1e30 - 3e31).astype(np.float32)), Image.fromarray(GREY)),
    "F, flat": (as_grey(np.full((4, 4), -5, np.float32)), Image.new("RGB", (4, 4))),
    "F, nothing": (as_grey(np.full((4, 4), np.nan, np.float32)), Image.new("RGB", (4, 4))),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(name):
    image, expected = MODES[name]
    assert image.mode == name.split(",")[0]
    converted = to_rgb(image)
    assert converted.mode == "RGB"
    assert np.abs(np.asarray(converted, int) - np.asarray(expected, int)).max() <= 1


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *[(mode, "PNG") for mode in ("1", "L", "LA", "RGBA", "P", "I;16")],
        *[(mode, "TIFF") for mode in MODES if mode not in {"F, nothing"}],
        ("L", "BMP"),
        ("P", "BMP"),
        ("P", "GIF"),
        ("RGBA", "WebP"),
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
    ],
)
def test_every_mode_through_a_file(mode, kind):
    image, expected = MODES[mode]
    options = {"lossless": True, "exact": True} if kind == "WebP" else {}
    opened = open_image(encoded(image, kind, **options))
    assert np.abs(np.asarray(opened, int) - np.asarray(expected, int)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(kind):
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((1, 1), 1)
    opened = open_image(encoded(palette, kind, transparency=0))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize("transparency", [b"\x00\xff", b"\x80\xff"])
def test_a_palette_with_alpha(transparency):
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.putpixel((1, 0), 1)
    opened = open_image(encoded(palette, "PNG", transparency=transparency))
    left = 255 - transparency[0]
    assert opened.getpixel((0, 0)) == (left, left, left)
    assert opened.getpixel((1, 0)) == (255, 0, 0)


def test_a_transparent_colour_is_white():
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    opened = open_image(encoded(image, "PNG", transparency=(1, 2, 3)))
    assert list(np.asarray(opened)[0].tolist()) == [[255, 255, 255], [9, 9, 9]]


def grey_png(values: list[int], bits: int, transparent: int) -> bytes:
    """A PNG of one row of grey, of which one is transparent."""
    row = sum(value << bits * at for at, value in enumerate(reversed(values)))
    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"tRNS", struct.pack(">H", transparent))]
    parts.append(
        chunk(b"IDAT", zlib.compress(b"\0" + row.to_bytes(len(values) * bits // 8, "big")))
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def grey_tiff(pixels: bytes, width: int, bits: int, photometric: int) -> bytes:
    """A TIFF of one row of grey."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 8)]
    tags += [(277, 1), (278, 1), (279, len(pixels))]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    start = 8 + len(pixels)
    return b"II*\0" + struct.pack("<I", start) + pixels + bytes([9, 0]) + entries + bytes(4)


# Files of one row, and the grey that it shows.
GREYS = {
    "PNG, 2 bits, transparent": (grey_png([0, 1, 2, 3], 2, 1), [0, 255, 170, 255]),
    "PNG, 4 bits, transparent": (grey_png([0, 1, 5, 15], 4, 5), [0, 17, 255, 255]),
    "PNG, 8 bits, transparent": (grey_png([0, 1, 5, 15], 8, 5), [0, 1, 255, 15]),
    "PNG, 16 bits, transparent": (grey_png([0, 257, 1285, 65535], 16, 257), [0, 255, 5, 255]),
    "TIFF, 16 bits": (grey_tiff(struct.pack("<3H", 0, 257, 65535), 3, 16, 1), [0, 1, 255]),
    "TIFF, white is 0": (grey_tiff(struct.pack("<3H", 0, 257, 65535), 3, 16, 0), [255, 254, 0]),
    "TIFF, 12 bits": (grey_tiff(bytes.fromhex("000fff"), 2, 12, 1), [0, 255]),
}


@pytest.mark.parametrize("name", GREYS)
def test_grey_of_few_and_many_bits(name):
    content, grey = GREYS[name]
    assert np.asarray(open_image(content))[0].tolist() == [[value] * 3 for value in grey]


# Turning the upright picture this way, then writing the number, gives a file to be turned back.
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(image: Image.Image, orientation: int) -> tuple[Image.Image, Image.Exif]:
    turn = STORED_AS[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return (image if turn is None else image.transpose(turn)), exif


@pytest.mark.parametrize("orientation", STORED_AS)
@pytest.mark.parametrize("kind", ["PNG", "WebP", "TIFF", "JPEG"])
def test_every_orientation_opens_upright(kind, orientation):
    image, exif = stored(scene(), orientation)
    options = {"WebP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(kind, {})
    content = encoded(image, kind, exif=exif, **options)
    opened = open_image(content)
    assert difference(opened, scene()) <= (3 if kind == "JPEG" else 0)
    # The oracle, and nobody turns the result once more.
    with Image.open(io.BytesIO(content)) as raw:
        assert difference(opened, ImageOps.exif_transpose(raw).convert("RGB")) == 0
    assert difference(ImageOps.exif_transpose(opened), opened) == 0


@pytest.mark.parametrize("size", [(449, 449), (640, 427), (1100, 900), (400, 1900)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_draft_gives_the_same_picture(size, orientation):
    with Image.open(PHOTOS / "coffee.jpg") as coffee:
        upright = coffee.resize(size)
    image, exif = stored(upright, orientation)
    content = encoded(image, "JPEG", quality=90, exif=exif)
    preprocessing = Preprocessing(height=64, width=96, mean=(0, 0, 0), std=(1, 1, 1))
    full, draft = open_image(content), open_image(content, target_size=preprocessing.size)
    assert draft.width >= 96
    assert draft.height >= 64
    assert draft.width * draft.height < full.width * full.height
    error = np.abs(preprocessing.apply(full) - preprocessing.apply(draft)) * 255
    assert error.mean() < 2


@pytest.mark.parametrize("size", [(96, 64), (130, 100), (20, 10)])
def test_a_picture_near_the_target_is_decoded_in_full(size):
    content = encoded(scene(*size), "JPEG")
    assert open_image(content, target_size=(64, 96)).size == size


def test_threads_open_the_same_pictures():
    kinds = ["JPEG", "PNG", "GIF", "TIFF", "WebP"] * 8
    contents = [encoded(scene(), kind) for kind in kinds]
    alone = [open_image(content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(open_image, contents))
    assert all(difference(*pair) == 0 for pair in zip(alone, together, strict=True))


@pytest.mark.parametrize("path", sorted(PHOTOS.glob("*.jpg")), ids=lambda path: path.stem)
def test_the_example_photos(path):
    image = open_image(path)
    assert max(image.size) <= 640
    assert path.stat().st_size <= 80_000
    with Image.open(path) as stored_image:
        assert not stored_image.getexif()
    sources = (PHOTOS / "SOURCES.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in sources if line.startswith(f"| `{path.name}`"))
    assert f"| {image.width} x {image.height} |" in row
    assert row.endswith(("| CC0 |", "| public domain |"))


def test_there_are_example_photos():
    assert len(list(PHOTOS.glob("*.jpg"))) == 15
